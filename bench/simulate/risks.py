"""Made platforms with a known truth, judged against limits just inside and just outside of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.signal import lfilter

from core.outcome import Verdict
from reports.judging.stats.batches import Batched
from reports.judging.stats.binomial import RISK
from reports.judging.stats.quantile import decide, reach

Values = NDArray[np.floating]
Rng = np.random.Generator
Made = tuple[Values, Values]
"""Times in seconds, ascending, and the latency of each."""


@dataclass(frozen=True)
class Process:
    """A made platform: `make(rng)` is one run; `stall` how long its stalls are on average, in seconds."""

    name: str
    make: Callable[[Rng], Made]
    truth: float | None = None
    stall: float = 0.0
    p: float = 0.95


def _independent(n: int, rate: float = 4.0) -> Callable[[Rng], Made]:
    return lambda rng: (np.arange(n) / rate, rng.lognormal(0, 0.5, n))


def _waves(n: int, rho: float, rate: float = 100.0) -> Callable[[Rng], Made]:
    def make(rng: Rng) -> Made:
        noise = lfilter([np.sqrt(1 - rho * rho)], [1, -rho], rng.normal(size=n + 5000))[5000:]
        return np.arange(n) / rate, np.asarray(np.exp(0.5 * noise))

    return make


LENGTHS: dict[str, Callable[[Rng, int], Values]] = {
    "exponential": lambda rng, n: rng.exponential(1.0, n),
    "equal": lambda rng, n: np.ones(n),
    "heavy": lambda rng, n: rng.pareto(2.2, n) * 1.2,
}
"""How the lengths of stalls spread, with a mean of one."""


def _stalls(
    seconds: float, every: float, mean: float, rate: float = 50.0, lengths: str = "exponential"
) -> Callable[[Rng], Made]:
    """People arrive at random; stalls begin at random, once in `every` seconds, and last `mean` seconds on
    average; who arrives in one waits for its end, as in an open model."""

    def make(rng: Rng) -> Made:
        at = np.sort(rng.uniform(0, seconds, max(2, rng.poisson(seconds * rate))))
        values = rng.lognormal(0, 0.3, at.size)
        lead = 10 * mean
        starts = rng.uniform(-lead, seconds, rng.poisson((seconds + lead) / every))
        for start, length in zip(starts, LENGTHS[lengths](rng, starts.size) * mean, strict=True):
            first, last = np.searchsorted(at, (start, start + length))
            values[first:last] = np.maximum(values[first:last], (start + length - at[first:last]) * 100)
        return at, values

    return make


def _stalling(
    seconds: float,
    mean: float,
    every: float,
    p: float = 0.95,
    rate: float = 50.0,
    lengths: str = "exponential",
) -> Process:
    spread = "" if lengths == "exponential" else f", {lengths}"
    name = f"p{100 * p:g}, stalls of {mean:g} s each {every:g} s, {seconds:g} s{spread}"
    return Process(name, _stalls(seconds, every, mean, rate, lengths), stall=mean, p=p)


_P95 = float(np.exp(0.5 * stats.norm.ppf(0.95)))
_P75 = float(np.exp(0.5 * stats.norm.ppf(0.75)))
PROCESSES = (
    Process("p95, independent, 60", _independent(60, 0.8), _P95),
    Process("p95, independent, 400", _independent(400), _P95),
    Process("p95, independent, 4,000", _independent(4000, 10), _P95),
    Process("p75, independent, 1,200 in 30 s", _independent(1200, 40), _P75, p=0.75),
    Process("p95, waves of 0.03 s, 9,000 in 90 s", _waves(9000, 0.7), _P95),
    Process("p95, waves of 0.2 s, 6,000 in 60 s", _waves(6000, 0.95), _P95),
    Process("p95, waves of 0.5 s, 12,000 in 120 s", _waves(12000, 0.98), _P95),
    Process("p95, waves of 2 s, 12,000 in 120 s", _waves(12000, 0.995), _P95),
    Process("p75, waves of 0.5 s, 3,000 in 30 s", _waves(3000, 0.98), _P75, p=0.75),
    _stalling(60, 0.25, 5),
    _stalling(60, 1, 20),
    _stalling(60, 1, 14),
    _stalling(90, 0.5, 9),
    _stalling(90, 1, 18),
    _stalling(90, 1, 18, lengths="equal"),
    _stalling(90, 1, 18, lengths="heavy"),
    _stalling(120, 0.5, 10),
    _stalling(600, 1, 18),
    _stalling(600, 3, 60),
    _stalling(600, 5, 90),
    _stalling(30, 0.5, 1.8, 0.75),
    _stalling(30, 1, 3.5, 0.75),
    _stalling(30, 1, 3.5, 0.75, lengths="heavy"),
)
BEYOND = (
    _stalling(90, 2, 38),
    _stalling(180, 3, 58),
    _stalling(600, 10, 190),
    _stalling(30, 3, 10, 0.75),
)
"""Stalls that come some three times in a window, or less: one window in twenty holds none."""

OUTSIDE, INSIDE = (0.90, 0.97, 0.999), (1.001, 1.03, 1.10)
"""Limits as a share of the truth: below it the platform misses, above it the platform meets."""


@dataclass(frozen=True)
class Risks:
    """Shares of made runs. `beyond` of the false `met` had told a reach shorter than the stalls."""

    process: Process
    false_met: float
    beyond: float
    false_missed: float
    unknown_inside: float
    unknown_outside: float


def intervals(
    runs: int, seed: int = 1, processes: Sequence[Process] = PROCESSES, inside: Sequence[float] = INSIDE
) -> list[Risks]:
    """For each process: false verdicts with the limit 0.1 % from the truth, and `unknown` far from it."""
    return [_risks(process, runs, np.random.default_rng(seed), inside) for process in processes]


def _risks(process: Process, runs: int, rng: Rng, inside: Sequence[float]) -> Risks:
    truth = process.truth or _truth(process, rng)
    met = beyond = missed = unknown_in = unknown_out = 0
    for _ in range(runs):
        times, values = process.make(rng)
        data = Batched(values, times, second=1.0)

        def say(share: float, data: Batched = data) -> Verdict:
            return decide(data, process.p, truth * share)

        if say(OUTSIDE[-1]) is Verdict.MET:
            met += 1
            beyond += reach(data, process.p, truth * OUTSIDE[-1]) < process.stall
        missed += say(inside[0]) is Verdict.MISSED
        unknown_out += say(OUTSIDE[0]) is Verdict.UNKNOWN
        unknown_in += say(inside[-1]) is Verdict.UNKNOWN
    counts = (met, beyond, missed, unknown_in, unknown_out)
    return Risks(process, *(n / runs for n in counts))


def _truth(process: Process, rng: Rng) -> float:
    return float(np.quantile(np.concatenate([process.make(rng)[1] for _ in range(600)]), process.p))


HEALTHY = (
    ("gate: p95 of 40/s in 90 s", 0.95, 90.0, 40.0),
    ("nightly: p95 of 50/s in 600 s", 0.95, 600.0, 50.0),
    ("smoke: p75 of 40/s in 30 s", 0.75, 30.0, 40.0),
)
"""Runs of a plan's length: name, quantile, seconds, rate."""
OVER = (0.0, 0.002, 0.005, 0.01, 0.02, 0.03)


