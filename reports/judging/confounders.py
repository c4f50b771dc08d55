"""Conditions beside the platform that decide a result: the distance to it, and a stand-in at its own limit."""

from __future__ import annotations

from core.events import ComponentSaturated
from core.objective import Objective
from core.outcome import Verdict
from reports.judging.model import ObjectiveResult
from reports.judging.run_record import RunRecord

FAR = 0.25
"""Share of a latency's limit that the round trip between generator and target may take."""
TOLERATED = 0.01
"""Share of the window that a stand-in may be saturated before a miss is put down to it."""

_MS = {"ms": 1.0, "s": 1000.0}
_GATEWAY = ("supabase", "platform", "r2")
"""Services whose operations pass through the embedded target's Supabase gateway."""


def mark_inconclusive(
    result: ObjectiveResult, objective: Objective, run: RunRecord, window: tuple[int, int]
) -> None:
    """Makes `unknown` of what the surroundings decided: a generator too far away, a miss while a stand-in was full."""
    if why := _too_far(result, objective, run):
        result.state, result.reason = str(Verdict.UNKNOWN), why
    elif result.state == Verdict.MISSED and (why := _saturated(objective, run, window)):
        result.state, result.reason = str(Verdict.UNKNOWN), f"{why}: {result.reason}"


def _too_far(result: ObjectiveResult, objective: Objective, run: RunRecord) -> str:
    network = run.network.get(result.profile)
    if network is None or objective.percentile is None or objective.unit not in _MS:
        return ""
    origin = "VITE_SUPABASE_URL" if objective.service.startswith("supabase") else "PLATFORM_URL"
    trip = network.round_trip_ms.get(origin)
    limit = objective.limit * _MS[objective.unit]
    if trip is None or trip <= limit * FAR:
        return ""
    where = f" in {network.region}" if network.region else ""
    return (
        f"generator too far{where}: one round trip takes {trip:.0f} ms, more than {FAR:.0%} of the limit "
        f"({objective.limit:g} {objective.unit}); generate the load nearer to the target"
    )


def _saturated(objective: Objective, run: RunRecord, window: tuple[int, int]) -> str:
    if not objective.service.startswith(_GATEWAY):
        return ""
    start, end = window
    inside = [one for one in run.saturated if one.end > start and one.start < end]
    lasted = sum(min(one.end, end) - max(one.start, start) for one in inside)
    if lasted <= TOLERATED * max(1, end - start):
        return ""
    one = inside[0].event
    return (
        f"{one.component}, a stand-in, was saturated under the load '{one.profile}' for {lasted / 1e9:.0f} s of "
        f"{(end - start) / 1e9:.0f} s ({_what_was_over(one)})"
    )


_MEASURES = {
    "loop_lag_ms": "its event loop lags {:g} ms",
    "pool_wait_ms": "{:g} ms until a connection",
    "cpu": "CPU {:g}",
}


def _what_was_over(event: ComponentSaturated) -> str:
    over = [_MEASURES.get(name, f"{name} {{:g}}").format(value) for name, value in event.over.items()]
    return ", ".join(over) or "at its limit"
