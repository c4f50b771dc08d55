"""The status page of a watch: what answers now, how available it was, and its incidents. One file, no script."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from reports.rendering.page.environment import environment


@dataclass(frozen=True)
class HourBar:
    """One hour of a service: `all`, `some` or `none` of its probes went well; empty where nobody watched."""

    word: str
    text: str


@dataclass(frozen=True)
class ServiceStatus:
    """One probed service, in words."""

    name: str
    well: bool
    words: str
    day: str
    month: str
    budget: str
    hours: tuple[HourBar, ...]

    @property
    def hours_text(self) -> str:
        """The bars for who does not see them."""
        bad = [hour.text for hour in self.hours if hour.word in ("some", "none")]
        return f"{self.name}, the last 24 hours: {'; '.join(bad) or 'no failed probe'}"


@dataclass(frozen=True)
class IncidentStatus:
    """One incident, in words."""

    name: str
    text: str
    words: str


@dataclass(frozen=True)
class StatusPage:
    """Everything that the page and its JSON show."""

    target: str
    standin: str
    at: str
    objective: str
    services: tuple[ServiceStatus, ...]
    incidents: tuple[IncidentStatus, ...]

    @property
    def headline(self) -> str:
        """The one sentence of it."""
        away = [one.name for one in self.services if not one.well]
        if not self.services:
            return "Nothing was looked at yet"
        return "All services answer" if not away else f"Does not answer: {', '.join(away)}"

    def html(self) -> str:
        """The page."""
        return environment().get_template("status.html").render(page=self)

    def json(self) -> dict[str, Any]:
        """The same for programs."""
        return {"headline": self.headline, **asdict(self)}
