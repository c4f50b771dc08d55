"""One load profile on its own: a plan made of what was asked for, run like any other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.clock import seconds
from core.config import nearest
from core.errors import ConfigError
from core.permit import Action
from core.plan import Plan, PlannedObjective, PlannedProfile
from core.project import find_project
from loadprofiles import shapes
from loadprofiles.run import needs_of, profiles
from reports.judging.overrides import Sources
from runner.preparation import read_sources
from runner.session import RunRequest, RunSession, live_target, record

WARM_UP_SHARE, WARM_UP_LEAST = 0.1, 3.0
ANSWERS_RIGHT = "load.wrong"
"""Decides in every load: a fast wrong answer is no answer."""


def run_profile(
    profile: str,
    *,
    users: int | None,
    duration: str | None,
    rate: float | None,
    workers: int,
    target: str,
    target_file: Path,
    shape: str = shapes.STEADY,
    more: Sequence[str] = (),
    verbose: bool = False,
) -> Path:
    """Runs one profile and returns the run's folder. Raises ConfigError before anything is recorded."""
    known = profiles()
    if profile not in known:
        raise ConfigError(f"'{profile}' is not a load profile; {nearest(profile, known)}")
    if shape not in shapes.NAMES:
        raise ConfigError(f"'{shape}' is not a shape; known are {', '.join(shapes.NAMES)}.")
    users = shapes.peak(shape, users)
    if users < 1:
        raise ConfigError(f"--users {users} would load nothing; name at least 1.")
    duration = duration or shapes.DEFAULT_FOR.get(shape, "30s")
    lasting = seconds(duration)
    if lasting < 1:
        raise ConfigError(f"--for {duration} is too short to measure anything; name at least 1s.")
    objectives = read_sources(Sources(find_project().own))
    planned = PlannedProfile(
        name=profile,
        users=users,
        rate=rate or 0.0,
        duration=lasting,
        warm_up=min(lasting / 3, max(WARM_UP_LEAST, lasting * WARM_UP_SHARE)),
        shape=shape,
    )
    # a search for the knee oversteps the limits on purpose, so it decides no limit
    own = [o for o in objectives.values() if o.profile == profile and shape != "step"]
    wanted = {ANSWERS_RIGHT, *(o.id for o in own), *(held for o in own for held in o.holding)}
    measured = tuple(PlannedObjective(o, profile) for o in objectives.values() if o.id in wanted)
    plan = Plan(f"load {profile}", f"{profile} alone", lasting, profiles=(planned,), objectives=measured)
    request = RunRequest(
        plan=plan.name, target=target, target_file=target_file, with_checks=False, verbose=verbose
    )

    if target != "embedded":
        name = f"the load '{profile}'"
        if lacking := live_target(request).lacking(needs_of(profile).uses, name):
            raise ConfigError(f"{name} says nothing about this target: {lacking}.")

    def parts(one: RunSession) -> None:
        one.load(extra=[*(["--workers", str(workers)] if workers else []), *more])

    return record(request, plan, objectives, parts, (Action.LOAD, f"the load '{profile}'"))
