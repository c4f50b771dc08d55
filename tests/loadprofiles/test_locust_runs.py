"""Whole runs under real Locust against a server that knows what it answered and when."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from bench import load_truth
from core.events import JournalClosed
from core.evidence import Evidence
from core.load_events import (
    GeneratorHealth,
    LoadFinished,
    LoadStarted,
    LoadUserFailed,
    SampleSlow,
    WorkerLost,
)

ROOT = Path(__file__).resolve().parents[2]
OPEN = ROOT / "bench" / "load_open.py"


@pytest.fixture
def server(tmp_path):
    """start(mode) gives (port, stop); stop() gives how many requests the server saw."""
    started = []

    def start(mode):
        process, port = load_truth.start_server(mode, tmp_path / "truth.npy")
        started.append(process)

        def stop():
            process.terminate()
            out, _ = process.communicate(timeout=20)
            return int(out.split()[-1])

        return port, stop

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


def locust(port, run_dir, *words, rate=200, users=20, seconds=4, limit=None, file=OPEN, **variables):
    """A Locust process on the benches' locust file, or another."""
    environment = os.environ | {
        "BENCH_URL": f"http://127.0.0.1:{port}",
        "BENCH_RATE": str(rate),
        "BENCH_USERS": str(users),
        "PYTHONPATH": str(ROOT),
        **variables,
    }
    command = [sys.executable, "-m", "locust", "-f", str(file), "-u", str(users), "-r", "100"]
    command += ["-t", f"{seconds}s", "--only-summary", *words]
    command += ["--assay-run-dir", str(run_dir), "--assay-warm-up", "0.5"]
    command += [] if "--web-port" in words else ["--headless"]
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=limit,
        start_new_session=True,
    )


def ended(process, seconds=90):
    """(exit code, output)."""
    try:
        out, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, _ = process.communicate()
        pytest.fail(f"Locust did not end: {out[-2000:]}")
    return process.returncode, out


def until(seconds, ready):
    deadline = time.monotonic() + seconds
    while not (found := ready()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)
    return found


def read(run_dir):
    """(events, number of samples) of a run."""
    evidence = Evidence(run_dir)
    events = evidence.events()
    samples = sum(len(block) for _, _, block in evidence.blocks())
    assert evidence.damaged == []
    return events, samples


def one(events, kind):
    (found,) = [e for e in events if isinstance(e, kind)]
    return found


def test_reported_percentiles_are_what_users_felt_under_stalls(server, tmp_path):
    port, stop = server("stall")
    reported, finished = load_truth.run_assay(port, 200, 16, tmp_path)
    stop()
    truth = load_truth.truth_of_arrivals(tmp_path / "truth.npy", 200, finished)
    assert truth["95.0"] > 500
    for percent in ("95.0", "99.0", "99.9"):
        assert reported[percent] == pytest.approx(truth[percent], rel=0.05, abs=100)


@pytest.mark.parametrize(
    "words", [(), ("--processes", "2", "--master-bind-port", "{port}", "--master-port", "{port}")]
)
def test_every_request_is_accounted_for(server, tmp_path, words):
    port, stop = server("plain")
    free = load_truth.free_port()
    code, out = ended(locust(port, tmp_path, *(w.format(port=free) for w in words), rate=500))
    saw = stop()
    events, samples = read(tmp_path)
    finished = one(events, LoadFinished)
    assert code == 0, out
    assert finished.outcome == "completed"
    assert finished.reconciled is True
    assert finished.count == samples == saw
    assert saw > 500
    assert one(events, LoadStarted).users == 20
    assert [e for e in events if isinstance(e, GeneratorHealth)]
    assert {e.metric for e in events if isinstance(e, SampleSlow)} == {"http"}
    assert len([e for e in events if isinstance(e, JournalClosed)]) == len(Evidence(tmp_path).files)


def test_a_killed_worker_is_noticed_and_loses_next_to_nothing(server, tmp_path):
    port, stop = server("plain")
    free = str(load_truth.free_port())
    process = locust(
        port,
        tmp_path,
        "--processes",
        "2",
        "--master-bind-port",
        free,
        "--master-port",
        free,
        rate=500,
        seconds=12,
    )
    until(30, lambda: len(list(tmp_path.glob("journal/worker-*.samples"))) == 2)
    until(30, lambda: all(p.stat().st_size > 20_000 for p in tmp_path.glob("journal/worker-*.samples")))
    victim = int(next(tmp_path.glob("journal/worker-*.jsonl")).stem.split("-")[1])
    os.kill(victim, signal.SIGKILL)
    killed = time.monotonic_ns()
    code, out = ended(process)
    saw = stop()
    events, samples = read(tmp_path)
    (lost,) = Evidence(tmp_path).recorded(WorkerLost)
    assert code == 3, out
    assert lost.t - killed < 3_000_000_000  # Locust's heartbeats alone need more; on an idle machine 0.01 s
    assert one(events, LoadFinished).outcome == "broken"
    assert saw * 0.99 <= samples <= saw  # short of what the dead one had not handed to the kernel yet
    assert "died" in out or "was lost" in out
    assert one(events, LoadFinished).lost == (lost.event.worker,)


