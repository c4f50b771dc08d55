"""What the rules cost and find, by simulation. `python -m reports.simulate intervals|regression [--runs N]`.

intervals: thousands of made runs, independent, waving (autocorrelated) and with stalls, judged against limits
just inside and just outside the truth. False `met` and false `missed` must stay under the stated risk.
regression: nights of pure noise (false alarms) and nights that became slower (detection), for our rules and
the usual alternatives.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.signal import lfilter

from core.outcome import Verdict
from reports import regression as rules
from reports.stats.batches import Batched
from reports.stats.binomial import RISK
from reports.stats.quantile import decide

Values = NDArray[np.floating]
Rng = np.random.Generator

# -- intervals ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Process:
    """A made platform: `make(rng)` is one run's latencies, `within` whether our stated scope holds for it."""

    name: str
    make: Callable[[Rng], Values]
    truth: float | None = None
    within: bool = True


def _independent(n: int) -> Callable[[Rng], Values]:
    return lambda rng: rng.lognormal(0, 0.5, n)


def _waves(n: int, rho: float) -> Callable[[Rng], Values]:
    def make(rng: Rng) -> Values:
        noise = lfilter([np.sqrt(1 - rho * rho)], [1, -rho], rng.normal(size=n + 2000))[2000:]
        return np.asarray(np.exp(0.5 * noise))

    return make


def _stalls(seconds: float, every: float, mean: float, rate: float = 100.0) -> Callable[[Rng], Values]:
    """Stalls begin at random, once in `every` seconds, and last `mean` seconds (exponential); who arrives in
    one waits for its end, as in an open model."""

    def make(rng: Rng) -> Values:
        at = np.arange(int(seconds * rate)) / rate
        values = rng.lognormal(0, 0.3, at.size)
        lead = 6 * mean
        starts = rng.uniform(-lead, seconds, rng.poisson((seconds + lead) / every))
        for start, length in zip(starts, rng.exponential(mean, starts.size), strict=True):
            hit = (at >= start) & (at < start + length)
            values[hit] = np.maximum(values[hit], (start + length - at[hit]) * 100)
        return values

    return make


_P95 = float(np.exp(0.5 * stats.norm.ppf(0.95)))
PROCESSES = (
    Process("independent, 60", _independent(60), _P95),
    Process("independent, 400", _independent(400), _P95),
    Process("independent, 4,000", _independent(4000), _P95),
    Process("waves of 0.03 s, 4,000 in 40 s", _waves(4000, 0.7), _P95),
    Process("waves of 0.2 s, 6,000 in 60 s", _waves(6000, 0.95), _P95),
    Process("waves of 0.5 s, 12,000 in 120 s", _waves(12000, 0.98), _P95),
    Process("stalls 0.25 s each 5 s, 60 s", _stalls(60, 5, 0.25)),
    Process("stalls 0.5 s each 10 s, 120 s", _stalls(120, 10, 0.5)),
    Process("stalls 3 s each 60 s, 600 s", _stalls(600, 60, 3)),
    Process("stalls 1 s each 20 s, 60 s (3 expected)", _stalls(60, 20, 1.0), within=False),
)
OUTSIDE, INSIDE = (0.90, 0.97, 0.999), (1.001, 1.03, 1.10)
"""Limits as a share of the true p95: below it the platform misses, above it the platform meets."""


def intervals(
    runs: int, seed: int = 1, processes: Sequence[Process] = PROCESSES
) -> list[tuple[Process, float, float, float, float]]:
    """For each process: share of false met, false missed, and of unknown far inside and far outside."""
    rows = []
    for process in processes:
        rng = np.random.default_rng(seed)
        truth = process.truth or _truth(process, rng)
        false_met = false_missed = unknown_in = unknown_out = 0
        for _ in range(runs):
            values = process.make(rng)
            data = Batched(values, np.arange(values.size))
            out = [decide(data, 0.95, truth * f) for f in OUTSIDE]
            inside = [decide(data, 0.95, truth * f) for f in INSIDE]
            false_met += out[-1] is Verdict.MET
            false_missed += inside[0] is Verdict.MISSED
            unknown_out += out[0] is Verdict.UNKNOWN
            unknown_in += inside[-1] is Verdict.UNKNOWN
        rows.append((process, false_met / runs, false_missed / runs, unknown_in / runs, unknown_out / runs))
    return rows


def _truth(process: Process, rng: Rng) -> float:
    return float(np.quantile(np.concatenate([process.make(rng) for _ in range(400)]), 0.95))


def print_intervals(runs: int) -> None:
    """The table of `intervals`, in percent."""
    print(
        f"{runs} made runs each; p95; stated risk {RISK:.0%} a side. Limit 0.1 % from the truth: false verdicts."
    )
    print("Limit 10 % from the truth: how often it stays unknown.\n")
    print(f"{'':42s} false met  false missed   unknown 10 % inside / outside")
    for process, met, missed, inside, outside in intervals(runs):
        scope = "" if process.within else "   beyond our scope"
        print(f"{process.name:42s} {met:8.1%} {missed:12.1%} {inside:14.0%} / {outside:.0%}{scope}")
    print(
        "\nScope: a window that holds some six stalls or more; with three, one run in twenty sees none at all."
    )


# -- regression -----------------------------------------------------------------------------------------------

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


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m reports.simulate", description=__doc__.split("\n")[0] if __doc__ else ""
    )
    parser.add_argument("what", choices=("intervals", "regression"))
    parser.add_argument("--runs", type=int, default=1000, help="made runs of each kind (default 1000)")
    options = parser.parse_args()
    (print_intervals if options.what == "intervals" else print_regression)(options.runs)


if __name__ == "__main__":
    main()
