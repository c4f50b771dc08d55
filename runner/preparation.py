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
from loadprofiles.run import is_own, profiles
from loadprofiles.setup.variables import refuse_wrong
from reports.judging.checks import Requirements
from reports.judging.decidable import refuse_undecidable
from reports.judging.mutes import load_mutes
from reports.judging.overrides import Sources
from reports.judging.waivers import load_waivers
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
    objectives = read_sources(sources)
    plan = load_plan(name, plans_of(name), objectives)
    refuse_undecidable(plan)
    _refuse_unknown_loads(plan)
    capabilities = {capability for service in catalogue() for capability in service.capabilities}
    for number, one in enumerate(plan.must_cover):
        if one not in capabilities:
            what = f"'{one}' is no capability; {nearest(one, capabilities)}"
            raise plan.wrong(("must_cover", number), what)
    declared = declared_checks.declared(own=own)
    known = {c.id for c in declared}
    _refuse_unknown(plan, declared, sources)
    for wanted in checks:
        if wanted not in known:
            near = nearest(wanted, known)
            raise ConfigError(f"there is no check '{wanted}'; {near} `assay check --list` shows them all.")
    return plan, objectives


def read_sources(sources: Sources) -> dict[str, Objective]:
    """The objectives; all that a run is judged by afterwards is read before it, too. Raises ConfigError."""
    objectives = sources.objectives()
    sources.check()
    load_waivers(sources.waivers)
    load_mutes(sources.alerts)
    return objectives


def _refuse_unknown_loads(plan: Plan) -> None:
    """Raises ConfigError for a load that does not exist, or a shape or a variable that it does not have."""
    known = profiles()
    for number, profile in enumerate(plan.profiles):
        at = ("profiles", number)
        if profile.name not in known:
            what = f"'{profile.name}' is no load profile; {nearest(profile.name, known)}"
            raise plan.wrong((*at, "name"), what)
        if profile.shape not in shapes.NAMES:
            what = f"'{profile.shape}' is no shape; {nearest(profile.shape, shapes.NAMES)}"
            raise plan.wrong((*at, "shape"), what)
        try:
            refuse_wrong(profile.variables, own=is_own(profile.name))
        except ConfigError as error:
            raise plan.wrong((*at, "variables", str(error).partition(" ")[0]), str(error)) from None


def _refuse_unknown(plan: Plan, declared: Sequence[declared_checks.Declared], sources: Sources) -> None:
    """Raises ConfigError for a plan that names a check or a requirement that does not exist, or an own check that does."""
    known = {check.id for check in declared}
    imported_ids = tuple(results.id for results in plan.results)
    for number, check in enumerate(() if plan.checks == "all" else plan.checks):
        if check not in known and not any(check == r or check.startswith(f"{r}.") for r in imported_ids):
            raise plan.wrong(("checks", number), f"there is no check '{check}'; {nearest(check, known)}")
    listed = load_toml(sources.requirements, Requirements).root
    requirements = {identifier for group in listed.values() for identifier in group}
    for number, results in enumerate(plan.results):
        for place, one in enumerate(results.requirement):
            if one not in requirements:
                what = f"there is no requirement '{one}'; {nearest(one, requirements)}"
                raise plan.wrong(("results", number, "requirement", place), what)
    for declaration in declared:
        for one in declaration.requirement if declaration.own else ():
            if one not in requirements:
                raise ConfigError(
                    f"{declaration.path}: the check '{declaration.id}' names the requirement '{one}'; "
                    f"{nearest(one, requirements)}"
                )
