"""One case tried in a process of its own: a whole run against the mutated service, from its target to its report."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.hostile.cases import Case
from bench.hostile.proxy import HostileProxy
from bench.hostile.warm import WITHOUT, slim
from core.errors import AssayError
from core.events import CheckFinished, PartEnded, PartKind
from core.evidence import Evidence
from core.parent_death import die_with_parent
from core.plan import Plan
from core.run import ROOT
from core.stream import SafeStream
from runner import declared_checks
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

    def __init__(
        self, case: Case, folder: Path, variables: Mapping[str, str], seed: int, collector: str
    ) -> None:
        self.case, self.folder, self._began = case, folder, time.monotonic()
        folder.mkdir(parents=True)
        self._child = Child(lambda: _run(case, folder, variables, seed, collector))

    def ended(self) -> Tried | None:
        """What became of it, once it is over; a hanging one is ended with all that it started."""
        seconds = time.monotonic() - self._began
        code = self._child.ended(seconds > LIMIT)
        if code is None:
            return None
        counted = self.folder / "mutated"
        return Tried(
            self.case, self.folder, code, seconds, int(counted.read_text()) if counted.exists() else -1
        )


class Child:
    """A copy of this process that does one thing, with everything that it starts."""

    def __init__(self, work: Callable[[], int]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        tie = die_with_parent(signal.SIGKILL)
        self._pid = os.fork()
        if self._pid == 0:
            code = 70
            try:
                os.setsid()
                tie()
                code = work()
            except BaseException:
                traceback.print_exc()
            finally:
                with suppress(OSError, ValueError):
                    sys.stdout.flush()
                    sys.stderr.flush()
                os._exit(code)

    def ended(self, insist: bool = False) -> int | None:
        """Its exit code, None while it goes on; with `insist` it is ended now."""
        done, status = os.waitpid(self._pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if not insist:
            return None
        os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        return -signal.SIGALRM


def _run(case: Case, folder: Path, variables: Mapping[str, str], seed: int, collector: str) -> int:
    """The run itself, in the child; returns Assay's exit code."""
    if not case.whole:
        slim()
    terminal = os.open(folder / "terminal.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(terminal, 1)
    os.dup2(terminal, 2)
    proxy = HostileProxy(
        variables[case.subject.variable], case.mutation.mutate, paths=case.subject.paths, seed=seed
    )
    os.environ.update({**variables, **_settings(folder, collector), case.subject.variable: proxy.url})
    described = folder / "target.toml"
    described.write_text(TARGET.format(capabilities=_capabilities()))
    plan = Plan("hostile", "Hostile answers", 600, checks=case.subject.checks)
    chosen = [c for c in declared_checks.declared() if c.id in case.subject.checks]

    def checks(session: RunSession) -> None:
        words = [
            "-q",
            "--no-header",
            "--tb=short" if case.whole else "--tb=native",
            "-rN",
            "--rootdir",
            str(ROOT),
            *WITHOUT,
        ]
        words += ["-W", "default", "--checks", ",".join(case.subject.checks)]
        words += ["--alluredir", str(session.directory / "allure-results")]
        log = session.directory / "logs" / "checks.log"
        log.parent.mkdir()
        stream = SafeStream(session.journal.redactor.text)
        with session.run.handed() as joining, _captured(folder / "raw.log"):
            os.environ.update(joining)
            code = int(pytest.main([*words, *sorted({str(c.path) for c in chosen})]))
        said = stream.take((folder / "raw.log").read_bytes(), last=True)
        (folder / "raw.log").unlink()
        log.write_text(said)
        os.write(1, said.encode())  # as `--verbose` shows it
        session.journal.write(PartEnded("checks", PartKind.CHECKS, code, "logs/checks.log", ""), durable=True)

    request = RunRequest(
        plan="hostile",
        target="live",
        target_file=described,
        checks=case.subject.checks,
        run_dir=folder / f"run-{case.mutation.name}",
        quiet=True,
    )
    try:
        directory = record(request, plan, {}, checks)
        return judge_and_write(directory)
    except AssayError as error:  # as cli.py ends
        print(error)
        return 2
    finally:
        (folder / "mutated").write_text(str(proxy.mutated))


def _settings(folder: Path, collector: str) -> dict[str, str]:
    """As a CI job on GitHub has them, with every sender's address."""
    return {
        "ASSAY_HISTORY": str(folder / "history.sqlite"),
        "ASSAY_RUNS": str(folder),
        "GITHUB_ACTIONS": "true",
        "GITHUB_STEP_SUMMARY": str(folder / "step.md"),
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{collector}/{folder.name}/v1/metrics",
        "ASSAY_WEBHOOK": f"{collector}/{folder.name}/alert",
    }


@contextmanager
def _captured(file: Path) -> Iterator[None]:
    """What is written to the terminal lies in `file` meanwhile: the runner never shows a part's output as it is."""
    kept = os.dup(1), os.dup(2)
    to = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(to, 1)
    os.dup2(to, 2)
    os.close(to)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for at, descriptor in zip((1, 2), kept, strict=True):
            os.dup2(descriptor, at)
            os.close(descriptor)


def _capabilities() -> str:
    text = (ROOT / "target.example.toml").read_text()
    return text[text.index("[capabilities]") : text.index("[permit]")]
