"""The CI workflow's own shell lines, run as GitHub would, with a stand-in for ./assay that records its call."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

import clients.services
from reports.history import store
from tests.structure.tree import ROOT
from tests.structure.workflows import evaluate, run_steps

WORKFLOW = ROOT / ".github" / "workflows" / "gate.yml"
STAND_IN = """#!/usr/bin/env python3
import json, os, pathlib, sys
words = sys.argv[1:]
text = None
if "--target-file" in words:
    text = pathlib.Path(words[words.index("--target-file") + 1]).read_text()
with open("calls.jsonl", "a") as calls:
    calls.write(json.dumps({"words": words, "target": text, "env": dict(os.environ)}) + "\\n")
sys.exit(int(os.environ.get("STAND_IN_EXIT", "0")) if words[0] != "setup" else 0)
"""


@pytest.fixture(scope="module")
def workflow() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())
    return loaded


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The files that the workflow's lines start, with a stand-in for what they start."""
    for file in (".ci/run", "deploy/ci/gate"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    (tmp_path / "assay").write_text(STAND_IN)
    (tmp_path / "assay").chmod(0o755)
    return tmp_path


def run_job(
    job: Mapping[str, Any], context: Mapping[str, str], clone: Path, **more: str
) -> tuple[int, str, list[Any]]:
    """Run a job's shell lines in order. Returns exit code, output and the calls of ./assay."""
    for_all = {name: evaluate(text, context) for name, text in job.get("env", {}).items()}
    code, output = run_steps(job["steps"], context, clone, {**for_all, **more})
    calls = clone / "calls.jsonl"
    made = [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []
    return code, output, made


UNTRUSTED = "github.event.pull_request.head.repo.fork || github.actor == 'dependabot[bot]'"
LIVE = {
    "vars.GATE_LIVE": "true",
    UNTRUSTED: "false",
    "vars.GATE_TARGET_TOML": 'name = "production"',
    "secrets.SUPABASE_SERVICE_KEY": "a key",
    "vars.PLATFORM_URL": "https://platform.example",
}


def test_the_harness_job_runs_what_ci_runs(workflow: dict[str, Any], clone: Path) -> None:
    code, _, calls = run_job(workflow["jobs"]["harness"], {}, clone)
    assert code == 0
    assert [call["words"] for call in calls] == [["setup"], ["test"]]


@pytest.mark.parametrize(
    ("context", "because"),
    [
        ({UNTRUSTED: "true", "vars.GATE_LIVE": "true"}, "given no secrets"),
        ({UNTRUSTED: "true"}, "given no secrets"),
        ({}, "No live target is declared"),
        ({"vars.GATE_LIVE": "false"}, "No live target is declared"),
    ],
)
def test_without_secrets_the_gate_runs_embedded_and_says_so(
    workflow: dict[str, Any], clone: Path, context: dict[str, str], because: str
) -> None:
    code, output, calls = run_job(workflow["jobs"]["gate"], context, clone)
    assert code == 0
    assert calls[-1]["words"] == ["validate", "--target", "embedded", "--plan", "smoke"]
    assert calls[0]["words"] == ["setup", *calls[-1]["words"]]
    assert because in output
    assert "not about a release" in output
    assert "::notice" in output


def test_with_a_live_target_the_gate_judges_the_release(workflow: dict[str, Any], clone: Path) -> None:
    code, _, calls = run_job(workflow["jobs"]["gate"], LIVE | {"inputs.expect_version": "abc123"}, clone)
    words = calls[-1]["words"]
    assert code == 0
    assert words[:3] == ["validate", "--target", "live"]
    assert words[words.index("--plan") :][:3] == ["--plan", "gate", "--release"]
    assert words[-2:] == ["--expect-version", "abc123"]
    assert calls[0]["words"][:3] == ["setup", *words[:2]]
    assert calls[-1]["target"] == 'name = "production"\n'
    assert calls[-1]["env"]["SUPABASE_SERVICE_KEY"] == "a key"
    assert not Path(words[words.index("--target-file") + 1]).exists()


def test_only_the_gate_s_own_step_knows_secrets(workflow: dict[str, Any], clone: Path) -> None:
    _, _, calls = run_job(workflow["jobs"]["gate"], LIVE, clone)
    assert [call["words"][0] for call in calls] == ["setup", "validate"]
    assert "SUPABASE_SERVICE_KEY" not in calls[0]["env"]
    for name, job in workflow["jobs"].items():
        assert "secrets." not in json.dumps(job.get("env", {})), name
        for step in job["steps"]:
            assert "secrets." not in str(step.get("run")) + json.dumps(step.get("with", {}))


def test_a_lost_secret_is_not_taken_for_a_fork(workflow: dict[str, Any], clone: Path) -> None:
    """An unset secret arrives empty. Assay itself must then refuse, on the live target, and name it."""
    context = {name: value for name, value in LIVE.items() if not name.startswith("secrets.")}
    code, _, calls = run_job(workflow["jobs"]["gate"], context, clone, STAND_IN_EXIT="2")
    assert code == 2
    assert "live" in calls[-1]["words"]
    assert calls[-1]["env"]["SUPABASE_SERVICE_KEY"] == ""


def test_a_live_target_without_its_description_is_a_configuration_error(
    workflow: dict[str, Any], clone: Path
) -> None:
    code, output, calls = run_job(workflow["jobs"]["gate"], LIVE | {"vars.GATE_TARGET_TOML": ""}, clone)
    assert code == 2
    assert "nor GATE_TARGET_TOML holds the text" in output
    assert calls == []


@pytest.mark.parametrize("code", [1, 2, 3])
@pytest.mark.parametrize("context", [LIVE, {}], ids=["live", "embedded"])
def test_the_verdict_s_exit_code_is_the_job_s(
    workflow: dict[str, Any], clone: Path, context: dict[str, str], code: int
) -> None:
    assert run_job(workflow["jobs"]["gate"], context, clone, STAND_IN_EXIT=str(code))[0] == code


def variables_of_services() -> dict[str, str]:
    """Every variable of every service, by each of its names, as a workflow hands it on."""
    wanted = {}
    for module in pkgutil.iter_modules(clients.services.__path__, "clients.services."):
        service = getattr(importlib.import_module(module.name), "SERVICE", None)
        for variable in service.variables if service else ():
            for name in (variable.name, *variable.aliases):
                wanted[name] = f"${{{{ {'secrets' if variable.secret else 'vars'}.{name} }}}}"
    return wanted


def test_every_variable_of_every_service_reaches_the_gate(workflow: dict[str, Any]) -> None:
    step = next(step for step in workflow["jobs"]["gate"]["steps"] if step.get("run") == "deploy/ci/gate")
    wanted = variables_of_services()
    assert len(wanted) > 30
    assert wanted == {name: text for name, text in step["env"].items() if name in wanted}


def test_the_history_outlives_the_runner(workflow: dict[str, Any]) -> None:
    """Restored before the gate, saved after it whatever the verdict, under a key that no run has had."""
    steps = workflow["jobs"]["gate"]["steps"]
    gate = next(i for i, step in enumerate(steps) if step.get("run") == "deploy/ci/gate")
    (restore,) = (i for i, s in enumerate(steps) if s.get("uses", "").startswith("actions/cache/restore@"))
    (save,) = (i for i, s in enumerate(steps) if s.get("uses", "").startswith("actions/cache/save@"))
    assert restore < gate < save
    assert steps[save]["if"] == "always()"
    key = steps[save]["with"]["key"]
    assert key == steps[restore]["with"]["key"]
    assert "github.run_id" in key
    assert "github.run_attempt" in key
    assert all(key.startswith(start) for start in steps[restore]["with"]["restore-keys"].split()[:1])
    for step in (steps[restore], steps[save]):
        assert ROOT / step["with"]["path"] == store.DEFAULT


def test_actions_are_pinned_and_caches_follow_the_locks(workflow: dict[str, Any]) -> None:
    text = WORKFLOW.read_text()
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"]
        used = [step["uses"] for step in job["steps"] if "uses" in step]
        assert all(re.search(r"@[0-9a-f]{40}$", use) for use in used)
        cache = next(step for step in job["steps"] if step.get("uses", "").startswith("actions/cache@"))
        assert "hashFiles('locks/*.txt', 'package-lock.json')" in cache["with"]["key"]
    assert workflow["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in text
    assert "continue-on-error" not in text
    assert "|| true" not in text


def test_live_secrets_wait_for_approval_and_what_is_published_is_chosen(workflow: dict[str, Any]) -> None:
    gate = workflow["jobs"]["gate"]
    for word in ("'production-gate'", "GATE_LIVE", "head.repo.fork", "dependabot[bot]"):
        assert word in gate["environment"]
    assert "environment" not in workflow["jobs"]["harness"]
    [upload] = [s for s in gate["steps"] if "upload-artifact" in s.get("uses", "")]
    kept = {line.strip() for line in upload["with"]["path"].splitlines() if "runs/" in line}
    assert kept == {f"runs/*/{name}" for name in ("verdict.json", "summary.md", "junit.xml", "results.csv")}


def test_every_variable_of_the_platform_and_its_services_reaches_the_release() -> None:
    job = yaml.safe_load((WORKFLOW.parent / "release.yml").read_text())["jobs"]["release"]
    step = next(s for s in job["steps"] if s.get("run") == "deploy/release/platform release")
    text = (ROOT / "stack/platform/variables.mjs").read_text()
    wanted = variables_of_services()
    for kind, where in (("PUBLIC", "vars"), ("SECRET", "secrets")):
        listed = re.search(rf"{kind} = .*?\(\[(.*?)\]\)", text, re.S)
        assert listed
        for name in re.findall(r'"([A-Z0-9_]+)"', listed[1]):
            wanted.setdefault(name, f"${{{{ {where}.{name} }}}}")
    assert len(wanted) > 40
    assert wanted == {name: value for name, value in step["env"].items() if name in wanted}
    for other in job["steps"]:
        if other is not step and "settle" not in str(other.get("run")):
            assert "secrets." not in json.dumps(other)


def test_production_waits_for_staging() -> None:
    jobs = yaml.safe_load((WORKFLOW.parent / "deploy.yml").read_text())["jobs"]
    assert jobs["production"]["needs"] == "staging"
    assert [jobs[name]["with"]["environment"] for name in jobs] == ["staging", "production"]
