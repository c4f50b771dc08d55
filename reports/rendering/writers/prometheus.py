"""metrics.prom: the verdict as Prometheus text, for a node exporter's textfile folder or a push gateway."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from reports.judging.model import RunVerdict
from reports.judging.verdict_table import STATES

ORDER = 15


def write(verdict: RunVerdict, run_dir: Path) -> list[Path]:
    """Writes metrics.prom."""
    path = run_dir / "metrics.prom"
    write_to_textfile(str(path), registry(verdict))
    return [path]


def registry(verdict: RunVerdict) -> CollectorRegistry:
    """The same as a registry: gate, checks by verdict, and each objective's numbers."""
    found = CollectorRegistry()
    where = {"target": str(verdict.target.get("name", "unknown")), "plan": verdict.plan}
    names = list(where)

    def gauge(name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"assay_{name}", text, [*names, *labels], registry=found)

    gauge("gate_open", "1 when the gate is open").labels(**where).set(verdict.open)
    gauge("gate_exit_code", "0 open, 1 closed, 2 usage, 3 broken").labels(**where).set(verdict.exit)
    gauge("run_seconds", "how long the run took").labels(**where).set(verdict.seconds or 0)
    gauge("waivers_used", "waivers without which the gate were closed").labels(**where).set(
        len(verdict.used_waivers)
    )
    checks = gauge("checks", "checks by verdict", "verdict")
    for state, n in verdict.counts().items():
        checks.labels(**where, verdict=state).set(n)
    states = gauge("objective_state", "1 for the verdict that stands", "objective", "verdict")
    numbers = {
        key: gauge(f"objective_{key}", text, "objective", "unit")
        for key, text in (
            ("value", "what was judged"), ("low", "lower bound at 95 %"), ("high", "upper bound at 95 %"),
            ("limit", "the limit"), ("samples", "samples"),
        )
    }  # fmt: skip
    for o in verdict.objectives:
        for state in STATES:
            states.labels(**where, objective=o.id, verdict=state).set(o.state == state)
        for key, metric in numbers.items():
            value = getattr(o, key)
            if value is not None:
                metric.labels(**where, objective=o.id, unit=o.unit).set(value)
    return found
