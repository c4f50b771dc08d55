"""Causes that are one: the same service says the same thing in sixty checks, and a person reads it once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from reports.judging.model import Cause, RunVerdict
from reports.judging.verdict_table import STATES

PLACES = 3
"""Checks that a group names; the others are counted."""
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
_VARYING = re.compile(r"\b(?=\w*\d)[\w.:-]+|https?://\S+|/\S+")
_KINDS = ("run", "capability", "profile", "check", "objective")


@dataclass
class CauseGroup:
    """One cause with everything that it stopped; `text` is the first of them, in its own words."""

    state: str
    service: str
    text: str
    kind: str
    members: list[Cause] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many checks, objectives or loads have it."""
        return len(self.members)

    @property
    def places(self) -> list[Cause]:
        """The first of them."""
        return self.members[:PLACES]


def grouped(verdict: RunVerdict) -> list[CauseGroup]:
    """The verdict's causes by state, service and message, the likeliest root first.

    What stopped the run as a whole comes first, then by gravity; among equals the one that stopped most, then the one
    that was seen first.
    """
    services = _services(verdict)
    started = {check.id: check.started or 0.0 for check in verdict.checks}
    messages = {check.id: check.message for check in verdict.checks}
    found: dict[tuple[str, str, str, str], CauseGroup] = {}
    for cause in verdict.causes:
        said = messages.get(cause.who, "").strip() if cause.kind == "check" else ""
        said = said.splitlines()[0] if said else cause.text
        service = services.get(cause.who, "")
        key = (cause.kind, cause.state, service, pattern(said))
        group = found.setdefault(key, CauseGroup(cause.state, service, said, cause.kind))
        group.members.append(cause)
    for group in found.values():
        if group.count == 1:
            group.text = group.members[0].text
    return sorted(found.values(), key=lambda group: _order(group, started))


def pattern(text: str) -> str:
    """`text` without what differs from check to check: names in quotes, numbers, identifiers, paths."""
    return _VARYING.sub("#", _QUOTED.sub("#", text)).casefold()[:160]


def _services(verdict: RunVerdict) -> dict[str, str]:
    titles = {service.id: service.title for service in verdict.services}
    services = {c.id: c.service for c in verdict.checks} | {o.id: o.service for o in verdict.objectives}
    return {who: titles.get(service, service) for who, service in services.items()}


def _order(group: CauseGroup, started: Mapping[str, float]) -> tuple[bool, int, int, float]:
    first = min(_starts(group.members, started), default=0.0)
    return group.kind != "run", -STATES[group.state].rank, -group.count, first


def _starts(members: Iterable[Cause], started: Mapping[str, float]) -> list[float]:
    return [started[cause.who] for cause in members if started.get(cause.who)]
