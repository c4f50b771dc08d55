"""Judges a run from its journal alone, now or a year later, and writes its reports."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from core.console import width
from core.errors import AssayError, ConfigError
from core.project import find_project
from core.run import runs
from core.user_settings import setting
from reports import History, compare, gate, judge, show, write
from reports.judging.fallback import could_not_judge
from reports.judging.overrides import Sources
from reports.rendering.columns import reflowed

HISTORY = "ASSAY_HISTORY"
USAGE = 2


def judge_and_write(
    directory: Path, *, release: bool = False, objectives: Path | None = None, keep: bool = True
) -> int:
    """Judges a run, writes every report, prints the verdict and returns the exit code.

    `keep` records it in the history (SQLite beside the environment, or the database URL in ASSAY_HISTORY).
    """
    own = find_project().own
    with closing(history_store()) as history:
        try:
            verdict = judge(directory, objectives=objectives, history=history, project=own)
        except AssayError:
            raise
        except Exception as error:  # the report is written whatever the evidence did to the judge
            verdict, keep = could_not_judge(directory, error), False
        text, code = gate(verdict, release=release)
        show(verdict)
        if release and code == USAGE:
            print(text.splitlines()[-1])
        write(verdict, directory, history=history if keep else None, mutes=Sources(own).alerts)
        print(f"report       {_near(directory / 'report' / 'index.html')}")
    return code


def gate_run(named: Path | None, *, release: bool) -> int:
    """One screen about a run, and its exit code."""
    directory = find(named)
    with closing(history_store()) as history:
        verdict = judge(directory, history=history, project=find_project().own)
    size = min(100, width(terminal=sys.stdout.isatty()))
    text, code = gate(verdict, release=release, width=size)
    print(reflowed(text, size, 13))
    return code


def report_runs(named: Sequence[Path], *, serve_it: bool, objectives: Path | None) -> int:
    """Judges runs again and writes their reports."""
    directories = [find(name) for name in named] or [find(None)]
    code = 0
    for directory in directories:
        code = judge_and_write(directory, objectives=objectives, keep=False)
    if len(directories) == 2:
        own = find_project().own
        one, two = (judge(directory, objectives=objectives, project=own) for directory in directories)
        print(f"comparison   {_near(compare(one, two, directories[1] / 'report' / 'compare.html'))}")
    if serve_it:
        from reports.rendering.serve import serve

        serve(directories[-1])
    return code


def history_store() -> History:
    """The store that ASSAY_HISTORY names (a path or a database URL), else SQLite beside the environment."""
    named = setting(HISTORY)
    return History(named) if named else History()


def find(named: Path | None, root: Path | None = None) -> Path:
    """A run's folder by path or id; the newest when none is named. Raises ConfigError."""
    root = root or runs()
    if named is None:
        found = sorted(path for path in root.glob("*") if (path / "journal").is_dir())
        if not found:
            raise ConfigError("there is no run yet; `./assay validate` makes one.")
        return found[-1]
    for candidate in (named, root / named):
        if (candidate / "journal").is_dir():
            return candidate.absolute()
    raise ConfigError(f"'{named}' is not a run: no such folder with a journal, here or under runs/.")


def _near(path: Path) -> str:
    """The path as a person in this folder would type it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
