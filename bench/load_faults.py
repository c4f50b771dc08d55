"""How fast a load stops when its target fails or crawls, and what is lost when a worker is killed.

    python bench/load_faults.py [--rate 500] [--rounds 1]

The server answers well, then, at a moment it notes, with 500 only, or a second late (with `--assay-stop-p95-ms`
at 500). Printed is the time from that moment until the generators stopped sending. A worker is killed with
SIGKILL: printed is when the master noticed, and how many requests the server saw that are in no journal.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.load_peers import ROOT, locust
from bench.load_truth import free_port, start_server
from core.evidence import Evidence
from core.load_events import LoadDrain, LoadFinished, WorkerLost

USERS = 20
FAIL, CRAWL = signal.SIGUSR1, signal.SIGUSR2


def load(
    port: int, folder: Path, rate: float, workers: int, seconds: int, *more: str
) -> subprocess.Popen[bytes]:
    """Arrivals at `rate` in one process or in so many workers."""
    words = locust("load_open.py", USERS, seconds, *more)
    if workers:
        master = str(free_port())
        words += ["--processes", str(workers), "--master-bind-host", "127.0.0.1"]
        words += ["--master-bind-port", master, "--master-port", master]
    words += ["--assay-run-dir", str(folder), "--assay-warm-up", "1", "--assay-drain", "3"]
    environment = os.environ | {
        "BENCH_URL": f"http://127.0.0.1:{port}", "BENCH_RATE": str(rate), "BENCH_USERS": str(USERS),
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    return subprocess.Popen(
        words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def under_way(folder: Path, workers: int) -> None:
    """Returns when every generating process has journalled its steady window for three seconds."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        journals = [p.read_text() for p in folder.glob("journal/*.jsonl")]
        if sum('"load.steady"' in text for text in journals) == max(workers, 1):
            time.sleep(3)
            return
        time.sleep(0.1)
    sys.exit("the load never began")


def stopped_after(rate: float, workers: int, fault: signal.Signals) -> tuple[float, str]:
    """Seconds from the fault until the last generator stopped sending, and the reason given."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server, port = start_server("plain", folder / "log.npy")
        more = ["--assay-stop-p95-ms", "500"] if fault is CRAWL else []
        process = load(port, folder, rate, workers, 60, *more)
        try:
            under_way(folder, workers)
            began = time.monotonic_ns()
            server.send_signal(fault)
            process.wait(60)
            evidence = Evidence(folder)
            drained, finished = evidence.events(LoadDrain), evidence.events(LoadFinished)
        finally:
            _kill(process)
            server.kill()
            server.wait()
    ended = max(e.steady_to for e in drained)
    return (ended - began) / 1e9, finished[0].reason


def killed(rate: float) -> str:
    """One of two workers is killed; a line of what came of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server, port = start_server("plain", folder / "log.npy")
        process = load(port, folder, rate, 2, 25)
        try:
            under_way(folder, 2)
            time.sleep(5)
            victim = int(next(folder.glob("journal/worker-*.jsonl")).stem.split("-")[1])
            os.kill(victim, signal.SIGKILL)
            at = time.monotonic_ns()
            code = process.wait(90)
            server.terminate()
            out, _ = server.communicate(timeout=20)
            evidence = Evidence(folder)
            lost, finished = evidence.recorded(WorkerLost)[0], evidence.events(LoadFinished)[0]
            kept = sum(len(block) for _, _, block in evidence.blocks())
        finally:
            _kill(process)
            server.kill()
            server.wait()
    saw = int(out.split()[-1])
    return json.dumps(
        {
            "noticed_after_ms": round((lost.t - at) / 1e6, 1),
            "server_saw": saw, "in_the_journals": kept, "lost_percent": round((saw - kept) / saw * 100, 3),
            "outcome": finished.outcome, "exit": code,
        }
    )  # fmt: skip


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def main() -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    for _ in range(options.rounds):
        for text, fault in (("every answer is 500", FAIL), ("every answer is a second late", CRAWL)):
            for workers in (0, 2):
                seconds, reason = stopped_after(options.rate, workers, fault)
                where = f"{workers} workers" if workers else "one process"
                print(f"{text}, {where}: stopped after {seconds:.2f} s ({reason})", flush=True)
        print(f"a worker of two is killed: {killed(options.rate)}", flush=True)


if __name__ == "__main__":
    main()
