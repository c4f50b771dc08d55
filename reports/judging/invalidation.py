"""What takes numbers their worth: a generator that was not fit, samples that are missing, clocks that lie."""

from __future__ import annotations

from core.objective import Objective
from core.outcome import Verdict
from reports.judging.confounders import excuse
from reports.judging.measurements import TICK_NS, Measurements
from reports.judging.model import ObjectiveResult
from reports.judging.run_record import LoadRecord, RunRecord, died

TOLERATED_UNHEALTHY = 0.01
"""Share of a load's window that may be unhealthy: one late tick is no saturation. Its samples still count."""


def spoil(
    result: ObjectiveResult,
    objective: Objective,
    run: RunRecord,
    load: LoadRecord | None,
    measured: Measurements,
) -> None:
    """What takes the evidence its worth: no finished load, saturated generator, lost worker, clock trouble."""
    if not result.decides:
        return
    why = ""
    backwards = sum(s.backwards for s in measured.of(objective.metric, dict(objective.labels)))
    if result.profile != "checks":
        if load is None or load.started is None:
            if result.samples == 0:
                result.reason = f"profile '{result.profile}' did not run, so there is no data"
        elif load.finished is None:
            why = f"profile '{result.profile}' did not finish"
        else:
            why = _missing(run, load, measured) or _unhealthy(run, load, objective, measured)
        if run.lost_workers and result.samples:
            who = run.lost_workers[0].get("worker") or run.lost_workers[0].get("name") or "a worker"
            why = why or f"load worker {who} was lost, so the load was not the one planned"
    if backwards:
        why = f"clock trouble: {backwards:,} samples end before they begin"
    if run.died and result.state != Verdict.MET and result.samples:
        why = why or died(run.died[0])
    if why:
        result.state, result.reason = "broken", f"{why}; its numbers are no evidence"
    elif result.profile != "checks" and load is not None:
        excuse(result, objective, run, _window(load, objective, measured))


def _missing(run: RunRecord, load: LoadRecord, measured: Measurements) -> str:
    """Samples that the load says it took and the evidence does not hold."""
    told = load.fields.get("count")
    if not isinstance(told, int):
        return ""
    found = sum(n for source, n in measured.by_file.items() if run.serves(source, load.name))
    if found >= told:
        return ""
    return f"{told - found:,} of the {told:,} samples that '{load.name}' took are missing from the evidence"


def _unhealthy(run: RunRecord, load: LoadRecord, objective: Objective, measured: Measurements) -> str:
    """Why the generator's own state forbids to use the numbers, or nothing. Only its steady window counts.

    A search for the knee overloads on purpose, which delays the generator too: there only the levels that hold count.
    """
    held = [(level["from"], level["to"]) for level in load.levels if level["holds"]]
    windows = held or [_window(load, objective, measured)]
    window = max(1, sum(end - start for start, end in windows))
    bad, reason = 0, ""
    for one in run.unhealthy:
        overlap = sum(max(0, min(one.end, end) - max(one.start, start)) for start, end in windows)
        if overlap > 0 and run.serves(one.source, load.name):
            bad += overlap
            reason = reason or one.reason
    if bad <= TOLERATED_UNHEALTHY * window:
        return ""
    return f"{reason} for {bad / 1e9:.1f} s of {window / 1e9:.0f} s"


def _window(load: LoadRecord, objective: Objective, measured: Measurements) -> tuple[int, int]:
    """From the objective's first steady sample to its last, within the load's steady window; wall-clock nanoseconds.

    Checks may have measured the same before the load: what the generator did while it warmed up is none of theirs.
    """
    start, end = load.steady_from or load.started or 0, load.steady_to or load.finished or 0
    steady = [s for s in measured.of(objective.metric, dict(objective.labels)) if s.at.size]
    if steady:
        first = min(int(s.at.min()) for s in steady) * TICK_NS + measured.origin_ns
        last = max(int(s.at.max()) for s in steady) * TICK_NS + measured.origin_ns
        within = max(start, first), min(end, last)
        return within if within[0] < within[1] else (first, last)
    return start, end
