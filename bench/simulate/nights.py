"""Nights of pure noise (false alarms) and nights that became slower (detection), by rule."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from reports.history import regression as rules

Values = NDArray[np.floating]
Rng = np.random.Generator

REQUESTS = 200
NIGHTS = 7
NOISES: dict[str, dict[str, float]] = {
    "sd 3 %": {"sd": 0.03},
    "sd 5 %": {"sd": 0.05},
    "sd 10 %": {"sd": 0.10},
    "5 % + bad nights": {"sd": 0.05, "bad": 0.05},
    "5 % + waves": {"sd": 0.05, "rho": 0.5},
}


def nights(
    rng: Rng, count: int, shift: float, shifted: int, *, sd: float, bad: float = 0.0, rho: float = 0.0
) -> Values:
    """Latencies of `count` nights (rows), the last `shifted` of them slower by `shift`.

    `sd` is the noise between nights, `bad` the share of nights with a noisy neighbour (+30 to 60 %), `rho`
    the correlation between one night and the next.
    """
    level = rng.normal(0, sd, count)
    for i in range(1, count if rho else 0):
        level[i] = rho * level[i - 1] + np.sqrt(1 - rho * rho) * level[i]
    if bad:
        level += np.where(rng.random(count) < bad, np.log(rng.uniform(1.3, 1.6, count)), 0)
    level[count - shifted :] += np.log1p(shift)
    return np.asarray(rng.lognormal(np.log(100) + level[:, None], 0.25, (count, REQUESTS)))


def _pooled(p: Values, x: Values) -> bool:
    return bool(stats.mannwhitneyu(x[-1], x[-31:-1].ravel(), alternative="greater").pvalue < 0.01)


def _median_mad(p: Values, x: Values) -> bool:
    base = p[-31:-1]
    middle = np.median(base)
    return bool(p[-1] > middle + max(4 * 1.4826 * np.median(np.abs(base - middle)), 0.05 * middle))


RULES: dict[str, Callable[[Values, Values], bool]] = {
    "last run + 10 %": lambda p, x: bool(p[-1] > p[-2] * 1.10),
    "mean of 30 + 10 % (fixed threshold)": lambda p, x: bool(p[-1] > p[-31:-1].mean() * 1.10),
    "pooled Mann-Whitney on requests, 1 %": _pooled,
    "median + 4 MAD, at least 5 %": _median_mad,
    "ours, first night (warns)": lambda p, x: rules.jumped(p[-31:-1].tolist(), float(p[-1])),
    "ours, three nights (blocks)": lambda p, x: rules.shifted(p[-33:-3].tolist(), p[-3:].tolist()),
}


def regression(runs: int, seed: int = 1) -> dict[str, dict[str, tuple[float, float, float, float]]]:
    """By rule and noise: false alarms a night, in a week, and +10 % and +20 % found within a week."""
    table: dict[str, dict[str, tuple[float, float, float, float]]] = {rule: {} for rule in RULES}
    for noise, how in NOISES.items():
        counts = {rule: np.zeros(4) for rule in RULES}
        for column, shift in ((1, 0.0), (2, 0.10), (3, 0.20)):
            rng = np.random.default_rng(seed + column)
            for _ in range(runs):
                x = nights(rng, 33 + NIGHTS, shift, NIGHTS, **how)
                p = np.percentile(x, 95, axis=1)
                for rule, alarm in RULES.items():
                    rang = [alarm(p[: 34 + k], x[: 34 + k]) for k in range(NIGHTS)]
                    counts[rule][column] += any(rang)
                    if column == 1:
                        counts[rule][0] += rang[0]
        for rule, found in counts.items():
            a, b, c, d = (found / runs).tolist()
            table[rule][noise] = (a, b, c, d)
    return table


def print_regression(runs: int) -> None:
    """The table of `regression`, in percent."""
    print(
        f"{runs} made histories each: 33 nights, then a week. In percent: false alarm in one night / in a week |"
    )
    print("+10 % found within the week / +20 %\n")
    table = regression(runs)
    print(f"{'':38s}" + "".join(f"{noise:>21s}" for noise in NOISES))
    for rule, by_noise in table.items():
        cells = [
            f"{a * 100:.1f}/{b * 100:.0f} | {c * 100:.0f}/{d * 100:.0f}" for a, b, c, d in by_noise.values()
        ]
        print(f"{rule:38s}" + "".join(f"{cell:>21s}" for cell in cells))
