"""Planting several defects at once, and taking them out again, whatever happened meanwhile."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import psycopg

from core.errors import AssayError, ConfigError
from core.user_settings import for_child
from runner.drill.catalogue import (
    Command,
    Defect,
    Function,
    Process,
    Proxy,
    Setting,
    Source,
    Sql,
)
from runner.drill.stage import Stage
from runner.drill.staging import Staging

FIRST_FOLDER = {"platform": "platform", "supabase": "supabase", "vendors": "vendors", "sentry": "sentry"}


class NotPlanted(AssayError):
    """A defect could not be planted or taken out; `defect` is its identifier."""

    def __init__(self, defect: str, why: str) -> None:
        super().__init__(f"{defect}: {why}")
        self.defect = defect


class Planted:
    """What is planted at the moment. Use as a context: leaving it restores everything, the last first."""

    def __init__(self, stage: Stage | Staging, defects: Sequence[Defect]) -> None:
        self._stage = stage
        self._defects = defects
        self._undo = ExitStack()
        self._restart: set[str] = set()

    def __enter__(self) -> Planted:
        try:
            self._plant_all()
        except BaseException:
            self._undo.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def _plant_all(self) -> None:
        rules = [p for d in self._defects for p in d.entry.plant if isinstance(p, Proxy)]
        if rules:
            self._stage.front({rule.proxy for rule in rules})
        # Undone last: by then every source and value is the old one again.
        self._undo.callback(self._restart_touched)
        for defect in self._defects:
            for plant in defect.entry.plant:
                with _named(defect):
                    self._plant(defect, plant)
        for component in sorted(self._restart, key=lambda c: c == "platform"):
            self._stage.restart(component)
        if rules and self._stage.proxies:
            proxies = self._stage.proxies
            proxies.rule(rules)
            self._undo.callback(proxies.rule, [])
        for defect in self._defects:
            for plant in defect.entry.plant:
                if isinstance(plant, Process):
                    with _named(defect):
                        self._stage.stop(plant.process, plant.action)
                    self._undo.callback(self._stage.resume, plant.process, plant.action)

    def _restart_touched(self) -> None:
        for component in sorted(self._restart, key=lambda c: c == "platform"):
            self._stage.restart(component)

    def _plant(self, defect: Defect, plant: object) -> None:
        match plant:
            case Sql():
                self._stage.sql(plant.sql)
                self._undo.callback(self._stage.sql, plant.restore)
            case Function():
                self._function(plant)
            case Source():
                self._source(plant)
            case Setting():
                old = self._stage.configure(plant.config, plant.value)
                self._undo.callback(self._stage.configure, plant.config, old)
                self._restart.add(plant.component)
            case Command():
                _run(plant.command, defect.folder, plant.timeout)
                self._undo.callback(_run, plant.restore, defect.folder, plant.timeout)

    def _function(self, plant: Function) -> None:
        quoted = plant.function.replace("'", "''")
        old = str(self._stage.sql(f"select pg_get_functiondef('{quoted}'::regprocedure)")[0][0])
        self._stage.sql(changed(old, plant.find, plant.replace, plant.function))
        self._undo.callback(self._stage.sql, old)

    def _source(self, plant: Source) -> None:
        file = self._stage.source(plant.source)
        old = file.read_text()
        file.write_text(changed(old, plant.find, plant.replace, plant.source, every=plant.all))
        # Another defect may have changed the same file since: only this one's words are put back.
        self._undo.callback(lambda: file.write_text(old))
        self._restart.add(FIRST_FOLDER[Path(plant.source).parts[0]])


def changed(text: str, find: str, replace: str, where: str, *, every: bool = False) -> str:
    """A text with the place `find` replaced. Raises ConfigError unless it stands exactly once, or `every` time it may."""
    times = text.count(find)
    if times == 0 or (times > 1 and not every):
        raise ConfigError(
            f"{where} holds {'no' if not times else f'{times} times'} {find!r}; it must stand once."
        )
    return text.replace(find, replace)


def _run(command: str, folder: Path, timeout: float) -> None:
    done = subprocess.run(  # noqa: S602 (the catalogue's own words, as a Makefile's)
        command,
        shell=True,
        cwd=folder,
        env=for_child({}),
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
        raise ConfigError(f"the command {command!r} ended with {done.returncode}: {said[-1]}")


class _named:
    """Whatever is raised within is laid at this defect's door."""

    def __init__(self, defect: Defect) -> None:
        self._defect = defect

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (AssayError, psycopg.Error, subprocess.TimeoutExpired)) and not isinstance(
            error, NotPlanted
        ):
            raise NotPlanted(self._defect.id, str(error).strip().partition("\n")[0]) from error
