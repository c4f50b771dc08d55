"""From sample blocks to numpy arrays by series: 10 million samples in seconds, 13 bytes each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.evidence import Evidence
from core.outcome import Phase, SampleOutcome

TICK_NS = 100_000
"""Times are kept in ticks of 0.1 ms since the first sample's second: 32 bits hold four days."""

FAILED = (SampleOutcome.WRONG, SampleOutcome.ERROR, SampleOutcome.REFUSED)


@dataclass
class Measured:
    """All steady samples of one metric and one set of labels in one journal.

    `response` is done - intended and `service` done - sent, both in milliseconds; `at` is the intended
    time in ticks on the run's own axis; `outcome` a SampleOutcome.
    """

    metric: str
    unit: str
    labels: dict[str, str]
    response: NDArray[np.float32]
    service: NDArray[np.float32]
    at: NDArray[np.uint32]
    outcome: NDArray[np.uint8]
    backwards: int = 0
    other_phases: int = 0
    source: str = ""
    """The journal that they stand in (a file's stem)."""

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Which operations failed: wrong, error or refused."""
        return np.isin(self.outcome, FAILED)

    @property
    def cancelled(self) -> NDArray[np.bool_]:
        """Which operations were cut off before they ended."""
        return np.asarray(self.outcome == SampleOutcome.CANCELLED)


@dataclass
class Measurements:
    """Every series of a run; `origin_ns` is the wall-clock time of tick 0.

    `total` counts all phases; `by_file` the same by the journal that they stand in.
    """

    series: list[Measured] = field(default_factory=list)
    origin_ns: int = 0
    total: int = 0
    by_file: dict[str, int] = field(default_factory=dict)

    def of(self, metric: str, labels: dict[str, str]) -> list[Measured]:
        """The series of a metric that carry these labels."""
        return [s for s in self.series if s.metric == metric and labels.items() <= s.labels.items()]

    def tick_of(self, wall_ns: int) -> int:
        """A wall-clock time on the samples' axis."""
        return (wall_ns - self.origin_ns) // TICK_NS


@dataclass
class _Parts:
    unit: str
    arrays: list[tuple[NDArray[Any], ...]] = field(default_factory=list)
    backwards: int = 0
    other: int = 0


def measure(evidence: Evidence) -> Measurements:
    """Reads the samples of every process; each on its own file's clock, so hosts may differ."""
    parts: dict[tuple[str, tuple[tuple[str, str], ...], str], _Parts] = {}
    found = Measurements()
    for file, names, block in evidence.blocks():
        if not len(block):
            continue
        offset, source = file.offset_ns, file.source
        if not found.origin_ns:
            found.origin_ns = int(block["intended"].min()) + offset - 3_600_000_000_000
        found.total += len(block)
        found.by_file[source] = found.by_file.get(source, 0) + len(block)
        numbers = block["series"]
        first = int(numbers[0])
        present = [first] if bool((numbers == first).all()) else np.unique(numbers).tolist()
        for number in present:
            series = names.get(number)
            if series is None:
                continue
            chosen = block if len(present) == 1 else block[numbers == number]
            key = (series.metric, tuple(sorted(series.labels.items())), source)
            _add(parts.setdefault(key, _Parts(series.unit)), chosen, offset - found.origin_ns)
    for (metric, labels, source), part in sorted(parts.items(), key=lambda item: item[0]):
        columns = [np.concatenate(column) for column in zip(*part.arrays, strict=True)] or [
            np.zeros(0, t) for t in (np.float32, np.float32, np.uint32, np.uint8)
        ]
        part.arrays.clear()
        found.series.append(
            Measured(
                metric,
                part.unit,
                dict(labels),
                columns[0],
                columns[1],
                columns[2],
                columns[3],
                part.backwards,
                part.other,
                source,
            )
        )
    return found


def _add(part: _Parts, block: NDArray[Any], offset: int) -> None:
    steady = block[block["phase"] == Phase.STEADY]
    part.other += len(block) - len(steady)
    if not len(steady):
        return
    intended, sent, done = steady["intended"], steady["sent"], steady["done"]
    part.backwards += int(((done < sent) | (sent < intended - TICK_NS)).sum())
    part.arrays.append(
        (
            ((done - intended) / 1e6).astype(np.float32),
            ((done - sent) / 1e6).astype(np.float32),
            ((intended + offset) // TICK_NS).astype(np.uint32),
            steady["outcome"].astype(np.uint8),
        )
    )
