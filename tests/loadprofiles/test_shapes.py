"""Shapes: how many users when, and a search that ends near the knee whatever the noise."""

import os
import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from bench import load_truth
from core.evidence import Evidence
from core.load_events import LoadFinished, LoadProgress
from loadprofiles import shapes
from loadprofiles.shapes.knee import FINE, KneeSearch

ROOT = Path(__file__).resolve().parents[2]


def searched(peak, holds, most=60):
    """The search against a target that `holds` a number of users or not; and the levels it tried."""
    search, tried = KneeSearch(peak), []
    while search.level is not None and len(tried) < most:
        tried.append(search.level)
        search.record(holds(search.level))
    return search, tried


@pytest.mark.parametrize("knee", [1, 3, 40, 63, 64, 500, 777, 1700])
def test_the_search_ends_at_the_knee(knee):
    search, tried = searched(2000, lambda users: users <= knee)
    assert search.sure
    assert search.low <= knee <= search.high <= max(search.low * FINE, search.low + 1)
    assert abs(search.users - knee) <= max(1, knee * 0.02)
    assert len(tried) < 45


def test_no_level_is_more_than_twice_what_held():
    _, tried = searched(2000, lambda users: users <= 900)
    for before, level in pairwise(tried):
        assert level <= max(2 * max(t for t in tried if t <= 900), before)


def test_a_target_that_holds_the_peak_has_no_knee_below_it():
    search, _ = searched(2000, lambda users: True)
    assert (search.users, search.high, search.sure) == (2000, None, True)
    assert search.low > 2000 / FINE


def test_a_target_that_holds_nothing_has_none():
    search, _ = searched(2000, lambda users: False)
    assert search.low == 0
    assert search.users in (None, 1)
    assert search.held == 0


def test_stalls_move_the_knee_by_little_and_the_interval_tells_by_how_much():
    """A level in ten fails for a stall; 28 tries are what five minutes hold."""
    found = []
    for seed in range(60):
        noise = random.Random(seed)
        search, _ = searched(2000, lambda users, noise=noise: users <= 600 and noise.random() > 0.1, most=28)
        found.append((search.users, search.low <= 600 <= (search.high or 2000)))
    users = sorted(users for users, _ in found)
    assert 520 <= users[5] <= users[-6] <= 660
    assert sum(covers for _, covers in found) >= 54


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
    command += [
        "--assay-run-dir",
        str(tmp_path),
        "--assay-warm-up",
        "0.5",
        "--assay-shape",
        "spike",
        "--assay-shape-seconds",
        "10",
    ]
    variables = {
        "BENCH_URL": f"http://127.0.0.1:{port}",
        "BENCH_RATE": "400",
        "BENCH_USERS": "40",
        "PYTHONPATH": str(ROOT),
    }
    try:
        done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, timeout=90)
    finally:
        process.kill()
        process.communicate()
    assert done.returncode == 0, done.stderr
    evidence = Evidence(tmp_path)
    users = [event.users for event in evidence.events(LoadProgress)]
    assert max(users) == 40
    assert users[0] <= 8
    assert users[-1] <= 8
    (finished,) = evidence.events(LoadFinished)
    # 8 of 40 users for 8 s and 40 for 2 s, 10 arrivals a second each; a tick of Locust's is a second
    assert 900 < finished.count < 2200
