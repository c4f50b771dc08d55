"""Whole runs on the real embedded target: processes that die, runs that are killed, the same by variables alone."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from core.events import CheckFinished, CheckStarted, ComponentDied, RunFinished
from core.evidence import Evidence
from tests.runner.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
CHECKS = (
    "auth.register_confirm_login",
    "database.profile_and_post",
    "database.stranger_denied",
    "storage.small_file_to_supabase",
    "storage.large_file_to_r2",
    "content.page_changes",
    "realtime.two_people_reconnect",
    "telemetry.sentry_error",
    "telemetry.datadog_view",
    "telemetry.ga4_event",
    "telemetry.mixpanel_event",
    "cache.kv_hit_and_miss",
)


@pytest.fixture
def sandbox(tmp_path):
    sandbox = Sandbox(tmp_path)
    yield sandbox
    sandbox.down()


@pytest.mark.parametrize("victim", ["postgres", "supabase", "platform", "vendors", "sentry"])
def test_a_component_that_dies_makes_the_run_broken_by_name(sandbox, victim):
    run = sandbox.start("check", *CHECKS[:9], "--plan", "smoke")
    sandbox.wait_for(CheckStarted)
    os.kill(sandbox.components()[victim]["pid"], signal.SIGKILL)
    said, _ = run.communicate(timeout=300)
    assert run.returncode == 3, said
    assert len(re.findall(rf"! broken +{victim} died during the run \(", said)) == 1, said
    assert "missed" not in sandbox.outcomes().values()
    [death] = Evidence(sandbox.newest()).events(ComponentDied)
    assert death.component == victim
    if victim == "postgres":  # the one that keeps the most
        sandbox.run("check", "database.profile_and_post", "--plan", "smoke")
        assert sandbox.outcomes() == {"database.profile_and_post": "met"}, "the next run is unharmed"


def test_a_killed_run_is_broken_and_leaves_no_process(sandbox):
    run = sandbox.start("check", *CHECKS, "--plan", "smoke")
    sandbox.wait_for(CheckStarted)
    pids = [c["pid"] for c in sandbox.components().values()]
    run.kill()
    run.communicate(timeout=60)
    code, said = sandbox.run("gate", str(sandbox.newest()))
    assert code == 3, said
    until = time.monotonic() + 60
    while any(psutil.pid_exists(pid) for pid in pids):
        assert time.monotonic() < until, "the stack outlived its killed holder"
        time.sleep(0.1)


def test_ctrl_c_keeps_the_evidence_and_says_so(sandbox):
    run = sandbox.start("check", *CHECKS, "--plan", "smoke")
    sandbox.wait_for(CheckFinished)
    run.send_signal(signal.SIGINT)
    said, _ = run.communicate(timeout=120)
    assert run.returncode == 3, said
    [finished] = Evidence(sandbox.newest()).events(RunFinished)
    assert finished.outcome == "interrupted"
    assert sandbox.outcomes()
    assert "Traceback" not in said


def test_the_embedded_variables_alone_give_the_same_verdicts_as_a_live_target(sandbox, tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-m", "stack.supervisor", "up", "--hold", "--json", "--state", str(sandbox.state)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        ready = json.loads(holder.stdout.readline())
        variables = subprocess.run(
            [sys.executable, "-m", "cli", "env", "--json", "--state", str(sandbox.state)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(variables.stdout) == ready["variables"]
        sandbox.run("check", *CHECKS, "--plan", "smoke")
        embedded = sandbox.outcomes()
        shutil.copy(ROOT / "target.example.toml", tmp_path / "target.toml")
        words = [
            "check",
            *CHECKS,
            "--plan",
            "smoke",
            "--target",
            "live",
            "--target-file",
            str(tmp_path / "target.toml"),
        ]
        _, said = sandbox.run(*words, ASSAY_STATE="", **json.loads(variables.stdout))
        assert sandbox.outcomes() == embedded, said
        assert set(embedded.values()) == {"met"}
        code, said = sandbox.run("gate", str(sandbox.newest()), "--release")
        assert code != 0, "a target on this machine speaks for no release"
    finally:
        holder.communicate(timeout=60)
