"""The verdict's numbers to an OpenTelemetry collector, when OTEL_EXPORTER_OTLP_ENDPOINT names one."""

from __future__ import annotations

from collections.abc import Iterable

from reports.judging.model import RunVerdict
from reports.rendering.writers.prometheus import registry
from reports.senders import TIMEOUT, SendContext

VARIABLES = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def send(verdict: RunVerdict, context: SendContext) -> list[str]:
    """Exports the same gauges as metrics.prom, once, over OTLP/HTTP."""
    exact, base = (context.environ.get(name) for name in VARIABLES)
    endpoint = exact or (f"{base.rstrip('/')}/v1/metrics" if base else "")
    if not endpoint:
        return []
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.metrics import CallbackOptions, Observation
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricExportResult, PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource

    results: list[MetricExportResult] = []

    class Exporter(OTLPMetricExporter):
        """Keeps the result, which the reader does not hand out."""

        def export(self, *args: object, **more: object) -> MetricExportResult:
            result = super().export(*args, **more)  # type: ignore[arg-type]
            results.append(result)
            return result

    resource = Resource.create(
        {"service.name": "assay", "assay.run": verdict.run, "vcs.ref.head.revision": verdict.commit}
    )
    reader = PeriodicExportingMetricReader(
        Exporter(endpoint=endpoint, timeout=TIMEOUT), export_interval_millis=3_600_000
    )
    provider = MeterProvider(metric_readers=[reader], resource=resource, shutdown_on_exit=False)
    meter = provider.get_meter("assay")
    for metric in registry(verdict).collect():
        samples = [Observation(s.value, dict(s.labels)) for s in metric.samples]

        def observe(_: CallbackOptions, samples: list[Observation] = samples) -> Iterable[Observation]:
            return samples

        meter.create_observable_gauge(metric.name, callbacks=[observe], description=metric.documentation)
    provider.shutdown(TIMEOUT * 1000)  # collects and exports once, then stops
    if MetricExportResult.SUCCESS not in results:
        raise RuntimeError("the collector did not take the metrics")
    return ["otlp: metrics sent"]
