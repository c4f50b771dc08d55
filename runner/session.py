"""One run from plan to verdict."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from clients import embedded
from clients.control import deaths
from clients.embedded import Serves
from clients.http import client, json_of
from clients.services import catalogue
from core import meter
from core import target as targets
from core.clock import eventually, now_ns
from core.description import pick
from core.errors import AssayError, BrokenError, ConfigError, Missed, PermitError
from core.events import (
    ComponentDied,
    DeclaredCheck,
    Note,
    NoteLevel,
    PartEnded,
    PartKind,
    PlanResolved,
    PlatformVersion,
    RunFinished,
    RunShard,
    RunStarted,
    TargetIdentified,
    TargetResolved,
)
from core.journal import Journal
from core.load_events import LoadLeft, LoadRepeated
from core.objective import Objective
from core.outcome import RunOutcome
from core.permit import Action
from core.plan import Plan, PlannedProfile
from core.project import find_project
from core.run import NAMED, ROOT, LoadPart, Run, commit, forget_dead, lives, name_directory
from core.secret import Redactor
from core.shard import Shard
from core.target import Target
from core.user_settings import setting
from core.version import VERSION
from loadprofiles.run import needs_of
from loadprofiles.setup.variables import LoadVariables
from reports.rendering.formatting import count
from runner import declared_checks, imported, own_schema, pgtap, retry
from runner.check_parts import UNUSED_PLUGINS, CheckPart, parts_of, says_nothing, shard_of
from runner.preparation import prepare
from runner.processes import Part, run_parts
from runner.progress import Line, checks_going, load_going
from runner.stops import held, stoppable

STACK = "stack-"
"""How the folder of a stack for exclusive checks begins; the run's identifier follows."""
LOG_KEPT = 4 * 1024 * 1024


@dataclass
class RunRequest:
    """What the user asked for. `checks` selects fewer; it never shrinks what the plan requires."""

    plan: str = "smoke"
    target: str = "embedded"
    target_file: Path = Path("target.toml")
    checks: Sequence[str] = ()
    pytest_arguments: Sequence[str] = ()
    with_load: bool = True
    with_checks: bool = True
    workers: int = 2
    expect_version: str | None = None
    run_dir: Path | None = None
    quiet: bool = False
    serves: Serves | None = None
    """The team's own migrations that the embedded target serves in the reference platform's place."""
    as_base: bool = False
    """Run for what it shows of a change's base: what the description names and the base lacks is no fault."""
    stack: embedded.Embedded | None = None
    """An embedded stack that is this run's alone: exclusive checks run on it too."""
    shard: Shard | None = None
    """The part of the plan's checks and loads that this run does; it never shrinks what the plan requires."""
    verbose: bool = False
    """Whether the output of the parts is shown beside their logs; otherwise each is one line."""

    @cached_property
    def line(self) -> Line:
        """What a person sees of the run while it goes on."""
        return Line(quiet=self.quiet)


