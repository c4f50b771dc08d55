"""How far sends lag behind the schedule, by rate, in one process on one core, every answer checked.

    python bench/load_pace.py [--rates 2000,8000,15000] [--seconds 10]

Against the nginx of load_speed.py; prints what the engine reports of itself. Run it on a quiet machine: any
other process that takes the core is part of the lag.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.load_peers import ROOT, locust
from bench.load_speed import nginx
from bench.load_turns import favoured, pin

USERS = 100


def pace(port: int, rate: int, seconds: int) -> None:
    """One run, one line."""
    with tempfile.TemporaryDirectory() as name:
        environment = os.environ | {
            "BENCH_URL": f"http://127.0.0.1:{port}",
            "BENCH_RATE": str(rate),
            "BENCH_USERS": str(USERS),
            "PYTHONPATH": str(ROOT),
        }
        command = [*pin(0), *locust("load_open.py", USERS, seconds + 5)]
        command += ["--assay-run-dir", name, "--assay-warm-up", "3", "--assay-stop-errors", "0"]
        subprocess.run(command, env=environment, check=False, capture_output=True, preexec_fn=favoured)
        lines = next(Path(name, "journal").glob("*.jsonl")).read_text().splitlines()
    events = [json.loads(line) for line in lines]
    steady = next(e["steady_from"] for e in events if e["type"] == "load.steady")
    health = [e for e in events if e["type"] == "generator.health" and e["start"] > steady]
    found = next(e for e in events if e["type"] == "load.finished")["series"]
    series = next(s for s in found if s["metric"] == "http")
    if "lag" not in series["percentiles"]:
        print(f"{rate:>7}/s  this machine cannot, now: nothing was measured in the steady window", flush=True)
        return
    lag, counts = series["percentiles"]["lag"], series["counts"]["steady"]
    cpu, unfit_reason = statistics.median(h["cpu"] for h in health), sum(bool(h["reason"]) for h in health)
    print(
        f"{rate:>7}/s  lag p50 {lag['50']:7.3f}  p99 {lag['99']:8.3f}  p99.9 {lag['99.9']:8.3f} ms   CPU {cpu:6.1%}   "
        f"ok {counts['ok']}  other {sum(counts.values()) - counts['ok']}   unfit {unfit_reason} of {len(health)} s",
        flush=True,
    )


def main() -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rates", default="2000,8000,15000")
    parser.add_argument("--seconds", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with nginx(folder) as (port, _):
            for rate in map(int, options.rates.split(",")):
                pace(port, rate, options.seconds)


if __name__ == "__main__":
    main()
