"""What `assay sweep` takes: dead runs alone, of this very target; shown first, and the second time nothing."""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.description import Description
from core.events import LedgerPlanned, TargetIdentified, TargetResolved
from core.evidence import Evidence
from core.journal import Journal, written_now
from core.ledger import left_over
from core.ownership import NotOursError
from core.secret import Redactor
from runner import sweep
from runner.session import remove_dead_stacks
from runner.sweep import sweep_runs
from tests.clients.strange import environment
from tests.runner.sandbox import ROOT

OURS, OTHER = {"kv": "0123456789abcdef"}, {"kv": "fedcba9876543210"}
WRITER = """
import sys, time
from pathlib import Path
from core.events import LedgerPlanned
from core.journal import Journal
from core.secret import Redactor
Journal(Path(sys.argv[1]), "assay", Redactor()).write(LedgerPlanned("1", "kv.prefix", {"prefix": "x"}, ""), durable=True)
print("written", flush=True)
time.sleep(600)
"""


class Target:
    """A target that counts what is removed from it."""

    def __init__(self, root, monkeypatch):
        self.root, self.removed = root, []
        target = SimpleNamespace(identity=lambda: OURS, secrets=list, description=Description())

        @contextmanager
        def hold(request, journal):
            yield SimpleNamespace(target=target), None

        def remove(key):
            if key["prefix"] == "somebody's":
                raise NotOursError("the key 'home' is somebody's")
            self.removed.append(key["prefix"])

        monkeypatch.setattr(sweep, "hold_target", hold)
        monkeypatch.setattr(sweep, "live_target", lambda request: target)
        monkeypatch.setattr(sweep, "undoers", lambda run: {"kv.prefix": remove})
        monkeypatch.setattr(sweep, "_remove_dead_stacks", lambda: None)

    def sweep(self, **more):
        return sweep_runs("live", self.root / "target.toml", dry=False, root=self.root, **more)

    def run(self, name, prefix, identity=OURS, *, goes=False):
        journal = Journal(self.root / name, "assay", Redactor())
        journal.write(TargetResolved("live", "ours", False, (), {}, {}))
        if identity is not None:
            journal.write(TargetIdentified(identity))
        journal.write(LedgerPlanned("1", "kv.prefix", {"prefix": prefix}, ""), durable=True)
        if not goes:
            journal.close()
        return journal


@pytest.fixture
def target(tmp_path, monkeypatch):
    return Target(tmp_path, monkeypatch)


def test_dead_runs_of_this_target_are_swept_once(target, capsys):
    target.run("20260101-000000-aaaaaa", "dead")
    assert sweep_runs("live", target.root, dry=True, root=target.root) == 0
    assert target.removed == [], "shown first"
    assert "20260101-000000-aaaaaa: kv.prefix" in capsys.readouterr().out
    assert target.sweep() == 0
    assert target.sweep() == 0
    assert target.removed == ["dead"]
    assert left_over(Evidence(target.root / "20260101-000000-aaaaaa").events()) == []


def test_a_run_that_goes_is_left(target, capsys):
    journal = target.run("20260101-000000-aaaaaa", "goes", goes=True)
    target.run("20260101-000000-bbbbbb", "dead")
    for _ in range(20):
        assert target.sweep() == 0
    assert target.removed == ["dead"]
    assert "20260101-000000-aaaaaa: this run still goes: left" in capsys.readouterr().out
    journal.close()
    target.sweep()
    assert target.removed == ["dead", "goes"]


@pytest.mark.parametrize("identity", [OTHER, {}, None])
def test_what_another_target_holds_is_left_and_found_again(target, identity, capsys):
    target.run("20260101-000000-aaaaaa", "elsewhere", identity)
    for _ in range(2):
        assert target.sweep() == 3
        assert "left" in capsys.readouterr().out
    assert target.removed == []
    assert left_over(Evidence(target.root / "20260101-000000-aaaaaa").events()), (
        "its own target may sweep it yet"
    )


def test_what_is_somebodys_is_told(target, capsys):
    target.run("20260101-000000-aaaaaa", "somebody's")
    assert target.sweep() == 0
    assert "not touched: the key 'home' is somebody's" in capsys.readouterr().out


def test_a_journal_of_an_older_format_is_told_and_hinders_nothing(target, capsys):
    old = target.root / "20250101-000000-aaaaaa" / "journal"
    old.mkdir(parents=True)
    (old / "assay-1.jsonl").write_text('{"type": "journal.opened", "t": 1, "format": 1}\n')
    target.run("20260101-000000-bbbbbb", "dead")
    assert target.sweep() == 0
    assert target.removed == ["dead"]
    assert "is of format 1" in " ".join(capsys.readouterr().out.split())


def test_the_kernel_gives_a_killed_runs_lock_back(tmp_path):
    assert not written_now(tmp_path)
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert writer.stdout.readline() == "written\n"
        assert written_now(tmp_path)
        assert [entry.kind for entry in left_over(Evidence(tmp_path).events())] == ["kv.prefix"]
    finally:
        writer.kill()
        writer.communicate()
    assert not written_now(tmp_path)


EXCLUSIVE = """
import sys, time
from pathlib import Path
from clients.services import catalogue
from core.run import Run
from core.target import resolve
from runner.session import _state_of_its_own
variables = dict(zip(sys.argv[2::2], sys.argv[3::2]))
run = Run.begin(Path(sys.argv[1]), resolve("embedded", catalogue(), environment=variables), "assay")
with run.handed(), _state_of_its_own(run.directory) as state:
    state.mkdir()
    (state / "supervisor.lock").touch()
    print(state, flush=True)
    time.sleep(600)
"""


def test_a_killed_runs_own_stack_goes_with_the_next_run_or_sweep(tmp_path, monkeypatch):
    monkeypatch.setenv("ASSAY_STATE", str(tmp_path / "stack"))
    for other in ("stack", "stack-mine"):
        (tmp_path / other).mkdir()
        (tmp_path / other / "supervisor.lock").touch()
    words = [word for pair in environment(9).items() for word in pair]
    process = subprocess.Popen(
        [sys.executable, "-c", EXCLUSIVE, str(tmp_path / "20260101-000000-aaaaaa"), *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        state = Path(process.stdout.readline().strip())
        assert state.name == "stack-20260101-000000-aaaaaa"
        assert remove_dead_stacks() == [], "its run still goes"
    finally:
        process.kill()
        process.communicate()
    assert state.exists()
    assert remove_dead_stacks() == [state.name]
    assert sorted(path.name for path in tmp_path.glob("stack*")) == ["stack", "stack-mine"]
