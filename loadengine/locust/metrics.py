"""The load as Prometheus metrics: at `--assay-metrics-port` on 127.0.0.1, and at /metrics of Locust's web UI."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import gevent
from gevent.pywsgi import WSGIServer
from prometheus_client import CollectorRegistry, generate_latest, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from core.errors import ConfigError
from core.otlp import collector, send_metrics
from core.outcome import SampleOutcome
from core.user_settings import setting
from loadengine.locust.controller import LoadController

PORT = "ASSAY_METRICS_PORT"
_QUANTILES = (50.0, 95.0, 99.0, 99.9)


class LoadCollector:
    """Reads a controller's view when asked; keeps nothing."""

    def __init__(self, controller: LoadController, environment: Any) -> None:
        self._controller = controller
        self._environment = environment

    def collect(self) -> Iterator[Metric]:
        """All metrics, as they are now."""
        view = self._controller.view
        operations = CounterMetricFamily(
            "assay_operations", "Operations by outcome, all phases", labels=["metric", "name", "outcome"]
        )
        response = GaugeMetricFamily(
            "assay_response_seconds",
            "Response times of the steady window, from the intended send",
            labels=["metric", "name", "quantile"],
        )
        for delta in list(view.series.values()):
            outcomes = delta.counts.sum(axis=0)
            for outcome in SampleOutcome:
                operations.add_metric(
                    [delta.metric, delta.name, outcome.name.lower()], int(outcomes[outcome])
                )
            steady = delta.histograms["response"]
            for quantile in _QUANTILES if steady.total else ():
                value = steady.percentile(quantile) / 1000
                response.add_metric([delta.metric, delta.name, f"{quantile / 100:g}"], value)
        yield operations
        yield response
        recent = view.recent(time.monotonic_ns(), 5.0)
        yield GaugeMetricFamily(
            "assay_rate", "Operations per second, last 5 s", recent.count / recent.seconds
        )
        yield GaugeMetricFamily("assay_failure_ratio", "Wrong or failed, last 5 s", recent.failure_share)
        yield GaugeMetricFamily("assay_users", "Users now", self._environment.runner.user_count)
        yield from self._generators()

    def _generators(self) -> Iterator[Metric]:
        health = list(self._controller.health.items())
        for key, text in (
            ("ok", "1 while the generator is fit to measure"),
            ("cpu", "Share of a core that the generator uses"),
            ("lag_p99_ms", "Send lag (p99) of its last second, in ms"),
            ("files", "Open file descriptors"),
            ("memory_mb", "Resident memory in MB"),
            ("under_way", "Operations that have not ended"),
        ):
            family = GaugeMetricFamily(f"assay_generator_{key}", text, labels=["worker"])
            for worker, state in health:
                family.add_metric([worker], float(getattr(state, key)))
            yield family
        yield GaugeMetricFamily("assay_workers_lost", "Workers that died", len(self._controller.lost))


EXPORT_EVERY = 10.0
"""Seconds between two exports to an OpenTelemetry collector."""


def serve(controller: LoadController, environment: Any, port: int) -> None:
    """Offers the metrics: on the web UI if there is one, on a port of 127.0.0.1 if one is named, and to a collector."""
    registry = CollectorRegistry()
    registry.register(LoadCollector(controller, environment))
    if environment.web_ui is not None:

        @environment.web_ui.app.route("/metrics")  # type: ignore[untyped-decorator]
        def metrics() -> tuple[bytes, dict[str, str]]:
            return generate_latest(registry), {"content-type": "text/plain; version=0.0.4; charset=utf-8"}

    if address := collector():
        gevent.spawn(_export, registry, address)
    if port := port or _asked_port():
        try:
            WSGIServer(("127.0.0.1", port), make_wsgi_app(registry), log=None).start()
        except OSError as error:  # another load of the run has it: numbers are judged from the journal anyhow
            print(f"assay: no metrics at port {port}: {error.strerror or error}", flush=True)


def _asked_port() -> int:
    """ASSAY_METRICS_PORT; 0 where it is not set. Raises ConfigError."""
    text = setting(PORT)
    if text and not (text.isdigit() and int(text) < 65536):
        raise ConfigError(f"{PORT}='{text}' is no port; name one such as 9646.")
    return int(text or 0)


def _export(registry: CollectorRegistry, address: str) -> None:
    """Sends them again and again; a collector that is away costs the load nothing but a line."""
    said = False
    while True:
        gevent.sleep(EXPORT_EVERY)
        try:
            send_metrics(list(registry.collect()), address, {"assay.part": "load"})
        except RuntimeError as error:
            if not said:
                said = True
                print(f"assay: OpenTelemetry: {error}", flush=True)
