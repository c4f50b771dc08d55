"""Plans: which checks, profiles and objectives decide, with how many samples.

What a plan requires and did not run closes the gate, whatever was selected on the command line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from core import events
from core.clock import seconds
from core.config import Document, StrictModel, Text, nearest, read_toml
from core.errors import ConfigError
from core.objective import Objective
from core.toml_lines import Location


def _seconds(value: object) -> float:
    try:
        return seconds(value)  # type: ignore[arg-type]  # refuses what is neither text nor a number
    except ConfigError as error:
        raise ValueError(str(error)) from None


Duration = Annotated[float, BeforeValidator(_seconds)]
"""Seconds, written as a number or like "30s", "5m", "1h30m"."""


class PlannedProfile(StrictModel):
    """One load of a plan.

    `users` and `rate` (arrivals per second, all users together) are held for `duration` seconds, of which
    the first `warm_up` do not count. `yields` is, by objective, the samples per second it produces. `shape`
    says how the users come and go; `variables` are settings of this profile alone
    (`loadprofiles.setup.variables`).
    """

    name: str
    users: int = Field(ge=1)
    rate: float = Field(0.0, ge=0)
    duration: Duration = Field(validation_alias="for")
    warm_up: Duration = 0.0
    yields: dict[str, float] = Field(default_factory=dict)
    shape: str = "steady"
    variables: dict[str, str] = Field(default_factory=dict)

    def samples(self, objective: str) -> int:
        """Samples of an objective that the steady window is expected to give."""
        return math.floor(self.yields.get(objective, 0.0) * max(0.0, self.duration - self.warm_up))


class ObjectiveEntry(StrictModel):
    """An objective as a plan names it, and what this plan asks of it otherwise than objectives.toml."""

    id: str
    percentile: float | None = Field(None, gt=0, lt=100)
    samples: int | None = Field(None, ge=1)
    source: str | None = Field(None, validation_alias="from")


class ImportedResults(StrictModel):
    """Result files of another tool, whose cases are checks of the run (`runner/imported`).

    `files` is a pattern relative to the project's folder (`**` for any folders); what is older than `newer_than`
    seconds does not count, nor do fewer than `at_least` cases.
    """

    id: str = Field(pattern=r"^[a-z0-9]+([._-][a-z0-9]+)*$")
    format: Literal["junit", "playwright", "k6", "allure", "tap"]
    files: Text
    newer_than: Duration
    at_least: int = Field(default=1, ge=1)
    requirement: tuple[str, ...] = ()
    service: Text = "imported"
    owner: Text = "platform"


class PlanFile(StrictModel):
    """A plan's file."""

    title: str
    budget: Duration
    checks: Literal["all"] | tuple[str, ...] = ()
    together: bool = False
    retry_unfit: bool = False
    profiles: tuple[PlannedProfile, ...] = ()
    objectives: tuple[ObjectiveEntry, ...] = ()
    results: tuple[ImportedResults, ...] = ()
    must_cover: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlannedObjective:
    """One objective that decides in this plan; `source` is a profile's name, or `checks`."""

    objective: Objective
    source: str

    @property
    def id(self) -> str:
        """The objective's identifier."""
        return self.objective.id


@dataclass(frozen=True)
class Plan:
    """A loaded plan.

    `checks` "all" makes each gating check of the suites required, and an empty list none: a plan of loads alone.
    `together` runs the profiles at the same time; `must_cover` names capabilities of which a check must have run.
    `retry_unfit` measures a short load once more whose generator was not fit, instead of telling so. `budget` is in
    seconds.
    """

    name: str
    title: str
    budget: float
    checks: Literal["all"] | tuple[str, ...] = ()
    profiles: tuple[PlannedProfile, ...] = ()
    objectives: tuple[PlannedObjective, ...] = ()
    together: bool = False
    retry_unfit: bool = False
    results: tuple[ImportedResults, ...] = ()
    must_cover: tuple[str, ...] = ()
    folder: Path = Path()
    """The project's folder, to which the results' files are relative."""
    document: Document | None = field(default=None, repr=False, compare=False)
    """The file that it was read from, for messages; None where no file says it."""

    def wrong(self, location: Location, what: str) -> ConfigError:
        """The error to raise for what its file says at a location: file and line, then `what`."""
        if self.document is None:
            return ConfigError(f"plan '{self.name}': {what}")
        return self.document.wrong(location, what)

    def wants(self, check: str) -> bool:
        """Whether the plan runs this check."""
        return self.checks == "all" or check in self.checks

    def manifest(self, collected: tuple[str, ...] = ()) -> events.Manifest:
        """What must have run, for the journal. `collected`: every gating check that the suites hold."""
        return events.Manifest(
            checks=tuple(
                sorted({*(collected if self.checks == "all" else self.checks), *(r.id for r in self.results)})
            ),
            profiles=tuple(
                events.PlannedLoad(p.name, p.users, p.rate, p.duration, p.warm_up, p.shape)
                for p in self.profiles
            ),
            objectives=tuple(
                events.ManifestObjective(
                    o.id, o.objective.percentile, o.objective.samples, o.source, o.objective.blocks
                )
                for o in self.objectives
            ),
            must_cover=self.must_cover,
        )


