"""What a watch knows, as the status page, as JSON and as Prometheus metrics."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import generate_latest

from core.target import Target
from reports.rendering.page.status import HourBar, IncidentStatus, ServiceStatus, StatusPage
from runner.watch.burn import MONTH, Availability, Outcome, availability, budget_left
from runner.watch.metrics import Metrics
from runner.watch.store import Incident, Store

HOUR, DAY = 3600.0, 86400.0
FILES = ("index.html", "status.json", "metrics.prom")


def write_status(store: Store, folder: Path, target: Target, now: float, objective: float) -> None:
    """Writes the files of FILES into the folder, each whole or not at all."""
    page = StatusPage(
        target.name,
        "the embedded target, no production" if target.embedded else "",
        _time(now),
        f"{objective:.3%}",
        tuple(_service(store, name, now, objective) for name in store.names()),
        tuple(map(_incident, store.incidents())),
    )
    texts = (
        page.html(),
        json.dumps(page.json(), indent=2),
        generate_latest(Metrics(store, now, objective)).decode(),
    )
    for name, text in zip(FILES, texts, strict=True):
        new = folder / f".{name}.new"
        new.write_text(text, encoding="utf-8")
        new.replace(folder / name)


def _service(store: Store, name: str, now: float, objective: float) -> ServiceStatus:
    outcomes = store.outcomes(name, now - MONTH)
    last = store.last(name)
    assert last is not None  # a name is there by its probes
    return ServiceStatus(
        name,
        last.well,
        last.words,
        _percent(availability(outcomes, now - DAY)),
        _percent(availability(outcomes, now - MONTH)),
        f"{budget_left(outcomes, now, objective):.0%}",
        tuple(_hour(outcomes, now - hours * HOUR) for hours in range(24, 0, -1)),
    )


def _hour(outcomes: list[Outcome], begins: float) -> HourBar:
    found = [one for one in outcomes if begins <= one.at < begins + HOUR]
    well = sum(one.well for one in found)
    word = "" if not found else "all" if well == len(found) else "some" if well else "none"
    return HourBar(word, f"from {_time(begins)}: {well} of {len(found)} probes" if found else "not watched")


def _incident(incident: Incident) -> IncidentStatus:
    if incident.ended is None:
        text = f"since {_time(incident.opened)}"
    else:
        minutes = (incident.ended - incident.opened) / 60
        text = f"{_time(incident.opened)} to {_time(incident.ended)} ({minutes:.0f} min)"
    return IncidentStatus(incident.name, text, incident.words)


def _percent(found: Availability) -> str:
    return "not watched" if found.share is None else f"{found.share:.3%} of {found.probes:,}"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