def power(runs: int, seed: int = 1) -> list[tuple[str, list[float]]]:
    """How often a healthy run of a plan's length is met, by the share of samples beyond the limit (OVER).

    Half of what is beyond comes alone, half in stalls of a fifth of a second.
    """
    rows = []
    for name, p, seconds, rate in HEALTHY:
        rng = np.random.default_rng(seed)
        rows.append((name, [_met(rng, runs, p, seconds, rate, over) for over in OVER]))
    return rows


def _met(rng: Rng, runs: int, p: float, seconds: float, rate: float, over: float) -> float:
    met = 0
    for _ in range(runs):
        at = np.sort(rng.uniform(0, seconds, int(seconds * rate)))
        slow = rng.random(at.size) < over / 2
        for start in rng.uniform(0, seconds, rng.poisson(seconds * over / 2 / 0.2)):
            slow |= (at >= start) & (at < start + 0.2)
        met += decide(Batched(np.where(slow, 2.0, 0.5), at, second=1.0), p, 1.0) is Verdict.MET
    return met / runs


def print_intervals(runs: int) -> None:
    """The tables of `intervals` and of `power`, in percent."""
    print(
        f"{runs} made runs each; stated risk {RISK:.0%} a side. Limit 0.1 % from the truth: false verdicts, and"
    )
    print("false met beyond the reach that was told. Limit 10 % from the truth: how often unknown.\n")
    print(f"{'':52s} false met  beyond  false missed  unknown in/outside")
    for group in (PROCESSES, BEYOND):
        for r in intervals(runs, processes=group):
            print(
                f"{r.process.name:52s} {r.false_met:8.1%} {r.beyond:8.1%} {r.false_missed:12.1%} "
                f"{r.unknown_inside:10.0%} / {r.unknown_outside:.0%}",
                flush=True,
            )
        if group is PROCESSES:
            print("\nStalls that come three times in the window or less: no rule sees what did not come.\n")
    print(
        "\nMet, by the share of samples beyond the limit, half of them alone and half in stalls of 0.2 s:\n"
    )
    print(f"{'':52s}" + "".join(f"{over:>8.1%}" for over in OVER))
    for name, shares in power(runs):
        print(f"{name:52s}" + "".join(f"{share:>8.0%}" for share in shares))
