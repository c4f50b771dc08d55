"""Prometheus' metrics, as they stand now, to an OpenTelemetry collector over OTLP/HTTP (opentelemetry.io/docs/specs/otlp).

Where it is, the environment says in OpenTelemetry's own words: OTEL_EXPORTER_OTLP_METRICS_ENDPOINT, with its whole path, or
OTEL_EXPORTER_OTLP_ENDPOINT, without.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import Metric

from core.user_settings import setting

EXACT, BASE = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
TIMEOUT = 10
"""Seconds that a collector has to take them."""


def endpoint(environment: Mapping[str, str]) -> str:
    """Where metrics go; empty where nobody named a collector."""
    exact, base = environment.get(EXACT), environment.get(BASE)
    return exact or (f"{base.rstrip('/')}/v1/metrics" if base else "")


def collector() -> str:
    """Where this process's metrics go; empty where the user named no collector."""
    return endpoint({name: setting(name) for name in (EXACT, BASE)})


def send_metrics(
    metrics: Iterable[Metric], address: str, about: Mapping[str, str], timeout: float = TIMEOUT
) -> None:
    """Exports them once; `about` names who they are of. Raises RuntimeError where the collector does not take them."""
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

    reader = PeriodicExportingMetricReader(
        Exporter(endpoint=address, timeout=timeout), export_interval_millis=3_600_000
    )
    resource = Resource.create({"service.name": "assay", **about})
    provider = MeterProvider(metric_readers=[reader], resource=resource, shutdown_on_exit=False)
    meter = provider.get_meter("assay")
    for metric in metrics:
        samples = [
            Observation(s.value, dict(s.labels)) for s in metric.samples if not s.name.endswith("_created")
        ]

        def observe(_: CallbackOptions, samples: list[Observation] = samples) -> Iterable[Observation]:
            return samples

        make = meter.create_observable_counter if metric.type == "counter" else meter.create_observable_gauge
        make(metric.name, callbacks=[observe], description=metric.documentation)
    provider.shutdown(timeout * 1000)  # collects and exports once, then stops
    if MetricExportResult.SUCCESS not in results:
        raise RuntimeError("the collector did not take the metrics")
