"""What one process measured since it last told: the unit in which the live view grows and workers report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.load_events import SeriesSummary
from core.outcome import Phase, SampleOutcome
from loadengine.measure.histogram import Histogram

HISTOGRAMS = ("response", "service", "lag", "live")
"""Response, service and lag of the steady window's answered operations; response of everything, live."""


@dataclass(slots=True)
class Delta:
    """Counts by phase and outcome, causes, and histograms of one series; adding them up is exact."""

    metric: str
    labels: dict[str, str]
    counts: np.ndarray[Any, Any]
    causes: Counter[str]
    histograms: dict[str, Histogram]

    @property
    def key(self) -> tuple[str, ...]:
        """How the same series is called in every process."""
        return (self.metric, *(f"{k}={v}" for k, v in sorted(self.labels.items())))

    @property
    def name(self) -> str:
        """For people."""
        return self.labels.get("name") or " ".join([self.metric, *self.labels.values()])

    @classmethod
    def empty(cls, metric: str, labels: Mapping[str, str]) -> Delta:
        """Nothing yet."""
        counts = np.zeros((len(Phase), len(SampleOutcome)), np.int64)
        return cls(metric, dict(labels), counts, Counter(), {name: Histogram() for name in HISTOGRAMS})

    def merge(self, other: Delta) -> None:
        """Adds another one of the same series."""
        self.counts += other.counts
        self.causes.update(other.causes)
        for name, histogram in self.histograms.items():
            histogram.merge(other.histograms[name])

    def pack(self) -> dict[str, Any]:
        """As plain values for Locust's messages."""
        return {
            "metric": self.metric,
            "labels": self.labels,
            "counts": self.counts.tolist(),
            "causes": dict(self.causes),
            "histograms": {n: h.to_bytes() for n, h in self.histograms.items() if h.total},
        }

    @classmethod
    def unpack(cls, data: Mapping[str, Any]) -> Delta:
        """The inverse of `pack`."""
        found = cls.empty(data["metric"], data["labels"])
        found.counts += np.array(data["counts"], np.int64)
        found.causes.update(data["causes"])
        for name, packed in data["histograms"].items():
            found.histograms[name] = Histogram.from_bytes(packed)
        return found

    def summary(self) -> SeriesSummary:
        """Counts by phase and outcome, causes, and the steady window's percentiles in ms."""
        outcomes = [outcome.name.lower() for outcome in SampleOutcome]
        percents = (50.0, 95.0, 99.0, 99.9, 100.0)
        return SeriesSummary(
            metric=self.metric,
            labels=dict(self.labels),
            counts={
                phase.name.lower(): dict(zip(outcomes, self.counts[phase].tolist(), strict=True))
                for phase in Phase
            },
            causes=dict(self.causes.most_common(20)),
            percentiles={
                name: {f"{p:g}": v for p, v in zip(percents, histogram.percentiles(*percents), strict=True)}
                for name, histogram in self.histograms.items()
                if histogram.total and name != "live"
            },
        )
