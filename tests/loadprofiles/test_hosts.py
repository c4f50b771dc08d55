"""One load from two hosts: each a process with a folder and an address of its own; every request is accounted for."""

from __future__ import annotations

import os
import platform
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.evidence import Evidence
from core.load_events import LoadFinished, WorkerJoined
from tests.loadprofiles.target import ROOT, ended, held, start

FULL = ("--users", "20", "--rate", "60", "--for", "8s", "--warm-up", "1s", "--workers", "3")


@pytest.fixture(scope="module")
def target():
    with held() as environment:
        yield environment


def host(folder: Path, own: Path, address: str, workers: int) -> subprocess.Popen[str]:
    """A host that joins; it knows the folder and the leader's address, and none of the target's variables."""
    own.mkdir()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
    command = [sys.executable, "-m", "loadprofiles.setup.hosts", str(folder), "--leader", address]
    return subprocess.Popen(
        [*command, "--workers", str(workers)],
        cwd=ROOT, env=clean | {"TMPDIR": str(own)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def samples(directory: Path) -> int:
    """Samples in the journals of a run."""
    return sum(len(block) for *_, block in Evidence(directory).blocks())


def test_two_hosts_are_judged_as_one_machine_and_nothing_is_missing(target, tmp_path):
    shared, run = tmp_path / "shared", tmp_path / "run"
    hosts = [
        host(shared, tmp_path / "first", "127.0.0.1", 2),
        host(shared, tmp_path / "second", "127.0.0.2", 1),
    ]
    load = start("mixed", run, *FULL, "--hosts", str(shared), **target)
    while not (shared / "load.json").exists() and load.poll() is None:
        time.sleep(0.05)
    assert stat.S_IMODE((shared / "load.json").stat().st_mode) == 0o600
    ran = ended(load, run)
    said = [one.communicate(timeout=60)[0] for one in hosts]
    assert ran.code == 0, ran.out
    assert [one.returncode for one in hosts] == [0, 0], said
    finished = ran.one(LoadFinished)
    assert finished.reconciled is True
    assert len(finished.counted_by_workers) == 3
    assert ran.wrong == 0, ran.causes
    assert min(ran.gauges("prod.scale")) == 20, "people are spread over the hosts, nobody twice"
    counted = sum(sum(c.values()) for series in finished.series for c in series.counts.values())
    assert samples(run) == counted == sum(finished.counted_by_workers.values())
    assert not (shared / "load.json").exists(), "what holds secrets does not outlive the load"
    assert [list(own.glob("assay-load-*")) for own in (tmp_path / "first", tmp_path / "second")] == [[], []]


def test_a_host_that_dies_makes_the_run_broken(target, tmp_path):
    shared, run = tmp_path / "shared", tmp_path / "run"
    hosts = [
        host(shared, tmp_path / "first", "127.0.0.1", 2),
        host(shared, tmp_path / "second", "127.0.0.1", 1),
    ]
    load = start("mixed", run, *FULL, "--hosts", str(shared), "--bring-within", "3", **target)
    while load.poll() is None and not (
        (run / "journal").exists() and len(Evidence(run).events(WorkerJoined)) == 3
    ):
        time.sleep(0.1)
    time.sleep(3)
    os.killpg(hosts[1].pid, signal.SIGKILL)
    ran = ended(load, run, 240)
    for one in hosts:
        one.communicate(timeout=60)
    assert ran.code == 3, ran.out
    assert f"no journal came from {platform.node()}-{hosts[1].pid}" in ran.out


def test_a_second_load_in_the_folder_is_refused(target, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "load.json").write_text("{}")
    ran = ended(start("mixed", tmp_path / "run", *FULL, "--hosts", str(shared), **target), tmp_path / "run")
    assert ran.code == 2
    assert "offers another load" in ran.out
