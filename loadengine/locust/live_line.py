"""The load in one line for the terminal: users, rate, percentiles, objectives, and the generator itself."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from core.errors import ConfigError
from core.load_events import GeneratorHealth
from core.objective import Objective, load_objectives
from core.project import find_project
from loadengine.locust.live_stats import LiveStats
from loadengine.locust.stats_table import short
from loadengine.measure.histogram import Histogram

_OBJECTIVES = Path(__file__).resolve().parents[2] / "reports" / "objectives.toml"
WINDOW = 5.0


def progress_line(view: LiveStats, now: int, runner: Any, health: list[GeneratorHealth]) -> str:
    """What is going on, over the last seconds; objectives over the steady window so far."""
    recent = view.recent(now, WINDOW)
    p50, p95, p99 = (short(p) if recent.count else "-" for p in recent.response.percentiles(50, 95, 99))
    parts = [
        f"{runner.user_count} users",
        f"{recent.count / recent.seconds:.0f}/s",
        f"p50 {p50}  p95 {p95}  p99 {p99} ms",
        f"failed {recent.failure_share:.1%}" + (f"  refused {recent.refused}" if recent.refused else ""),
        *objective_states(view),
        generator_state(health),
    ]
    return "  |  ".join(parts)


def objective_states(view: LiveStats) -> list[str]:
    """The objectives that this load measures, judged on the steady window so far (the report has the last word)."""
    found = []
    for objective in objectives():
        response = Histogram()
        for delta in view.series.values():
            if delta.metric == objective.metric and dict(objective.labels).items() <= delta.labels.items():
                response.merge(delta.histograms["response"])
        if response.total and objective.percentile is not None:
            scale = 1000.0 if objective.unit == "s" else 1.0
            value = response.percentile(objective.percentile) / scale
            good = value < objective.limit if objective.direction == "below" else value > objective.limit
            state = "so far met" if good else "MISSED so far"
            if response.total < objective.samples:
                state += f", {response.total} of {objective.samples} samples"
            found.append(
                f"{objective.id} p{objective.percentile:g} {short(value)} {objective.unit} ({state})"
            )
    return found


def generator_state(health: list[GeneratorHealth]) -> str:
    """Whether the generator is fit, with its worst figures."""
    if not health:
        return "generator: no report yet"
    bad = [one.reason for one in health if not one.ok]
    cpu = max(one.cpu for one in health)
    lag = max(one.lag_p99_ms for one in health)
    return f"generator {'UNFIT: ' + bad[0] if bad else 'ok'} (cpu {cpu:.0%}, lag p99 {short(lag)} ms)"


@cache
def objectives() -> list[Objective]:
    """All objectives; none when the file cannot be read, which the command line says before any load."""
    try:
        project = find_project().own
        own = [file] if project and (file := project / "objectives.toml").is_file() else []
        return list(load_objectives(_OBJECTIVES, *own).values())
    except ConfigError:
        return []
