"""The drill itself: batches are planted, checked, judged and restored, one after the other."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from clients.services import catalogue as services
from core.errors import AssayError, ConfigError
from core.events import RunFinished
from core.evidence import Evidence
from core.objective import Objective
from core.outcome import RunOutcome, Verdict
from core.plan import Plan, PlannedObjective, PlannedProfile
from core.project import find_project
from core.run import name_directory, runs
from core.target import Target
from reports import judge
from reports.judging.overrides import Sources
from runner import declared_checks
from runner.drill import matrix
from runner.drill.batches import FEW, MOST, batches, shard
from runner.drill.catalogue import SHIPPED, Defect, read_catalogue, select
from runner.drill.plants import NotPlanted, Planted
from runner.drill.results import BROKEN, Result, Results, Seen, judged, summarise
from runner.drill.stage import Stage
from runner.drill.staging import Staging
from runner.session import RunRequest, RunSession, live_target, record

PREFIX = "drill-"
PROFILE_OF_CHECKS = "checks"
console = Console(stderr=True, highlight=False)


@dataclass(frozen=True)
class Wish:
    """What the user asked for."""

    only: Sequence[str] = ()
    folder: Path = SHIPPED
    part: str = ""
    workers: int = 3
    wide: bool = False
    """Run every check of a defect's service, so that noise shows; else its own checks alone."""
    resume: Path | None = None
    """The folder of a drill to go on with."""
    target: str = "embedded"
    target_file: Path = Path("target.toml")


