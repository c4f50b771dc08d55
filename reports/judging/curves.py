"""The curves behind an objective: distribution by percentile, and how it went over time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

PERCENTILES = (
    0,
    10,
    20,
    30,
    40,
    50,
    60,
    70,
    75,
    80,
    85,
    90,
    92.5,
    95,
    97,
    98,
    99,
    99.5,
    99.9,
    99.95,
    99.99,
    99.999,
    100,
)
BINS = 120


def distribution(ordered: NDArray[np.floating]) -> list[list[float]]:
    """Pairs of percentile and value, as far as the samples reach (99.9 needs a thousand)."""
    n = int(ordered.size)
    points: list[list[float]] = []
    for p in PERCENTILES:
        if n == 0 or (p not in (0, 100) and (100 - p) / 100 * n < 1):
            continue
        value = float(ordered[min(n - 1, max(0, int(np.ceil(p / 100 * n)) - 1))])
        if np.isfinite(value):
            points.append([p, round(value, 4)])
    return points


def over_time(
    values: NDArray[np.floating], at: NDArray[np.uint32], failed: NDArray[np.bool_], tick: float
) -> dict[str, Any]:
    """Per stretch of time: samples, failures, median, p95 and largest. `tick` is seconds per unit of `at`."""
    if not values.size:
        return {"step": 0, "rows": []}
    start, end = int(at.min()), int(at.max())
    span = max(1, end - start) * tick
    step = max(0.25, span / BINS)
    bins = max(1, int(np.ceil(span / step)))
    index = np.minimum(((at - np.uint32(start)) * (tick / step)).astype(np.int16), bins - 1)
    order = np.argsort(index, kind="stable")
    edges = np.searchsorted(index[order], np.arange(bins + 1))
    grouped, bad = values[order], failed[order]
    rows: list[list[float | None]] = []
    for i in range(bins):
        part = grouped[edges[i] : edges[i + 1]]
        wrong = int(bad[edges[i] : edges[i + 1]].sum())
        good = np.sort(part[np.isfinite(part)])
        if good.size:
            three = [float(good[min(good.size - 1, int(q * good.size))]) for q in (0.5, 0.95)] + [
                float(good[-1])
            ]
            rows.append([round(i * step, 2), int(part.size), wrong, *(round(v, 4) for v in three)])
        else:
            rows.append([round(i * step, 2), int(part.size), wrong, None, None, None])
    return {"step": round(step, 3), "rows": rows}
