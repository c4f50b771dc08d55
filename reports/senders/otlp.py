"""The verdict's numbers to an OpenTelemetry collector, when OTEL_EXPORTER_OTLP_ENDPOINT names one."""

from __future__ import annotations

from core.otlp import endpoint, send_metrics
from reports.judging.model import RunVerdict
from reports.rendering.writers.prometheus import registry
from reports.senders import TIMEOUT, SendContext


def send(verdict: RunVerdict, context: SendContext) -> list[str]:
    """Exports the same gauges as metrics.prom, once, over OTLP/HTTP."""
    address = endpoint(context.environ)
    if not address:
        return []
    about = {"assay.run": verdict.run, "vcs.ref.head.revision": verdict.commit}
    send_metrics(registry(verdict).collect(), address, about, TIMEOUT)
    return ["otlp: metrics sent"]