class Drill:
    """One drill in its folder."""

    def __init__(
        self,
        wish: Wish,
        stage: Stage | Staging,
        directory: Path,
        declared: Sequence[declared_checks.Declared],
    ) -> None:
        self.wish = wish
        self.stage = stage
        self.directory = directory
        self.results = Results(directory)
        self.declared = declared
        self.objectives = Sources(find_project().own).objectives()
        self._whole = stage.fingerprint()

    def run(self, defects: Sequence[Defect]) -> None:
        """Drills every defect that has no result yet, and tells how far it is.

        What was not as it should be in a batch is tried again in smaller ones, and at last alone: one fault may hide
        another, and a surprise in a group has no name.
        """
        left = [d for d in defects if not self.results.settled(d)]
        total, began, done = len(left), time.monotonic(), 0
        for most in (MOST, FEW, 1):
            groups, again = batches(left, most), list[Defect]()
            for number, group in enumerate(groups, 1):
                for result, defect in self._tried(group):
                    if len(group) > 1 and (not result.good or result.noise):
                        again.append(defect)
                        continue
                    self.results.add(result)
                    done += 1
                    _say(result, done, total, began)
                console.print(f"· {number} of {len(groups)} batches of at most {most}", soft_wrap=True)
            left = again

    def _tried(self, group: Sequence[Defect]) -> list[tuple[Result, Defect]]:
        together, unplanted = self._batch(group)
        by_id = {d.id: d for d in group}
        return [(result, by_id[result.defect]) for result in (*together, *unplanted)]

    def _batch(self, group: Sequence[Defect]) -> tuple[list[Result], list[Result]]:
        """Plants a group, runs its checks, restores. Returns the results, and those of what could not be planted."""
        unplanted: list[Result] = []
        group = list(group)
        while group:
            began = time.monotonic()
            directory = name_directory(self.directory)
            try:
                with Planted(self.stage, group):
                    self._record(group, directory)
                    idle = self.stage.proxies.idle() if self.stage.proxies else []
            except NotPlanted as failure:
                culprit = next(d for d in group if d.id == failure.defect)
                unplanted.append(Result(culprit.id, culprit.digest, BROKEN, words=f"not planted: {failure}"))
                group.remove(culprit)
                self._mend()
                continue
            except (AssayError, psycopg.Error) as failure:
                self._mend(renew=True)
                if len(group) > 1:  # one of them keeps a component from starting: which one, the halves tell
                    halves = [self._batch(group[: len(group) // 2]), self._batch(group[len(group) // 2 :])]
                    seen = [result for half, _ in halves for result in half]
                    return seen, [*unplanted, *(result for _, half in halves for result in half)]
                words = f"could not be planted or restored: {failure}"
                return [], [*unplanted, *(Result(d.id, d.digest, BROKEN, words=words) for d in group)]
            self._mend()
            states = self._seen(directory, group)
            seconds = (time.monotonic() - began) / len(group)
            explained = {check for defect in group for check in defect.checks}
            noise = sorted(
                n for n, one in states.items() if one.state == Verdict.MISSED and n not in explained
            )
            results = [judged(defect, states, idle) for defect in group]
            for result in results:
                result.seconds, result.run = round(seconds, 1), directory.name
                result.noise = noise
            return results, unplanted
        return [], unplanted

    def _mend(self, *, renew: bool = False) -> None:
        """A new stack where the old one is not what it was."""
        try:
            well = not renew and self.stage.fingerprint() == self._whole
        except psycopg.Error:
            well = False
        if not well:
            console.print("· the database is not what it was before: a new stack is started", soft_wrap=True)
            self.stage.renew()
            self._whole = self.stage.fingerprint()

    def _record(self, group: Sequence[Defect], directory: Path) -> None:
        wanted = {name for defect in group for name in defect.checks}
        checks = sorted(self._with_neighbours({w for w in wanted if w not in self.objectives}, group))
        planned = self._plan(checks, group)
        request = RunRequest(
            plan="drill",
            target=self.wish.target,
            target_file=self.wish.target_file,
            checks=checks,
            workers=self.wish.workers,
            quiet=True,
            run_dir=directory,
            stack=self.stage.stack,
        )

        def parts(one: RunSession) -> None:
            if checks:
                one.checks()
            if planned.profiles:
                one.load()

        record(request, planned, self._objectives(group), parts)
        if any(e.outcome is RunOutcome.INTERRUPTED for e in Evidence(directory).events(RunFinished)):
            raise KeyboardInterrupt

    def _with_neighbours(self, checks: set[str], group: Sequence[Defect]) -> set[str]:
        if not self.wish.wide:
            return checks
        wanted = {d.entry.requirement for d in group}
        return checks | {c.id for c in self.declared if wanted & set(c.requirement)}

    def _plan(self, checks: Sequence[str], group: Sequence[Defect]) -> Plan:
        known, profiles, planned = self._objectives(group), dict[str, PlannedProfile](), []
        for defect in group:
            load = defect.entry.load
            if load:
                profiles[load.profile] = PlannedProfile(
                    name=load.profile, users=load.users, rate=load.rate, duration=load.seconds,
                    warm_up=min(5.0, load.seconds / 4), variables=dict(load.variables),
                )  # fmt: skip
            source = load.profile if load else PROFILE_OF_CHECKS
            planned += [PlannedObjective(known[n], source) for n in defect.checks if n in known]
        return Plan(
            "drill", "a drill", 600, checks=tuple(checks), profiles=tuple(profiles.values()),
            objectives=tuple(planned), together=True,
        )  # fmt: skip

    def _objectives(self, group: Sequence[Defect]) -> dict[str, Objective]:
        """The objectives as the loads of these defects want them."""
        tables = {i: t for d in group if d.entry.load for i, t in d.entry.load.objectives.items()}
        return {i: changed_by(one, tables.get(i, {})) for i, one in self.objectives.items()}

    def _seen(self, directory: Path, group: Sequence[Defect]) -> dict[str, Seen]:
        verdict = judge(directory, self._objectives(group), project=find_project().own)
        seen = {
            c.id: Seen(c.state, " ".join(filter(None, (c.message, c.expected, c.saw))))
            for c in verdict.checks
        }
        return seen | {o.id: Seen(o.state, o.reason) for o in verdict.objectives}


def changed_by(objective: Objective, table: Mapping[str, Any]) -> Objective:
    """An objective with some of its keys changed. Raises ConfigError for keys or values that no objective has."""
    try:
        return Objective(**{**objective.model_dump(), **table}) if table else objective
    except ValidationError as error:
        raise ConfigError(
            f"{objective.id}: {error.errors()[0]['loc'][0]}: {error.errors()[0]['msg']}"
        ) from None


def _say(result: Result, done: int, total: int, began: float) -> None:
    spent = time.monotonic() - began
    left = spent / done * (total - done) / 60
    colour = "green" if result.good else "red"
    noise = f" [yellow](and {', '.join(result.noise)})[/yellow]" if result.noise else ""
    words = "" if result.good else f" {escape(result.words[:200])}"
    console.print(
        f"[bold]{done}/{total}[/bold] [{colour}]{result.outcome:8}[/{colour}] {escape(result.defect)}{noise}{words} "
        f"[dim]{left:.0f} min left[/dim]",
        soft_wrap=True,
    )


def run_drill(wish: Wish) -> int:
    """Drills the catalogue and writes the matrix. Returns 0 when every defect was caught and nobody was accused, else 1.

    Raises ConfigError for a catalogue or a word that is wrong, before anything is started.
    """
    declared = declared_checks.declared(own=find_project().own)
    sources = Sources(find_project().own)
    known = read_catalogue(
        wish.folder, declared, sorted(sources.objectives()), services(), sources.requirements
    )
    chosen = select(known, wish.only)
    groups = shard(batches(chosen), wish.part)
    mine = [defect for group in groups for defect in group]
    directory = _directory(wish)
    console.print(f"· {len(mine)} defects in {len(groups)} batches; {directory}", soft_wrap=True)
    stage = Stage(sys.stderr) if wish.target == "embedded" else Staging(_live(wish))
    try:
        drill = Drill(wish, stage, directory, declared)
        applying = [c.id for c in declared if not (c.passport and c.passport.inapplicable(stage.target))]
        drill.run(mine)
    finally:
        stage.close()
    found = [result for d in mine if (result := drill.results.of(d))]
    summary = summarise(found, mine, applying)
    matrix.write(directory, mine, found, summary)
    matrix.show(found, summary)
    return 0 if all(result.good for result in found) and len(found) == len(mine) else 1


def _live(wish: Wish) -> Target:
    return live_target(RunRequest(target=wish.target, target_file=wish.target_file))


def _directory(wish: Wish) -> Path:
    if wish.resume:
        folder = wish.resume if wish.resume.is_dir() else runs() / wish.resume
        if not folder.is_dir():
            raise ConfigError(f"--resume {wish.resume}: there is no such drill, here or under runs/.")
        return folder.absolute()
    named = name_directory()
    folder = named.with_name(PREFIX + named.name)
    folder.mkdir(parents=True)
    return folder
