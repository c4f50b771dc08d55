"""Plans: which checks, profiles and objectives decide, with how many samples.

What a plan requires and did not run closes the gate, whatever was selected on the command line.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.clock import seconds
from core.errors import ConfigError
from core.objective import Objective


@dataclass(frozen=True)
class PlannedProfile:
    """One load of a plan.

    `users` and `rate` (arrivals per second, all users together) are held for `duration` seconds, of which
    the first `warm_up` do not count. `yields` is, by objective, the samples per second it produces. `shape`
    says how the users come and go; `variables` are environment variables of this profile alone.
    """

    name: str
    users: int
    rate: float
    duration: float
    warm_up: float
    yields: Mapping[str, float]
    shape: str = "steady"
    variables: Mapping[str, str] = field(default_factory=dict)

    def samples(self, objective: str) -> int:
        """Samples of an objective that the steady window is expected to give."""
        return math.floor(self.yields.get(objective, 0.0) * max(0.0, self.duration - self.warm_up))


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

    `every_check` makes each gating check of the suites required, listed or not. `together` runs the
    profiles at the same time.
    """

    name: str
    title: str
    checks: tuple[str, ...]
    every_check: bool
    profiles: tuple[PlannedProfile, ...]
    objectives: tuple[PlannedObjective, ...]
    budget: float
    together: bool = False

    def manifest(self, collected: tuple[str, ...] = ()) -> dict[str, Any]:
        """What must have run, for the journal. `collected`: every gating check that the suites hold."""
        checks = sorted({*self.checks, *(collected if self.every_check else ())})
        return {
            "checks": checks,
            "profiles": [
                {
                    "name": p.name,
                    "users": p.users,
                    "rate": p.rate,
                    "duration": p.duration,
                    "warm_up": p.warm_up,
                    "shape": p.shape,
                }
                for p in self.profiles
            ],
            "objectives": [
                {
                    "id": o.id,
                    "percentile": o.objective.percentile,
                    "min_samples": o.objective.samples,
                    "profile": o.source,
                    "decides": o.objective.blocks,
                }
                for o in self.objectives
            ],
        }


def load_plan(name: str, folder: Path, objectives: Mapping[str, Objective]) -> Plan:
    """The plan `folder/name.toml`. Raises ConfigError for an unknown plan, a wrong line, or a plan whose
    time cannot yield the samples that its objectives need."""
    path = folder / f"{name}.toml"
    known = sorted(p.stem for p in folder.glob("*.toml"))
    if name not in known:
        raise ConfigError(f"'{name}' is not a plan; known are {', '.join(known) or 'none'}.")
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name}: {error}; mend that line.") from None
    try:
        plan = _plan(name, document, objectives)
    except KeyError as error:
        raise ConfigError(f"{path.name}: {error.args[0]!r} is missing.") from None
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{path.name}: {error}.") from None
    _refuse_impossible(plan, path.name)
    return plan


def _plan(name: str, document: Mapping[str, Any], objectives: Mapping[str, Objective]) -> Plan:
    unknown = set(document) - {
        "title",
        "budget",
        "checks",
        "every_check",
        "together",
        "profiles",
        "objectives",
    }
    if unknown:
        raise ConfigError(f"{name}.toml: '{sorted(unknown)[0]}' is not known.")
    profiles = tuple(
        PlannedProfile(
            name=p["name"],
            users=int(p["users"]),
            rate=float(p.get("rate", 0)),
            duration=seconds(p["for"]),
            warm_up=seconds(p.get("warm_up", 0)),
            yields={str(k): float(v) for k, v in p.get("yields", {}).items()},
            shape=str(p.get("shape", "steady")),
            variables={str(k): str(v) for k, v in p.get("variables", {}).items()},
        )
        for p in document.get("profiles", [])
    )
    planned = []
    for entry in document.get("objectives", []):
        known = objectives.get(entry["id"])
        if known is None:
            raise ConfigError(f"{name}.toml: objective '{entry['id']}' is not in objectives.toml.")
        objective = replace(
            known,
            percentile=entry.get("percentile", known.percentile),
            samples=int(entry.get("samples", known.samples)),
        )
        planned.append(PlannedObjective(objective, str(entry.get("from", known.profile or "checks"))))
    checks = tuple(document.get("checks", ()))
    for listed, what in (
        (checks, "check"),
        ([p.name for p in profiles], "profile"),
        ([o.id for o in planned], "objective"),
    ):
        twice = {x for x in listed if list(listed).count(x) > 1}
        if twice:
            raise ConfigError(f"{name}.toml names the {what} '{sorted(twice)[0]}' twice.")
    if not checks and not profiles and not document.get("every_check"):
        raise ConfigError(f"{name}.toml requires nothing; a plan that requires nothing decides nothing.")
    return Plan(
        name=name,
        title=str(document["title"]),
        checks=checks,
        every_check=bool(document.get("every_check", False)),
        profiles=profiles,
        objectives=tuple(planned),
        budget=seconds(document["budget"]),
        together=bool(document.get("together", False)),
    )


RISK = 0.05
"""A verdict may be wrong this often."""
MOMENT = 1.1
"""Seconds of a load that are worth one sample at most in a percentile's verdict (see docs/verdicts.md)."""


def least_samples(objective: Objective) -> int:
    """So many samples at least, all of them good, decide a percentile or a share; a level is no estimate."""
    if objective.percentile is not None:
        return math.ceil(math.log(RISK) / math.log(objective.percentile / 100))
    if objective.unit == "%" and 0 < objective.limit < 100:
        return math.ceil(math.log(RISK) / math.log(objective.limit / 100))
    return 1


def _refuse_impossible(plan: Plan, file: str) -> None:
    profiles = {p.name: p for p in plan.profiles}
    lasts = [p.duration for p in plan.profiles]
    whole = max(lasts, default=0.0) if plan.together else sum(lasts)
    if whole > plan.budget:
        raise ConfigError(
            f"{file}: its loads last {whole:g} s, longer than its budget of {plan.budget:g} s; raise one or cut the other."
        )
    for planned in plan.objectives:
        if planned.source == "checks":
            continue
        if planned.objective.samples < (least := least_samples(planned.objective)):
            raise ConfigError(
                f"{file}: objective '{planned.id}' is to be decided by {planned.objective.samples} samples, but even "
                f"without one bad sample fewer than {least} say nothing; ask for more."
            )
        profile = profiles.get(planned.source)
        if profile is None:
            raise ConfigError(
                f"{file}: objective '{planned.id}' needs profile '{planned.source}', which the plan does not run."
            )
        if planned.objective.percentile is None and planned.id not in profile.yields:
            continue  # a level is read as often as its profile likes; said in `yields` where it is known
        got = profile.samples(planned.id)
        if got < planned.objective.samples:
            raise ConfigError(
                f"{file}: objective '{planned.id}' needs {planned.objective.samples} samples, and profile "
                f"'{profile.name}' yields about {got} in its steady {profile.duration - profile.warm_up:g} s; run it longer."
            )
        steady = profile.duration - profile.warm_up
        if planned.objective.percentile is not None and steady < least * MOMENT:
            raise ConfigError(
                f"{file}: objective '{planned.id}' is a p{planned.objective.percentile:g}, for which a load must be steady "
                f"for {math.ceil(least * MOMENT)} s, and profile '{profile.name}' is for {steady:g} s; run it longer."
            )
