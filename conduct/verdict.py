"""Having a run judged: from its journal alone, now or a year later."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from conduct.run import OBJECTIVES
from core.errors import ConfigError
from fixtures.run import RUNS
from reports import gate, judge, serve, write

WAIVERS = Path("waivers.toml")


def judge_and_write(directory: Path, *, release: bool = False) -> int:
    """Judges a run, writes every report, prints the verdict and returns the exit code."""
    verdict = judge(directory, objectives=OBJECTIVES, waivers=WAIVERS if WAIVERS.exists() else None)
    write(verdict, directory)
    text, code = gate(verdict, release=release)
    print(text)
    return code


def gate_run(named: Path | None, *, release: bool) -> int:
    """One screen about a run, and its exit code."""
    directory = find(named)
    text, code = gate(
        judge(directory, objectives=OBJECTIVES, waivers=WAIVERS if WAIVERS.exists() else None),
        release=release,
    )
    print(text)
    return code


def report_runs(named: Sequence[Path], *, serve_it: bool, objectives: Path | None) -> int:
    """Judges runs again and writes their reports; a second run is compared with the first."""
    directories = [find(name) for name in named] or [find(None)]
    code = 0
    for directory in directories:
        verdict = judge(
            directory, objectives=objectives or OBJECTIVES, waivers=WAIVERS if WAIVERS.exists() else None
        )
        write(verdict, directory)
        text, code = gate(verdict, release=False)
        print(text)
    if serve_it:
        serve(directories[-1])
    return code


def find(named: Path | None, root: Path = RUNS) -> Path:
    """A run's folder by path or id; the newest when none is named. Raises ConfigError."""
    if named is None:
        runs = sorted(path for path in root.glob("*") if (path / "journal").is_dir())
        if not runs:
            raise ConfigError("there is no run yet; `./assay validate` makes one.")
        return runs[-1]
    for candidate in (named, root / named):
        if (candidate / "journal").is_dir():
            return candidate
    raise ConfigError(f"'{named}' is not a run: no such folder with a journal, here or under runs/.")