@pytest.mark.parametrize(
    "words", [(), ("--processes", "2", "--master-bind-port", "{port}", "--master-port", "{port}")]
)
def test_an_exception_in_a_task_is_journaled_and_breaks_the_load(server, tmp_path, words):
    port, stop = server("plain")
    faulty = tmp_path / "faulty_users.py"
    faulty.write_text(
        "import os\n"
        "from locust import task\n"
        "from loadengine.api import OpenUser\n"
        "class Faulty(OpenUser):\n"
        "    host = os.environ['BENCH_URL']\n"
        "    rate = 20.0\n"
        "    @task\n"
        "    def read(self):\n"
        "        self.http.get('/x')\n"
        "        {}['no such key']\n"
    )
    free = load_truth.free_port()
    code, out = ended(locust(port, tmp_path, *(w.format(port=free) for w in words), file=faulty, users=2))
    stop()
    events, samples = read(tmp_path)
    assert code == 3, out
    failed = one(events, LoadUserFailed)
    assert "no such key" in failed.error
    assert failed.count > 1
    finished = one(events, LoadFinished)
    assert finished.outcome == "broken"
    assert "no such key" in finished.reason
    assert samples > 0, "every answer was right, and yet the load is worth nothing"


def test_a_target_that_dies_midway_stops_the_load_in_words(server, tmp_path):
    port, stop = server("plain")
    process = locust(port, tmp_path, seconds=60)
    until(
        30,
        lambda: (
            list(tmp_path.glob("journal/*.samples"))
            and next(tmp_path.glob("journal/*.samples")).stat().st_size
        ),
    )
    stop()
    code, out = ended(process, 60)
    events, samples = read(tmp_path)
    finished = one(events, LoadFinished)
    assert code == 1, out
    assert finished.outcome == "stopped"
    assert "ECONNREFUSED" in finished.reason
    assert finished.count == samples


def test_a_full_disk_breaks_the_run_and_keeps_what_was_written(server, tmp_path):
    port, stop = server("plain")

    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    code, out = ended(locust(port, tmp_path, rate=2000, seconds=20, limit=small_files))
    stop()
    _, samples = read(tmp_path)
    assert code == 3, out
    assert "evidence could not be written" in out
    assert "Traceback" not in out
    assert samples > 100


def test_the_web_ui_works_and_shows_fractions_of_milliseconds(server, tmp_path):
    port, stop = server("plain")
    web = load_truth.free_port()
    process = locust(
        port,
        tmp_path,
        "--web-port",
        str(web),
        "--web-host",
        "127.0.0.1",
        "--autostart",
        "--autoquit",
        "1",
        seconds=6,
    )

    def stats():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{web}/stats/requests", timeout=2) as answer:
                stats = json.load(answer)
        except OSError:
            return None
        rows = [row for row in stats["stats"] if row["name"] == "/x" and row["num_requests"] > 100]
        return rows or None

    (row,) = until(30, stats)
    with urllib.request.urlopen(f"http://127.0.0.1:{web}/metrics", timeout=5) as answer:
        metrics = answer.read().decode()
    code, out = ended(process)
    stop()
    assert code == 0, out
    assert row["median_response_time"] != round(row["median_response_time"])
    assert 'assay_operations_total{metric="http",name="/x",outcome="ok"}' in metrics
    assert 'assay_response_seconds{metric="http",name="/x",quantile="0.95"}' in metrics
    assert 'assay_generator_ok{worker="local"}' in metrics


def test_stock_users_stand_beside_lean_ones(server, tmp_path):
    port, stop = server("plain")
    mixed = tmp_path / "mixed_users.py"
    mixed.write_text(
        "import os\n"
        "from locust import FastHttpUser, constant, task\n"
        "from loadengine.api import OpenUser\n"
        "class Stock(FastHttpUser):\n"
        "    host = os.environ['BENCH_URL']\n"
        "    wait_time = constant(0.05)\n"
        "    @task\n"
        "    def read(self):\n"
        "        self.client.get('/stock')\n"
        "class Lean(OpenUser):\n"
        "    host = os.environ['BENCH_URL']\n"
        "    rate = 20.0\n"
        "    @task\n"
        "    def read(self):\n"
        "        self.http.get('/lean')\n"
    )
    command = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        str(mixed),
        "--headless",
        "-u",
        "4",
        "-r",
        "10",
        "-t",
        "3s",
    ]
    done = subprocess.run(
        command,
        env=os.environ | {"BENCH_URL": f"http://127.0.0.1:{port}", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    stop()
    assert done.returncode == 0, done.stderr
    assert "/stock" in done.stderr
    assert "/lean" in done.stderr
