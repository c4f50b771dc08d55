"""Shapes: how many users when, and a search that ends near the knee whatever the noise."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from bench import load_truth
from core.evidence import Evidence
from loadprofiles import shapes
from loadprofiles.shapes.knee import FINE, Search

ROOT = Path(__file__).resolve().parents[2]


def searched(peak, holds):
    """The search against a target that `holds` a number of users or not; and how many levels it tried."""
    search, tried = Search(peak), 0
    while search.level is not None:
        search.told(holds(search.level))
        tried += 1
        assert tried < 60, "the search does not end"
    return search, tried


@pytest.mark.parametrize("knee", [1, 3, 40, 63, 64, 500, 777, 1999])
def test_the_search_ends_just_below_the_knee(knee):
    search, tried = searched(2000, lambda users: users <= knee)
    assert search.best is not None
    assert search.best <= knee < search.failed
    assert search.failed <= max(search.best * FINE + 1, search.best + 1)
    assert search.sure
    assert tried <= 24


def test_a_target_that_holds_the_peak_has_no_knee_below_it():
    search, _ = searched(2000, lambda users: True)
    assert (search.best, search.failed, search.sure) == (2000, None, True)


def test_a_target_that_holds_nothing_has_none():
    search, _ = searched(2000, lambda users: False)
    assert (search.best, search.failed) == (None, 1)


@pytest.mark.parametrize("seed", range(30))
def test_one_stall_in_ten_moves_the_knee_by_little(seed):
    noise = random.Random(seed)
    search, _ = searched(2000, lambda users: users <= 600 and noise.random() > 0.1)
    assert 450 <= search.best <= 600


@pytest.mark.parametrize("shape", ["ramp", "spike"])
def test_stages_end_with_the_load_and_reach_the_peak(shape):
    stages = shapes.stages(shape, 100, 60.0)
    ends = [end for end, _ in stages]
    assert ends == sorted(ends)
    assert ends[-1] == 60.0
    assert max(users for _, users in stages) == 100
    assert stages[0][1] < 100


def test_what_was_asked_for_is_the_peak():
    assert shapes.peak("steady", None) == 50
    assert shapes.peak("smoke", None) == shapes.SMOKE_USERS
    assert shapes.peak("smoke", 3) == 3
    assert shapes.peak("step", None) == shapes.STEP_USERS
    assert shapes.peak("spike", 80) == 80


def test_locust_follows_a_spike(tmp_path):
    process, port = load_truth.start_server("plain", tmp_path / "truth.npy")
    files = f"{ROOT / 'bench' / 'load_open.py'},{ROOT / 'loadprofiles' / 'shapes' / 'driver.py'}"
    command = [sys.executable, "-m", "locust", "-f", files, "--headless", "-u", "40", "--only-summary"]
    variables = {
        "BENCH_URL": f"http://127.0.0.1:{port}",
        "BENCH_RATE": "400",
        "BENCH_USERS": "40",
        "ASSAY_RUN_DIR": str(tmp_path),
        "ASSAY_WARM_UP": "0.5",
        "PYTHONPATH": str(ROOT),
        shapes.VARIABLE: "spike",
        shapes.FOR: "10",
    }
    try:
        done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, timeout=90)
    finally:
        process.kill()
        process.communicate()
    assert done.returncode == 0, done.stderr
    evidence = Evidence(tmp_path)
    users = [event["users"] for event in evidence.events("load.progress")]
    assert max(users) == 40
    assert users[0] <= 8
    assert users[-1] <= 8
    (finished,) = evidence.events("load.finished")
    # 8 of 40 users for 8 s and 40 for 2 s, 10 arrivals a second each; a tick of Locust's is a second
    assert 900 < finished["count"] < 2200
