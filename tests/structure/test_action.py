"""The composite action: its shell lines run in another repository's layout, with a stand-in for ./assay."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.structure.test_workflow import STAND_IN, UNTRUSTED
from tests.structure.tree import ROOT
from tests.structure.workflows import run_action

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
TEAM = ROOT / "deploy" / "ci" / "workflow.yml"


class Job:
    """A team's checkout, the action's own folder, and what ./assay was asked for."""

    def __init__(self, place: Path) -> None:
        self.team, self.action, self.temp = place / "team", place / "action", place / "temp"
        (self.team / "assay").mkdir(parents=True)
        self.temp.mkdir()
        for name in ("deploy/ci/gate", "package-lock.json", "plans/gate.toml", "locks/assay.txt"):
            (self.action / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.action / name)
        (self.action / "assay").write_text(STAND_IN)
        (self.action / "assay").chmod(0o755)

    def run(self, inputs: dict[str, str], *, fork: bool = False, code: int = 0) -> tuple[int, str, list[Any]]:
        environment = {
            "GITHUB_ACTION_PATH": str(self.action),
            "GITHUB_OUTPUT": str(self.temp / "outputs"),
            "RUNNER_TEMP": str(self.temp),
            "SUPABASE_SERVICE_KEY": "a key",
            "STAND_IN_EXIT": str(code),
            "PIP_INDEX_URL": "https://index.example/simple",
        }
        ended, output = run_action(ACTION, inputs, self.team, environment, {UNTRUSTED: str(fork).lower()})
        calls = [
            json.loads(line)
            for folder in (self.team, self.action)
            for line in (
                (folder / "calls.jsonl").read_text().splitlines() if (folder / "calls.jsonl").exists() else ()
            )
        ]
        return ended, output, calls


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def test_a_live_target_is_judged_by_the_team_s_project(job: Job) -> None:
    code, _, (setup, gate) = job.run({"plan": "own", "expect-version": "abc", "target": "staging"})
    assert code == 0
    named = ["--target", "staging", "--plan", "own", "--release", "--project", "assay"]
    words = ["validate", *named, "--expect-version", "abc"]
    assert gate["words"] == words
    assert setup["words"] == ["setup", *words]
    assert gate["env"]["SUPABASE_SERVICE_KEY"] == "a key"
    assert gate["env"]["ASSAY_RUNS"] == str(job.temp / "assay-runs")
    assert (job.temp / "outputs").read_text().count("\n") == 2


def test_installers_know_no_secret(job: Job) -> None:
    _, _, (setup, _) = job.run({})
    assert "a key" not in setup["env"].values()
    assert setup["env"]["PIP_INDEX_URL"]


@pytest.mark.parametrize(
    ("inputs", "fork", "plan"),
    [
        ({}, True, "smoke"),
        ({"plan": "own"}, True, "smoke"),
        ({"target": "embedded", "plan": "gate"}, False, "gate"),
    ],
)
def test_without_a_live_target_the_embedded_one_is_judged_and_said(
    job: Job, inputs: dict[str, str], fork: bool, plan: str
) -> None:
    code, output, (_, gate) = job.run(inputs, fork=fork)
    assert code == 0
    assert gate["words"] == ["validate", "--target", "embedded", "--plan", plan]
    assert "not about a release" in output


@pytest.mark.parametrize("code", [1, 2, 3])
def test_the_exit_code_is_the_verdict_s(job: Job, code: int) -> None:
    assert job.run({}, code=code)[0] == code


def test_actions_are_pinned_and_what_is_published_is_chosen() -> None:
    steps = ACTION["runs"]["steps"]
    used = [step["uses"] for step in steps if "uses" in step]
    assert all(re.search(r"@[0-9a-f]{40}$", use) for use in used)
    upload = next(step for step in steps if "upload-artifact" in step.get("uses", ""))
    names = {
        line.strip().rpartition("/")[2] for line in upload["with"]["path"].splitlines() if "runs/" in line
    }
    assert names == {"verdict.json", "summary.md", "access.md", "junit.xml", "results.csv"}
    assert "secrets." not in (ROOT / "action.yml").read_text()
    assert all(step.get("shell") == "bash" for step in steps if "run" in step)


def test_the_team_s_workflow_has_ten_lines_and_inputs_that_exist() -> None:
    text = TEAM.read_text()
    assert len(text.splitlines()) == 10
    (checkout, gate) = yaml.safe_load(text)["jobs"]["gate"]["steps"]
    assert re.search(r"@[0-9a-f]{40}$", checkout["uses"])
    assert set(gate["with"]) <= set(ACTION["inputs"])
