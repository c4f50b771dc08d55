"""Whatever happens, a command ends with one sentence and one of four exit codes, and a run has its report."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import reports
from runner import verdict as verdicts

ROOT = Path(__file__).parents[2]


def command(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "cli", *words], cwd=ROOT, capture_output=True, timeout=120,
        env={**os.environ, "COLUMNS": "300", **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["bogus"], 2, "No such command"),
        (["load", "--users", "x", "y"], 2, "Invalid value for '--users'"),
        (["check", "there-is-no-such"], 2, "there is no check"),
        (["check", "[/bold]\x1b[31m::error::x"], 2, "there is no check '[/bold]␛[31m::error::x'"),
        (["report", "nowhere"], 2, "is not a run"),
    ],
)
def test_a_wrong_word_is_one_sentence(words, code, said):
    done = command(*words)
    shown = done.stderr.decode()
    assert (done.returncode, shown.count("\n")) == (code, 1), shown
    assert said in shown


def test_a_terminal_that_is_not_utf_8_shows_what_it_can():
    done = command("check", "é…日本", PYTHONIOENCODING="ascii")
    assert done.returncode == 2
    assert rb"there is no check" in done.stderr


def test_what_the_judge_stumbles_over_is_broken_and_reported(tmp_path, monkeypatch, capsys):
    def stumble(*words, **more):
        raise TypeError("no [/word] for this \ud800")

    monkeypatch.setattr(verdicts, "judge", stumble)
    (tmp_path / "journal").mkdir()
    assert verdicts.judge_and_write(tmp_path, keep=False) == 3
    shown = capsys.readouterr().out
    assert "judging failed at test_fault_of_ours.py" in shown
    for name in ("verdict.json", "junit.xml", "summary.md", "results.csv", "report/index.html"):
        assert (tmp_path / name).stat().st_size > 0, name
    assert reports.judge is not stumble
