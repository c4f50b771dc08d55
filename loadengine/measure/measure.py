"""What a sample counts for."""

from __future__ import annotations


class Measure:
    """A metric of `reports/objectives.toml` (or any other) and its labels.

    Declared once in a profile; has a number of its own in every process.
    """

    __slots__ = ("labels", "metric")

    def __init__(self, metric: str, **labels: str) -> None:
        self.metric = metric
        self.labels = labels
