"""Compares reported percentiles with the truth that the server's side recorded.

    python bench/load_truth.py [--seconds 30] [--scenarios stall,ramp,queue] [--tools assay,k6,…]

Truth for this engine: for each arrival, the time the server wrote its answer minus the scheduled time; the
schedule's origin is fitted from the server's side alone. Peers do not number their requests: for them the
truth is what arrivals at the same uniform rate feel from the same server (its log gives the stalls, its
rules the rest).
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from bench.load_peers import PEERS, NotInstalled  # noqa: E402
from bench.load_turns import favoured  # noqa: E402

PERCENTS = (50.0, 95.0, 99.0, 99.9)
RATES = {"stall": 200, "ramp": 200, "queue": 600}
Row = dict[str, float]


def start_server(mode: str, log: Path) -> tuple[subprocess.Popen[str], int]:
    """The truth-keeping server and its port."""
    command = [sys.executable, str(HERE / "load_server.py"), "0", mode, str(log)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline().split()[1])


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_assay(port: int, rate: float, seconds: int, folder: Path) -> tuple[Row, dict[str, Any]]:
    """Reported percentiles of this engine under Locust, and its `load.finished` event with the steady window."""
    users = 50
    environment = os.environ | {
        "BENCH_URL": f"http://127.0.0.1:{port}", "BENCH_RATE": str(rate), "BENCH_USERS": str(users),
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    command = [sys.executable, "-m", "locust", "-f", str(HERE / "load_open.py"), "--headless", "-L", "ERROR"]
    command += ["-u", str(users), "-r", "1000", "-t", f"{seconds}s", "--only-summary"]
    command += [
        "--assay-run-dir",
        str(folder),
        "--assay-warm-up",
        "2",
        "--assay-drain",
        "30",
        "--assay-stop-errors",
        "0",
    ]
    subprocess.run(
        command, env=environment, check=True, capture_output=True, timeout=seconds + 90, preexec_fn=favoured
    )
    lines = next((folder / "journal").glob("*.jsonl")).read_text().splitlines()
    events = {e["type"]: e for e in map(json.loads, lines)}
    finished = events["load.finished"] | {
        "steady_from": events["load.steady"]["steady_from"],
        "steady_to": events["load.drain"]["steady_to"],
    }
    series = finished["series"][0]
    lag = series["percentiles"]["lag"]
    row = {str(p): series["percentiles"]["response"][f"{p:g}"] for p in PERCENTS}
    return row | {"n": series["counts"]["steady"]["ok"], "lag_p99": lag["99"]}, finished


def truth_of_arrivals(log: Path, rate: float, finished: dict[str, Any]) -> Row:
    """Server-side truth for numbered, uniform arrivals whose scheduled times lie in the steady window."""
    rows = np.load(log)
    rows = rows[np.argsort(rows[:, 0])]
    schedule = (rows[:, 0] - rows[0, 0]) * (1e9 / rate)
    late = rows[:, 1] - schedule
    settled = schedule > 1e9  # the rate is reached once all users exist
    origin = np.percentile(late[settled], 1)  # the promptest arrivals met an idle server
    intended = origin + schedule
    steady = settled & (intended >= finished["steady_from"]) & (intended < finished["steady_to"])
    felt = np.sort((rows[:, 2] - intended)[steady]) / 1e6
    return {str(p): float(np.percentile(felt, p)) for p in PERCENTS} | {"n": float(len(felt))}


def truth_of_rate(mode: str, log: Path, rate: float, seconds: int) -> Row:
    """What uniform arrivals at this rate feel, from the server's log of itself and its rules."""
    rows = np.load(log)
    start = rows[:, 1].min()
    arrivals = start + np.arange(int(rate * seconds)) * 1e9 / rate
    if mode == "ramp":
        felt = np.minimum((arrivals - start) / 1e9 * 0.020, 0.5) * 1e3
    elif mode == "queue":
        free, felt = 0.0, np.empty(len(arrivals))
        for i, at in enumerate(arrivals):
            free = max(free, at) + 2e6
            felt[i] = (free - at) / 1e6
    else:
        answered = np.sort(rows[:, 2])
        gaps = np.nonzero(np.diff(answered) > 1.5e9)[0]
        felt = np.zeros(len(arrivals))
        for g in gaps:
            end = answered[g + 1]
            inside = (arrivals > end - 2e9) & (arrivals < end)
            felt[inside] = (end - arrivals[inside]) / 1e6
    return {str(p): float(np.percentile(np.sort(felt), p)) for p in PERCENTS} | {"n": float(len(felt))}


def main() -> None:
    """Runs every tool against every scenario and prints reported | truth."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--scenarios", default="stall,ramp,queue")
    parser.add_argument("--tools", default="assay")
    options = parser.parse_args()
    print(
        f"{'scenario':9}{'tool':16}{'':9}"
        + "".join(f"{'p' + format(p, 'g'):>10}" for p in PERCENTS)
        + f"{'n':>9}"
    )
    for mode in options.scenarios.split(","):
        for tool in options.tools.split(","):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                server, port = start_server(mode, folder / "log.npy")
                lag = ""
                try:
                    if tool == "assay":
                        reported, finished = run_assay(port, RATES[mode], options.seconds, folder)
                        lag = f"  lag p99 {reported.pop('lag_p99'):.2f} ms"
                    else:
                        report = PEERS[tool].percentiles
                        if report is None:
                            sys.exit(f"{tool} keeps no rate; choose others")
                        reported = report(f"http://127.0.0.1:{port}/x", RATES[mode], options.seconds)
                except NotInstalled as error:
                    print(error, file=sys.stderr)
                    continue
                finally:
                    server.terminate()
                    server.wait(10)
                if tool == "assay":
                    truth = truth_of_arrivals(folder / "log.npy", RATES[mode], finished)
                else:
                    truth = truth_of_rate(mode, folder / "log.npy", RATES[mode], options.seconds)
            for label, row in (("reported", reported), ("truth", truth)):
                figures = "".join(f"{row.get(str(p), float('nan')):10.2f}" for p in PERCENTS)
                print(
                    f"{mode:9}{tool:16}{label:9}{figures}{row['n']:9.0f}{lag if label == 'reported' else ''}",
                    flush=True,
                )
            errors = [
                (reported.get(str(p), np.nan) - truth[str(p)]) / max(truth[str(p)], 1.0) * 100
                for p in PERCENTS
            ]
            print(f"{mode:9}{tool:16}{'error %':9}" + "".join(f"{e:10.2f}" for e in errors), flush=True)
            time.sleep(0.5)


if __name__ == "__main__":
    main()
