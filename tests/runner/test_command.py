"""The command: help, exit codes, one sentence for each wrong word."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = (
    "validate",
    "test",
    "up",
    "down",
    "status",
    "env",
    "check",
    "load",
    "report",
    "gate",
    "sweep",
    "doctor",
)


def assay(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "cli", *words],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_help_names_every_command_and_the_exit_codes():
    done = assay("--help")
    assert done.returncode == 0
    for command in COMMANDS:
        assert f"  {command}" in done.stdout
        assert assay(command, "--help").returncode == 0
    assert "0 gate open, 1 gate closed, 2 usage or configuration, 3 broken" in done.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("validate", "--wrong"), "No such option: --wrong"),
        (("nonsense",), "No such command 'nonsense'"),
        (("valdate",), "did you mean 'validate'?"),
        (("load", "databse"), "did you mean 'database'?"),
        (("load",), "name a load profile"),
        (("check", "auth.second_facto"), "did you mean 'auth.second_factor'?"),
        (("validate", "--plan", "nope"), "'nope' is not a plan; known are"),
        (("validate", "--target", "moon"), "--target embedded or --target live"),
        (
            ("validate", "--target", "live", "--target-file", "/nonexistent/t.toml"),
            "/nonexistent/t.toml does not exist",
        ),
        (("check", "no.such_check"), "there is no check 'no.such_check'"),
        (("load", "zzz"), "'zzz' is not a load profile; known are"),
        (("load", "database", "--users", "0"), "--users 0 would load nothing"),
        (("load", "database", "--for", "soon"), "'soon' is not a duration"),
        (("gate", "no-such-run"), "'no-such-run' is not a run"),
        (("report", "no-such-run"), "'no-such-run' is not a run"),
    ],
)
def test_a_wrong_word_is_one_sentence_and_exit_2(words, says):
    done = assay(*words)
    assert done.returncode == 2, done.stderr
    assert says in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_an_empty_required_variable_is_exit_2_with_its_name(tmp_path):
    example = (ROOT / "target.example.toml").read_text()
    (tmp_path / "target.toml").write_text(example)
    done = assay(
        "validate", "--target", "live", "--target-file", str(tmp_path / "target.toml"), PLATFORM_URL=""
    )
    assert done.returncode == 2
    assert "PLATFORM_URL" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "words", [("check", "--list"), ("load", "--list"), ("runs",), ("doctor", "--capabilities")]
)
def test_lists_are_for_people_and_for_programs(words):
    assert isinstance(json.loads(assay(*words, "--json").stdout), list | dict)
    for columns in (80, 40):
        lines = assay(*words, COLUMNS=str(columns)).stdout.splitlines()
        wide = [line for line in lines if len(line) > columns and words[0] != "doctor"]
        assert not wide
