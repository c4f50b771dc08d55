"""Everything that can be wrong before any traffic: the plan, the objectives, and what both name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from clients.services import catalogue
from core.config import load_toml, nearest
from core.errors import ConfigError
from core.objective import Objective
from core.plan import Plan, load_plan
from core.project import find_project
from core.run import ROOT
from loadprofiles import shapes
from loadprofiles.run import profiles
from reports.judging.checks import Requirements
from reports.judging.decidable import refuse_undecidable
from reports.judging.overrides import Sources
from runner import declared_checks

PLANS = ROOT / "plans"


def plans_of(name: str) -> Path:
    """The folder that holds a plan: the project's own `plans/` first, then the shipped ones."""
    own = find_project().folder / "plans"
    return own if (own / f"{name}.toml").is_file() else PLANS


def prepare(name: str, checks: Sequence[str] = ()) -> tuple[Plan, dict[str, Objective]]:
    """Loads and validates everything that can be wrong before any traffic: the plan of this name, and the selected checks.

    Raises ConfigError.
    """
    own = find_project().own
    sources = Sources(own)
    objectives = sources.objectives()
    sources.check()
    plan = load_plan(name, plans_of(name), objectives)
    refuse_undecidable(plan)
    for profile in plan.profiles:
        if profile.name not in (known_profiles := profiles()):
            raise ConfigError(
                f"plan '{plan.name}' runs '{profile.name}', which is no load profile; known are "
                f"{', '.join(known_profiles)}."
            )
        if profile.shape not in shapes.NAMES:
            raise ConfigError(
                f"plan '{plan.name}' gives '{profile.name}' the shape '{profile.shape}'; known are "
                f"{', '.join(shapes.NAMES)}."
            )
    capabilities = {capability for service in catalogue() for capability in service.capabilities}
    for one in plan.must_cover:
        if one not in capabilities:
            near = nearest(one, capabilities)
            raise ConfigError(f"plan '{plan.name}' must cover '{one}', which is no capability; {near}")
    declared = declared_checks.declared(own=own)
    known = {c.id for c in declared}
    _refuse_unknown(plan, declared, sources)
    for wanted in checks:
        if wanted not in known:
            near = nearest(wanted, known)
            raise ConfigError(f"there is no check '{wanted}'; {near} `assay check --list` shows them all.")
    return plan, objectives


def _refuse_unknown(plan: Plan, declared: Sequence[declared_checks.Declared], sources: Sources) -> None:
    """Raises ConfigError for a plan that names a check or a requirement that does not exist, or an own check that does."""
    known = {check.id for check in declared}
    imported_ids = tuple(results.id for results in plan.results)
    for check in () if plan.checks == "all" else plan.checks:
        if check not in known and not any(check == r or check.startswith(f"{r}.") for r in imported_ids):
            raise ConfigError(f"plan '{plan.name}' names the check '{check}'; {nearest(check, known)}")
    listed = load_toml(sources.requirements, Requirements).root
    requirements = {identifier for group in listed.values() for identifier in group}
    named = [(f"plan '{plan.name}': the results '{r.id}'", r.requirement) for r in plan.results]
    named += [(f"{c.path}: the check '{c.id}'", c.requirement) for c in declared if c.own]
    for who, theirs in named:
        for one in theirs:
            if one not in requirements:
                raise ConfigError(f"{who} names the requirement '{one}'; {nearest(one, requirements)}")
