"""What a watch knows as Prometheus metrics: read by a file collector from `metrics.prom`, and sent over OpenTelemetry."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from runner.watch.burn import MONTH, availability, budget_left
from runner.watch.store import Store


class Metrics(Collector):
    """A store's probes and incidents at a moment (Unix seconds), by an objective (a share)."""

    def __init__(self, store: Store, now: float, objective: float) -> None:
        self._store, self._now, self._objective = store, now, objective

    def collect(self) -> Iterator[Metric]:
        """All metrics."""

        def gauge(name: str, words: str) -> GaugeMetricFamily:
            return GaugeMetricFamily(f"assay_watch_{name}", words, labels=["probe"])

        up = gauge("up", "1 where the last probe went well")
        seconds = gauge("probe_seconds", "Duration of the last probe")
        share = gauge("availability_ratio", "Share of probes that went well in 30 days")
        budget = gauge("error_budget_left_ratio", "Share of the month's error budget that is left")
        incident = gauge("incident_open", "1 while an incident is open")
        opened = {one.name for one in self._store.incidents(open_only=True)}
        for name in self._store.names():
            outcomes = self._store.outcomes(name, self._now - MONTH)
            if (last := self._store.last(name)) is None:
                continue
            up.add_metric([name], last.well)
            seconds.add_metric([name], last.seconds)
            share.add_metric([name], availability(outcomes, self._now - MONTH).share or 0.0)
            budget.add_metric([name], budget_left(outcomes, self._now, self._objective))
            incident.add_metric([name], name in opened)
        yield from (up, seconds, share, budget, incident)
        yield GaugeMetricFamily("assay_watch_seen_seconds", "When the last round was, Unix time", self._now)
