"""Invalidates results whose evidence is unreliable: an unfit generator, missing samples, clock errors."""

from __future__ import annotations

from collections.abc import Iterable

from core.objective import Objective
from core.outcome import LoadOutcome, Verdict
from reports.judging.confounders import mark_inconclusive
from reports.judging.grouping import series_of
from reports.judging.measurements import TICK_NS, Measured, Measurements
from reports.judging.model import ObjectiveResult
from reports.judging.run_record import CHECKS, LoadRecord, RunRecord, Unhealthy, died

TOLERATED_UNHEALTHY = 0.01
"""Share of a load's window that may be unhealthy: one late tick is no saturation. Its samples still count."""


def invalidate(
    result: ObjectiveResult,
    objective: Objective,
    run: RunRecord,
    load: LoadRecord | None,
    measured: Measurements,
) -> None:
    """Makes a result broken or unknown where its load was not whole, or a generator, worker or clock failed."""
    if not result.decides:
        return
    why = ""
    series = series_of(result, objective, run, measured)
    if result.profile != CHECKS:
        if load is None or load.started is None:
            if result.samples == 0:
                result.reason = f"profile '{result.profile}' did not run, so there is no data"
        else:
            why = broken(load) or _missing(run, load, measured) or _unhealthy(run, load, series, measured)
        if load is not None and load.lost and result.samples:
            why = f"load worker {load.lost[0].worker} was lost, so the load was not the one planned"
    if backwards := sum(s.backwards for s in series):
        why = f"clock trouble: {backwards:,} samples end before they begin"
    if run.died and result.state != Verdict.MET and result.samples:
        why = why or died(run.died[0])
    if why:
        result.state, result.reason = "broken", f"{why}; its numbers are no evidence"
    elif result.profile != CHECKS and load is not None:
        if load.end and load.end.outcome == LoadOutcome.STOPPED and result.state == Verdict.MET:
            result.state = str(Verdict.UNKNOWN)
            result.reason = f"{result.reason}, but the load stopped itself: {load.end.reason}"
        mark_inconclusive(result, objective, run, _window(load, series, measured))


def broken(load: LoadRecord) -> str:
    """Why a load's numbers are worth nothing at all, or nothing: it did not end, it was broken, its users failed."""
    if load.end is None:
        return f"profile '{load.name}' did not finish"
    if load.failures:
        return f"profile '{load.name}' itself failed: {user_failures(load)}"
    if load.end.outcome == LoadOutcome.BROKEN:
        return f"profile '{load.name}' was broken: {load.end.reason}"
    return ""


def user_failures(load: LoadRecord) -> str:
    """The errors of a load's users in words: the first, and how many more kinds there are."""
    first, *more = load.failures
    others = f", and {len(more)} other errors" if more else ""
    return f"a task raised {first.error} ({first.count:,} times){others}"


def _missing(run: RunRecord, load: LoadRecord, measured: Measurements) -> str:
    """Samples that the load says it took and the evidence does not hold."""
    counted = max(load.end.count, sum(load.end.counted_by_workers.values())) if load.end else 0
    found = sum(n for source, n in measured.by_file.items() if run.serves(source, load.name))
    if found >= counted:
        return ""
    return f"{counted - found:,} of the {counted:,} samples that '{load.name}' took are missing from the evidence"


def _unhealthy(run: RunRecord, load: LoadRecord, series: list[Measured], measured: Measurements) -> str:
    """Why the generator's own state forbids to use the numbers, or nothing. Only its steady window counts.

    A search for the knee overloads on purpose, which delays the generator too: there only the levels that hold count.
    """
    held = [(level.start, level.end) for level in load.levels if level.holds]
    own = [one for one in run.unhealthy if run.serves(one.source, load.name)]
    return unfit_reason(own, held or [_window(load, series, measured)])


def unfit_reason(unhealthy: Iterable[Unhealthy], windows: list[tuple[int, int]]) -> str:
    """Whether a generator was unfit for more than is tolerated of these windows, in words; the only such rule."""
    whole = max(1, sum(end - start for start, end in windows))
    bad, reason = 0, ""
    for one in unhealthy:
        overlap = sum(max(0, min(one.end, end) - max(one.start, start)) for start, end in windows)
        if overlap > 0:
            bad, reason = bad + overlap, reason or one.reason
    if bad <= TOLERATED_UNHEALTHY * whole:
        return ""
    return f"{reason} for {bad / 1e9:.1f} s of {whole / 1e9:.0f} s"


def _window(load: LoadRecord, series: list[Measured], measured: Measurements) -> tuple[int, int]:
    """From the objective's first steady sample to its last, within the load's steady window; wall-clock nanoseconds."""
    start, end = load.steady_from or load.started or 0, load.steady_to or load.finished or 0
    steady = [s for s in series if s.at.size]
    if steady:
        first = min(int(s.at.min()) for s in steady) * TICK_NS + measured.origin_ns
        last = max(int(s.at.max()) for s in steady) * TICK_NS + measured.origin_ns
        within = max(start, first), min(end, last)
        return within if within[0] < within[1] else (first, last)
    return start, end