@dataclass
class RunSession:
    """Holds what one run needs while it lasts."""

    request: RunRequest
    plan: Plan
    objectives: Mapping[str, Objective]
    run: Run
    began: int = field(default_factory=now_ns)

    @property
    def directory(self) -> Path:
        """The run's folder."""
        return self.run.directory

    @property
    def journal(self) -> Journal:
        """The runner's own journal."""
        return self.run.journal

    @property
    def target(self) -> Target:
        """The platform under test."""
        return self.run.target

    # -- parts ---------------------------------------------------------------------------------------------

    def checks(self) -> None:
        """Runs the checks: API suites in parallel, browser flows in a process of their own, exclusive last."""
        wanted = [c for c in declared_checks.declared(own=find_project().own) if self._wanted(c.id)]
        mine = shard_of(wanted, self.request.shard)
        parts = parts_of([c for c in mine if not says_nothing(c, self.run)], self.request.workers)
        for part in parts:
            if not part.exclusive:
                self._pytest(part)
        exclusive = [part for part in parts if part.exclusive]
        if exclusive and self.target.embedded and not self.request.stack:
            serves = self.request.serves
            with (
                _state_of_its_own(self.directory) as state,
                embedded.attach(state=state, serves=serves) as stack,
            ):
                apart = own_schema.target_of(stack, serves)
                self.run.redactor.learn(apart.secrets())
                for part in exclusive:
                    self._pytest(part, apart)
        else:  # what the permit does not allow is journaled with why it is not covered
            for part in exclusive:
                self._pytest(part)

    def _wanted(self, check: str) -> bool:
        return check in self.request.checks if self.request.checks else self.plan.wants(check)

    def _pytest(self, checks: CheckPart, target: Target | None = None) -> None:
        name = checks.name
        command = [sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=short", "-rN", *checks.words]
        command += [
            *UNUSED_PLUGINS,
            "-W",
            "default",
        ]  # a library's deprecation is no statement about a platform
        command += ["--checks", ",".join(sorted(c.id for c in checks.checks))]
        command += ["--alluredir", str(self.directory / "allure-results")]
        command += [*self.request.pytest_arguments, *checks.files]
        self._note(f"{name}: {count(len(checks.checks), 'check')}")
        log = self.directory / "logs" / f"{name}.log"
        going = checks_going(self.request.line, self.directory, name, len(checks.checks))
        with self.run.handed(target=target) as joining, going:
            part = self._part(name, command, joining, log)
            self._ended(PartKind.CHECKS, part, run_parts([part])[name])

    def _ended(self, kind: PartKind, part: Part, code: int) -> None:
        """Journals how a part ended; what that means is judged from there."""
        log = str(part.log.relative_to(self.directory))
        self.journal.write(PartEnded(part.name, kind, code, log, _last_line(part.log)), durable=True)

    def load(self, extra: Sequence[str] = ()) -> None:
        """Runs the plan's profiles, together or one after the other; `extra` words go to each.

        None where the target does not permit load: nothing is sent then, and what they would decide is not covered.
        """
        wanted = [profile for profile in self.plan.profiles if not self._left(profile.name)]
        groups = [wanted] if self.plan.together else [[profile] for profile in wanted]
        groups = self.request.shard.pick(groups) if self.request.shard else groups
        for group in groups:
            if not group:
                continue
            before = retry.journals(self.directory)
            ended = self._load_group(group, extra)
            if self.plan.retry_unfit and all(map(retry.is_retryable, group)) and not any(ended.values()):
                new = retry.journals(self.directory) - before
                if why := retry.unfit_generator(self.directory, new):
                    retry.quarantine(self.directory, new)
                    self.journal.write(LoadRepeated(tuple(ended), why, retry.QUARANTINE), durable=True)
                    self.say(f"measured again, since the load generator was not fit: {why}")
                    self._load_group(group, extra)

    def _left(self, profile: str) -> bool:
        """Whether a load is not started, since the target lacks what it needs or the permit does not reach; journaled."""
        lacking = self.target.lacking(needs_of(profile).uses, f"the load '{profile}'")
        refused = (
            "" if self.run.permit.allows(Action.LOAD) else f"the target's permit does not give {Action.LOAD}"
        )
        refused = refused or meter.refusal()
        if not lacking and not refused:
            return False
        why = lacking or refused
        self.journal.write(LoadLeft(profile, not lacking, why), durable=True)
        self.say(f"load: {profile}: {'not applicable' if lacking else 'not covered'}: {why}")
        return True

    def _load_group(self, group: Sequence[PlannedProfile], extra: Sequence[str]) -> dict[str, int]:
        what = "load " + ", ".join(f"{p.name} ({p.users} users, {p.duration:g} s)" for p in group)
        self._note(what)
        with load_going(self.request.line, self.directory, what), ExitStack() as doors:
            parts = []
            for profile in group:
                own = LoadPart(
                    profile.name,
                    {"region": setting("ASSAY_REGION")},
                    {**_set_by_user(), **profile.variables},
                )
                joining = doors.enter_context(self.run.handed(load=own))
                parts.append(self._load_part(profile, extra, joining))
            codes = dict(run_parts(parts))
        for part in parts:
            self._ended(PartKind.LOAD, part, codes[part.name])
        return codes

    def _load_part(self, profile: PlannedProfile, extra: Sequence[str], joining: Mapping[str, str]) -> Part:
        command = [sys.executable, "-m", "loadprofiles.run", profile.name, "--users", str(profile.users)]
        command += ["--for", f"{profile.duration:g}s", "--warm-up", f"{profile.warm_up:g}s"]
        command += ["--rate", f"{profile.rate:g}"] if profile.rate else []
        command += ["--shape", profile.shape, *extra]
        return self._part(
            profile.name, command, joining, self.directory / "logs" / f"load-{profile.name}.log"
        )

    def _part(self, name: str, command: Sequence[str], joining: Mapping[str, str], log: Path) -> Part:
        withheld = {n for s in self.target.services for v in s.variables for n in v.names}
        mask = self.journal.redactor.text
        return Part(name, command, joining, log=log, shown=self.request.verbose, mask=mask, withheld=withheld)

    def note_deaths(self) -> None:
        """Journals every component of the embedded target that lies dead although nobody planned it."""
        for death in deaths(self.target, self.began):
            name = str(death["component"])
            died = ComponentDied(name, death.get("exit_code"), f"logs/stack/{name}.log")
            self.journal.write(died, durable=True)

    def note_costs(self) -> None:
        """Journals what the run used up, and tells of a cap that ended it."""
        self._note(f"used: {meter.line()}")
        if why := meter.refusal():
            self.say(f"stopped: {why}")

    def keep_logs(self, state: Path) -> None:
        """Keeps the end of every component's log beside the evidence, without secrets."""
        folder = self.directory / "logs" / "stack"
        for log in sorted((state / "logs").glob("*.log")):
            folder.mkdir(parents=True, exist_ok=True)
            with log.open("rb") as file:
                file.seek(max(0, log.stat().st_size - LOG_KEPT))
                (folder / log.name).write_bytes(self.run.redactor.bytes(file.read()))

    def say(self, text: str) -> None:
        """Tells it and journals it."""
        self._note(text)
        self.request.line.say(text)

    def _note(self, text: str) -> None:
        self.journal.write(Note(NoteLevel.PROGRESS, text))


@contextmanager
def _state_of_its_own(directory: Path) -> Iterator[Path]:
    """A folder for a second stack, so that exclusive checks disturb nobody."""
    state = stacks() / f"{STACK}{directory.name}"
    try:
        yield state
    finally:
        remove_stack(state)


def stacks() -> Path:
    """The folder of the embedded target's stacks: where the user keeps it, else beside the environment."""
    named = setting("ASSAY_STATE")
    return Path(named).absolute().parent if named else ROOT / ".assay"


def remove_stack(state: Path) -> None:
    """Ends the stack of this folder, if it runs, and removes the folder."""
    command = [sys.executable, "-m", "stack.supervisor", "remove", "--state", str(state)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=False)


def remove_dead_stacks() -> list[str]:
    """Removes the stacks that exclusive checks of killed runs had for themselves; returns their folders' names.

    What is not called after a run is somebody's own.
    """
    dead = [
        state
        for state in sorted(stacks().glob(f"{STACK}*"))
        if re.fullmatch(NAMED, run := state.name.removeprefix(STACK)) and not lives(run)
    ]
    for state in dead:
        remove_stack(state)
    return [state.name for state in dead]


def _set_by_user() -> dict[str, str]:
    """What the user set of the shipped loads; a plan may, too, and then does."""
    return {name: value for name in LoadVariables.names() if (value := setting(name))}


def _last_line(log: Path) -> str:
    lines = (
        [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        if log.exists()
        else []
    )
    return lines[-1][:300] if lines else "it said nothing"


def run_plan(request: RunRequest) -> Path:
    """Runs what was asked for and returns the run's folder, whatever became of it.

    Raises ConfigError before anything was recorded.
    """
    tests = pgtap.wanted(request.serves) and not request.as_base
    named = [check for check in request.checks if not (tests and check == pgtap.RESULTS.id)]
    plan, objectives = prepare(request.plan, named)
    plan = pgtap.with_tests(plan) if tests else plan
    with embedded.attach(serves=request.serves) if request.serves else nullcontext():  # it may refuse them
        return _recorded(request, plan, objectives)


def _recorded(request: RunRequest, plan: Plan, objectives: Mapping[str, Objective]) -> Path:
    first = request.shard is None or request.shard.number == 1  # what no check does is its part

    def parts(one: RunSession) -> None:
        taken = [results for results in one.plan.results if results is not pgtap.RESULTS]
        asked = not request.checks or pgtap.RESULTS.id in request.checks
        if request.serves and asked and first and len(taken) < len(one.plan.results):
            one.say("pgTAP tests")
            pgtap.journal_tests(request.serves, one.target, one.journal, one.directory)
        if request.with_checks:
            one.checks()
        if request.with_load:
            one.load()
        if first:
            imported.journal_results(taken, one.plan.folder, one.journal)

    return record(request, plan, objectives, parts)


def record(
    request: RunRequest,
    plan: Plan,
    objectives: Mapping[str, Objective],
    parts: Callable[[RunSession], None],
    demanded: tuple[Action, str] | None = None,
) -> Path:
    """Records one run around `parts`; everything that happens, an interrupt included, is in its journal.

    `run.finished` says how the run ended; a run without it was killed. Raises ConfigError before anything was recorded,
    also where the target does not permit what is `demanded` (and for what).
    """
    if plan.profiles and request.with_load:
        LoadVariables.of(_set_by_user())
    if request.target != "embedded":  # complete before a folder is made
        resolved = live_target(request)
        if demanded:
            try:
                resolved.permit.demand(*demanded)
            except PermitError as error:
                raise ConfigError(str(error)) from None
    with held():
        return _record_held(request, plan, objectives, parts)


def _record_held(
    request: RunRequest, plan: Plan, objectives: Mapping[str, Objective], parts: Callable[[RunSession], None]
) -> Path:
    forget_dead()
    remove_dead_stacks()
    directory = request.run_dir or name_directory()
    directory.mkdir(parents=True, exist_ok=True)
    journal = Journal(directory, "assay", Redactor())
    _announce(journal, directory, request, plan)
    outcome, why = RunOutcome.BROKEN, ""
    try:
        with ExitStack() as ends, stoppable():  # what ends the target's hold is not interrupted
            run, state = ends.enter_context(hold_target(request, journal))
            ends.enter_context(run.handed())
            target = run.target
            one = RunSession(request, plan, objectives, run)
            if request.expect_version:
                _demand_version(target, request.expect_version, journal, wait=300)
            try:
                parts(one)
            finally:
                one.note_deaths()
                one.note_costs()
                if state:
                    one.keep_logs(state)
            if request.expect_version:
                _demand_version(target, request.expect_version, journal, wait=0)
        outcome = RunOutcome.COMPLETED
    except KeyboardInterrupt:
        outcome = RunOutcome.INTERRUPTED
    except AssayError as failure:
        why = str(failure)
        request.line.say(f"broken: {why}")
    finally:
        journal.write(RunFinished(outcome, why), durable=True)
        journal.close()
    return directory


def _announce(journal: Journal, directory: Path, request: RunRequest, plan: Plan) -> None:
    started = RunStarted(
        run=directory.name,
        assay_version=VERSION,
        commit=commit(),
        plan=plan.name,
        target=request.target,
        host=platform.node(),
        cpus=os.cpu_count(),
        python=platform.python_version(),
        argv=tuple(sys.argv[1:]),
        project=str(find_project().own or ""),
    )
    journal.write(started, durable=True)
    if request.shard:
        journal.write(RunShard(request.shard.number, request.shard.of), durable=True)
    own = find_project().own
    manifest = plan.manifest(declared_checks.gating(own=own))
    declared = tuple(
        DeclaredCheck(check.id, check.requirement) for check in declared_checks.declared(own=own)
    )
    journal.write(PlanResolved(plan.name, plan.title, manifest, declared), durable=True)


def live_target(request: RunRequest) -> Target:
    """The target that the environment and the request's file name. Raises ConfigError."""
    return targets.resolve(request.target, catalogue(), file=request.target_file)


@contextmanager
def hold_target(request: RunRequest, journal: Journal) -> Iterator[tuple[Run, Path | None]]:
    """The run on the resolved target, and the embedded stack's folder; holds the stack's lease."""
    if request.target != "embedded":
        yield _on(live_target(request), journal), None
        return
    if request.stack:
        yield _on(request.stack.target(catalogue()), journal), request.stack.state
        return
    serves = request.serves
    request.line.begin("embedded target")
    shown = sys.stderr if request.verbose and not serves else None
    with embedded.attach(progress=shown, serves=serves) as stack:
        request.line.end("ready")
        for note in (*stack.notes, *own_schema.proposed(stack, serves)) if serves else ():
            request.line.say(note)
        yield _on(own_schema.target_of(stack, serves, as_base=request.as_base), journal), stack.state


def _on(target: Target, journal: Journal) -> Run:
    journal.redactor.learn(target.secrets())
    journal.write(TargetResolved.of(target), durable=True)
    journal.write(TargetIdentified(target.identity()), durable=True)
    meter.enter(journal.directory, target.description.budget.caps())
    return Run(journal.directory, target, journal)


def _demand_version(target: Target, expected: str, journal: Journal, *, wait: float) -> None:
    """Waits until the platform declares the version that is to be judged: a deploy's propagation lags."""
    declared = target.description.platform.version
    if declared is None:
        raise ConfigError(
            "--expect-version: describe [platform] version in target.toml, where the version is told."
        )
    with client("platform", target.permit, base_url=target.get("PLATFORM_URL")) as http:

        def version() -> str:
            return str(pick(json_of(http.get(declared.path), "platform", dict), declared.field, ""))

        try:
            seen = eventually(
                version, until=lambda v: v.startswith(expected), within=wait, claim="version", every=1
            )
        except Missed:
            raise BrokenError(
                f"the platform declares version '{version()}', not '{expected}'; nothing can be said of it."
            ) from None
    journal.write(PlatformVersion(seen))
