"""Which alerts a run opens, keeps and ends. Pure: state in, messages and new state out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from reports.judging.model import Cause, RunVerdict
from reports.judging.verdict_table import STATES
from reports.rendering.formatting import quantity

HARNESS = "harness"


@dataclass(frozen=True)
class Alert:
    """One message. `key` is the same for the same trouble in the next run, so that it is told once."""

    key: str
    event: str
    """opened, changed or recovered."""
    state: str
    owner: str
    text: str
    run: str
    plan: str
    target: str
    commits: str
    last_good: str
    link: str

    def message(self) -> dict[str, Any]:
        """As a Slack-compatible webhook takes it; other receivers read `assay`."""
        row = STATES[self.state]
        word = "recovered" if self.event == "recovered" else row.word
        lines = [
            f"*{row.glyph} {word}* {self.text}",
            f"target {self.target}, plan {self.plan}, run {self.run}",
        ]
        if self.commits:
            lines.append(f"commits {self.commits}")
        if self.last_good:
            lines.append(f"last good {self.last_good}")
        lines.append(self.link)
        return {"text": "\n".join(lines), "assay": asdict(self)}


def alerts(
    verdict: RunVerdict, before: dict[str, str], last_good: dict[str, Any] | None, link: str
) -> tuple[list[Alert], dict[str, str]]:
    """Messages of this run, and the alerts that stand after it (key to state).

    A run that is broken as a whole says so once and ends nothing: what it did not try is not recovered.
    """
    whole = [c for c in verdict.causes if c.kind == "run"]
    causes = {c.who if c.kind != "run" else "run": c for c in (whole or verdict.causes)}
    standing = dict(before) if whole else {}
    found: list[Alert] = []
    for key, cause in causes.items():
        standing[key] = cause.state
        if before.get(key) != cause.state:
            event = "changed" if key in before else "opened"
            found.append(
                _alert(verdict, key, event, cause.state, _owner(verdict, cause), cause.text, last_good, link)
            )
    if not whole:
        held = {"run"} | {c.id: c for c in verdict.checks if c.state == "met"}.keys()
        held |= {o.id for o in verdict.objectives if o.state == "met"} | {
            p.name for p in verdict.profiles if p.state == "met"
        }
        for key, state in before.items():
            if key in causes:
                continue
            if key in held:
                text = f"{key} holds again (it was {STATES[state].word})"
                found.append(
                    _alert(verdict, key, "recovered", "met", _owner_of(verdict, key), text, last_good, link)
                )
            else:
                standing[key] = state
    return found, standing


def _alert(
    verdict: RunVerdict,
    key: str,
    event: str,
    state: str,
    owner: str,
    text: str,
    good: dict[str, Any] | None,
    link: str,
) -> Alert:
    commits = f"{good['commit_sha']}..{verdict.subject}" if good else ""
    value = next(
        (
            quantity(t["value"], o.unit)
            for o in verdict.objectives
            if o.id == key
            for t in reversed(o.trend)
            if t["state"] == "met"
        ),
        "",
    )
    last = f"{good['run']}{f', {value}' if value else ''}" if good else ""
    return Alert(
        key,
        event,
        state,
        owner,
        text,
        verdict.run,
        verdict.plan,
        str(verdict.target.get("name", "?")),
        commits,
        last,
        link,
    )


def _owner(verdict: RunVerdict, cause: Cause) -> str:
    """Missed goes to the service's owner; what says nothing of the platform goes to the harness's."""
    return _owner_of(verdict, cause.who) if cause.state == "missed" else HARNESS


def _owner_of(verdict: RunVerdict, key: str) -> str:
    owners = {c.id: c.owner for c in verdict.checks}
    services = {c.service: c.owner for c in verdict.checks}
    services_of = {o.id: o.service for o in verdict.objectives}
    if key in owners:
        return owners[key]
    return services.get(services_of[key], "platform") if key in services_of else HARNESS
