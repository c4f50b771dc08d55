"""Runs that are killed leave nothing once they are swept; sweeps touch no run that goes on: `bench.kill`, in small."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.residue import left

ROOT = Path(__file__).parents[2]
SAMPLE = "telemetry.datadog_monitor,content.page_changes,storage.unfinished_uploads,cache.kv_hit_and_miss"


def bench(*words):
    done = subprocess.run(
        [sys.executable, "-m", "bench.kill", "--checks", SAMPLE, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_changed_thing_is_no_residue_and_a_new_one_is():
    before = {"kv keys": frozenset({"a", "b"}), "auth.users": frozenset()}
    after = {"kv keys": frozenset({"b"}), "auth.users": frozenset({"x"})}
    assert left(before, after) == {"auth.users": ["x"]}


@pytest.mark.timeout(600)
def test_five_killed_runs_leave_nothing_and_touch_nothing_of_somebodys():
    code, said = bench("--times", "5", "--within", "3", "--profiles", "uptime")
    assert code == 0, said
    assert "5 kills of" in said
    assert "something wrong after 0" in said


@pytest.mark.timeout(600)
def test_a_sweep_beside_a_run_touches_nothing_of_it():
    code, said = bench("--beside", "--times", "2")
    assert code == 0, said
