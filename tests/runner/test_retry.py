"""An unfit generator is told, or its load measured once more where the plan says so; a fault never is."""

import os
import signal
import threading
import time

import pytest

from clients.services import catalogue
from core.events import Gauge, LedgerPlanned
from core.evidence import Evidence
from core.journal import Journal
from core.load_events import (
    GeneratorHealth,
    LoadDrain,
    LoadFinished,
    LoadRepeated,
    LoadSteady,
    SeriesSummary,
    WorkerLost,
)
from core.outcome import LoadOutcome
from core.plan import Plan, PlannedProfile
from core.run import Run
from core.secret import Redactor
from core.target import resolve
from runner import retry
from runner.session import RunRequest, RunSession
from tests.clients.strange import environment
from tests.runner.sandbox import Sandbox

SECOND = 1_000_000_000


def attempt(directory, *, unfit=0.0, wrong=0, finished=True, left=0, lost=False, failed=""):
    """The journal of a load with a steady window of 30 s, of which `unfit` seconds were not; its stem."""
    journal = Journal(directory, "load", Redactor(), background=False)
    journal.write(LoadSteady("database", 10 * SECOND, ""))
    reason = "9 of 50 sends lag" if unfit else ""
    journal.write(GeneratorHealth(20 * SECOND, int((20 + unfit) * SECOND), reason, 1.0, 0.1))
    for number in range(left):
        journal.write(LedgerPlanned(str(number), "object", {}, ""))
    if lost:
        journal.write(WorkerLost("database", "w1", "killed", 0))
    journal.write(Gauge("load.wrong", wrong, "answers"))
    journal.write(LoadDrain("database", 40 * SECOND))
    if finished:
        counts = {"ok": 50, "wrong": 0, "error": 0, "refused": 0, "cancelled": 0}
        counts |= {failed: 1} if failed else {}
        series = SeriesSummary("perf.database", {}, {"steady": counts}, {}, {})
        journal.write(LoadFinished("database", LoadOutcome.COMPLETED, "", 50, series=(series,)))
    journal.close()
    return retry.journals(directory)


def test_a_generator_that_was_not_fit_is_told_with_why(tmp_path):
    assert (
        retry.unfit_generator(tmp_path, attempt(tmp_path, unfit=1.5)) == "9 of 50 sends lag for 1.5 s of 30 s"
    )


@pytest.mark.parametrize(
    "attempt_fields",
    [
        {},
        {"unfit": 0.2},
        {"unfit": 3, "wrong": 1},
        {"unfit": 3, "finished": False},
        {"unfit": 3, "left": 1},
        {"unfit": 3, "lost": True},
        {"unfit": 3, "failed": "wrong"},
        {"unfit": 3, "failed": "error"},
        {"unfit": 3, "failed": "refused"},
    ],
)
def test_what_was_fit_or_may_be_a_fault_is_not_repeated(tmp_path, attempt_fields):
    assert retry.unfit_generator(tmp_path, attempt(tmp_path, **attempt_fields)) == ""


def test_what_is_set_aside_is_kept_and_not_read(tmp_path):
    Journal(tmp_path, "assay", Redactor(), background=False).close()
    files = attempt(tmp_path, unfit=2)
    retry.quarantine(tmp_path, files)
    assert retry.journals(tmp_path) == set()
    assert {path.stem for path in (tmp_path / retry.QUARANTINE).glob("*.jsonl")} == files


@pytest.mark.parametrize(
    ("duration", "shape", "worth"), [(30, "steady", 1), (3600, "soak", 0), (60, "step", 0)]
)
def test_long_loads_and_searches_are_judged_as_they_went(duration, shape, worth):
    assert retry.is_retryable(
        PlannedProfile(name="database", users=5, duration=duration, warm_up=1.0, shape=shape)
    ) == bool(worth)


def test_a_generator_that_stood_still_is_told_and_not_measured_again(tmp_path):
    """The load's own process is stopped for a while: its arrivals come late, which is nobody's answer."""
    sandbox = Sandbox(tmp_path)
    run = sandbox.start("load", "database", "--users", "10", "--for", "15s")
    said = []
    reader = threading.Thread(target=lambda: said.append(run.communicate()[0]))
    reader.start()
    try:
        [steady, *_] = sandbox.wait_for(LoadSteady)
        process = int(steady.source.rpartition("-")[2])
        threading.Event().wait((steady.event.steady_from - time.monotonic_ns()) / SECOND + 1)
        os.kill(process, signal.SIGSTOP)
        threading.Event().wait(2)
        os.kill(process, signal.SIGCONT)
        reader.join(200)
    finally:
        run.kill()
        reader.join(10)
        sandbox.down()
    directory = sandbox.newest()
    assert run.returncode == 3, said
    assert "behind the schedule" in said[0]
    assert not (directory / retry.QUARANTINE).exists()
    [finished] = Evidence(directory).recorded(LoadFinished)
    assert finished.source == f"load-{process}"


class Parts:
    """A session's loads without processes: each writes the journal of an attempt that was unfit, then of one that was."""

    def __init__(self, directory, retry_unfit):
        profile = PlannedProfile.model_validate({"name": "database", "users": 5, "for": "30s"})
        plan = Plan("p", "P", 60.0, profiles=(profile,), retry_unfit=retry_unfit)
        self.run = Run.begin(directory, resolve("embedded", catalogue(), environment=environment(9)), "main")
        self.session = RunSession(RunRequest(quiet=True), plan, {}, self.run)
        self.session._load_group = self.attempt
        self.tried = 0

    def attempt(self, group, extra):
        self.tried += 1
        attempt(self.run.directory, unfit=2.0 if self.tried == 1 else 0.0)
        return {"database": 0}


@pytest.mark.parametrize("asked", [False, True])
def test_the_plan_decides_whether_an_unfit_load_is_measured_again(tmp_path, asked):
    parts = Parts(tmp_path, asked)
    parts.session.load()
    parts.run.journal.close()
    repeated = Evidence(tmp_path).events(LoadRepeated)
    assert (parts.tried, len(repeated)) == ((2, 1) if asked else (1, 0))
    assert (tmp_path / retry.QUARANTINE).exists() == asked