def load_plan(name: str, folder: Path, objectives: Mapping[str, Objective]) -> Plan:
    """The plan `folder/name.toml`. Raises ConfigError for an unknown plan, a wrong line, or a plan whose
    time cannot yield the samples that its objectives need."""
    known = sorted(p.stem for p in folder.glob("*.toml"))
    if name not in known:
        raise ConfigError(f"'{name}' is not a plan; {nearest(name, known)}")
    document = read_toml(folder / f"{name}.toml")
    plan = _plan(name, document, objectives)
    _refuse_impossible(plan)
    return plan


def _plan(name: str, document: Document, objectives: Mapping[str, Objective]) -> Plan:
    file = document.model(PlanFile)
    planned = []
    for number, entry in enumerate(file.objectives):
        known = objectives.get(entry.id)
        if known is None:
            what = f"objective '{entry.id}' is not in objectives.toml; {nearest(entry.id, objectives)}"
            raise document.wrong(("objectives", number, "id"), what)
        own = entry.model_dump(include={"percentile", "samples"}, exclude_none=True)
        source = entry.source or known.profile or "checks"
        planned.append(PlannedObjective(known.model_copy(update=own), source))
    listed = () if file.checks == "all" else file.checks
    for key, names in (
        ("checks", listed),
        ("profiles", [p.name for p in file.profiles]),
        ("objectives", [o.id for o in planned]),
        ("results", [r.id for r in file.results]),
    ):
        for number, one in enumerate(names):
            if one in names[:number]:
                raise document.wrong(
                    (key, number), f"the {key.removesuffix('s')} '{one}' is named twice; remove one."
                )
    if not file.checks and not file.profiles and not file.results:
        raise document.wrong((), "requires nothing; a plan that requires nothing decides nothing.")
    return Plan(
        name=name,
        title=file.title,
        budget=file.budget,
        checks=file.checks,
        profiles=file.profiles,
        objectives=tuple(planned),
        together=file.together,
        retry_unfit=file.retry_unfit,
        results=file.results,
        must_cover=file.must_cover,
        folder=document.path.resolve().parent.parent,
        document=document,
    )


def _refuse_impossible(plan: Plan) -> None:
    profiles = {p.name: p for p in plan.profiles}
    lasts = [p.duration for p in plan.profiles]
    whole = max(lasts, default=0.0) if plan.together else sum(lasts)
    if whole > plan.budget:
        what = f"its loads last {whole:g} s, longer than its budget of {plan.budget:g} s; raise one or cut the other."
        raise plan.wrong(("budget",), what)
    for number, planned in enumerate(plan.objectives):
        if planned.source == "checks":
            continue
        profile = profiles.get(planned.source)
        if profile is None:
            what = f"objective '{planned.id}' needs profile '{planned.source}', which the plan does not run."
            raise plan.wrong(("objectives", number), what)
        if planned.objective.percentile is None and planned.id not in profile.yields:
            continue  # a level is read as often as its profile likes; said in `yields` where it is known
        got = profile.samples(planned.id)
        if got < planned.objective.samples:
            raise plan.wrong(
                ("objectives", number),
                f"objective '{planned.id}' needs {planned.objective.samples} samples, and profile '{profile.name}' "
                f"yields about {got} in its steady {profile.duration - profile.warm_up:g} s; run it longer.",
            )
