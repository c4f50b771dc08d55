"""One case tried in a process of its own: a whole run against the mutated service, from its target to its report."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.hostile.cases import Case
from bench.hostile.proxy import HostileProxy
from core.errors import AssayError
from core.events import CheckFinished
from core.evidence import Evidence
from core.run import ROOT
from runner import declared_checks
from runner.preparation import prepare
from runner.session import RunRequest, RunSession, record
from runner.verdict import judge_and_write

LIMIT = 240.0
"""Seconds after which a case hangs: no check that is tried may take a third of it."""
TARGET = """extends = "reference"
{capabilities}
[permit]
actions = ["read", "write", "admin"]
[settings]
logins_per_hour = 9000
"""


@dataclass(frozen=True)
class Tried:
    """What became of a case."""

    case: Case
    folder: Path
    code: int
    seconds: float
    mutated: int
    """Answers that went out changed; 0 says that the case tried nothing."""

    @property
    def finished(self) -> list[CheckFinished]:
        """How its checks ended."""
        found = sorted(path for path in self.folder.glob("run-*") if path.is_dir())
        return list(Evidence(found[0]).events(CheckFinished)) if found else []


class Trial:
    """A case that runs in a child process; the warm parent is only copied."""

    def __init__(self, case: Case, folder: Path, variables: Mapping[str, str], seed: int) -> None:
        self.case, self.folder, self._began = case, folder, time.monotonic()
        folder.mkdir(parents=True)
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            code = 70
            try:
                os.setsid()
                code = _run(case, folder, variables, seed)
            except BaseException:
                traceback.print_exc()
            finally:
                with suppress(OSError, ValueError):
                    sys.stdout.flush()
                    sys.stderr.flush()
                os._exit(code)

    def ended(self) -> Tried | None:
        """What became of it, once it is over; a hanging one is ended with all that it started."""
        seconds = time.monotonic() - self._began
        done, status = os.waitpid(self.pid, os.WNOHANG)
        if not done:
            if seconds < LIMIT:
                return None
            os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status) if done else -signal.SIGALRM
        counted = self.folder / "mutated"
        return Tried(
            self.case, self.folder, code, seconds, int(counted.read_text()) if counted.exists() else -1
        )


def _run(case: Case, folder: Path, variables: Mapping[str, str], seed: int) -> int:
    """The run itself, in the child; returns Assay's exit code."""
    terminal = os.open(folder / "terminal.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(terminal, 1)
    os.dup2(terminal, 2)
    proxy = HostileProxy(
        variables[case.subject.variable], case.mutation.mutate, paths=case.subject.paths, seed=seed
    )
    settings = {"ASSAY_HISTORY": str(folder / "history.sqlite"), "ASSAY_RUNS": str(folder)}
    os.environ.update({**variables, **settings, case.subject.variable: proxy.url})
    described = folder / "target.toml"
    described.write_text(TARGET.format(capabilities=_capabilities()))
    plan, objectives = prepare("gate", case.subject.checks)
    chosen = [c for c in declared_checks.declared() if c.id in case.subject.checks]

    def checks(session: RunSession) -> None:
        words = ["-q", "--no-header", "--tb=short", "-rN", "--rootdir", str(ROOT)]
        words += ["-W", "default", "--checks", ",".join(case.subject.checks)]
        words += ["--alluredir", str(session.directory / "allure-results")]
        with session.run.handed() as joining:
            os.environ.update(joining)
            pytest.main([*words, *sorted({str(c.path) for c in chosen})])

    request = RunRequest(
        plan="gate",
        target="live",
        target_file=described,
        checks=case.subject.checks,
        run_dir=folder / f"run-{case.mutation.name}",
        quiet=True,
    )
    try:
        directory = record(request, plan, objectives, checks)
        return judge_and_write(directory)
    except AssayError as error:  # as cli.py ends
        print(error)
        return 2
    finally:
        (folder / "mutated").write_text(str(proxy.mutated))


def _capabilities() -> str:
    text = (ROOT / "target.example.toml").read_text()
    return text[text.index("[capabilities]") : text.index("[permit]")]
