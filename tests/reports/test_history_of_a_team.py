"""The history on a real PostgreSQL, and kept across machines that do not last."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reports.history import cli
from reports.history.store import History
from reports.judging.judge import judge
from stack.supervisor.paths import ROOT
from tests.reports.made import Made
from tests.reports.together import record_together
from tests.stack.supervisor.harness import Stack


@pytest.fixture
def database(tmp_path: Path) -> Iterator[str]:
    """The address of a fresh PostgreSQL."""
    components = tmp_path / "components"
    components.mkdir()
    shutil.copy(ROOT / "stack" / "components" / "postgres.py", components)
    stack = Stack(tmp_path, components)
    try:
        _, answer = stack.held()
        yield answer["variables"]["SUPABASE_DB_URL"]
    finally:
        stack.close()
        for process in stack.started:
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
            process.wait(30)


@pytest.mark.timeout(180)
def test_a_team_shares_one_database(tmp_path: Path, database: str) -> None:
    verdicts = [judge(Made(tmp_path / f"r{i}", age_days=9 - i).write(), waivers=[]) for i in range(6)]
    assert record_together(database, verdicts, times=2) == []
    history = History(database)
    try:
        now = judge(Made(tmp_path / "now").write(), waivers=[], history=history)
        assert len(history.runs()) == 6
        rooms: Any = next(o for o in now.objectives if o.id == "perf.rooms")
        assert rooms.regression.text == "learning 6/30"
        assert now.since_last["run"] == "r5"
        history.store_alerts("a", {"kv": "missed"})
        assert history.alerts("a") == {"kv": "missed"}
        assert history.prune(5.5) == 4
    finally:
        history.close()


def test_runners_that_do_not_last_pass_it_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The recipe of docs/verdicts.md: restore the file, run, save it; two that ran at once are merged."""
    stored = tmp_path / "stored.sqlite"
    for night in range(3):
        runner = tmp_path / f"runner{night}"
        runner.mkdir()
        if stored.exists():
            shutil.copy(stored, runner / "history.sqlite")
        history = History(runner / "history.sqlite")
        history.record(
            judge(Made(runner / f"run{night}", age_days=3 - night).write(), waivers=[], history=history)
        )
        history.close()
        shutil.copy(runner / "history.sqlite", stored)
    other = History(tmp_path / "other.sqlite")
    other.record(judge(Made(tmp_path / "aside").write(), waivers=[]))
    other.close()
    assert cli.main(["--history", str(stored), "merge", str(tmp_path / "other.sqlite")]) == 0
    assert cli.main(["--history", str(stored), "list"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("1 taken over")
    assert [f"run{i}" in out for i in range(3)] == [True] * 3
    assert cli.main(["--history", str(stored), "merge", str(tmp_path / "other.sqlite")]) == 0
    assert capsys.readouterr().out.startswith("0 taken over")


def test_old_runs_are_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(Made(tmp_path / f"r{i}", age_days=i).write()) for i in range(2)]
    assert cli.main(["--history", str(tmp_path / "h.sqlite"), "import", *runs]) == 0
    assert capsys.readouterr().out == "2 kept\n"
    assert cli.main(["--history", str(tmp_path / "h.sqlite"), "import", str(tmp_path)]) == 2
    assert "holds no run" in capsys.readouterr().err
