"""10,000 checks and 10 million samples: judged and reported in how many seconds, in how much memory.

    python bench/report.py [--checks 10000] [--samples 10000000] [--keep FOLDER]

Prints seconds and peak memory of the judging process (asked of: under 60 s and 1 GB), and the page's size.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

JUDGE = """
import json, resource, sys, time
from pathlib import Path
import reports
from reports.rendering import allure
allure.HISTORY = Path(sys.argv[1]) / "allure-history"
start = time.monotonic()
verdict = reports.judge(Path(sys.argv[1]), waivers=[])
judged = time.monotonic()
reports.write(verdict, Path(sys.argv[1]))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps({"judge_seconds": round(judged - start, 1), "write_seconds": round(time.monotonic() - judged, 1),
                  "peak_mb": peak, "samples": verdict.samples, "checks": len(verdict.checks), "verdict": verdict.headline}))
"""


def make(folder: Path, checks: int, samples: int) -> None:
    """Writes the made run."""
    sys.path.insert(0, str(ROOT))
    import numpy as np

    from core.clock import now_ns
    from core.journal import Journal
    from core.outcome import CheckOutcome
    from core.secret import Redactor
    from tests.reports.made import Made, made_samples

    many = [
        (f"suite{i % 40}.check-{i:05d}", f"Check number {i}", "supabase.database", ["P1.3"])
        for i in range(checks)
    ]
    outcomes = {
        many[i][0]: {"outcome": CheckOutcome.MISSED, "message": "a row was not there"}
        for i in range(0, checks, 997)
    }
    made = Made(folder, checks=many, outcomes=outcomes, latency={}, loads={"database": 600}, live=True)
    made.objectives = made.objectives[:1]
    made.write()
    rng, start, share = np.random.default_rng(1), now_ns(), max(1, samples // 24)
    for _ in range(4):
        journal = Journal(folder, "worker", Redactor(), background=False)
        for kind in ("posts", "profile", "insert"):
            series = journal.series("perf.database", {"kind": kind}, "ms")
            for part in range(2):
                block = made_samples(rng, series, share, 14.0, start + part * 40_000_000_000, 40.0)
                for at in range(0, len(block), 8192):
                    journal.write_samples(block[at : at + 8192])
        journal.close()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--checks", type=int, default=10_000)
    parser.add_argument("--samples", type=int, default=10_000_000)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (options.keep or Path(scratch)) / "big"
        make(folder, options.checks, options.samples)
        start = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", JUDGE, str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(done.stderr)
        found = json.loads(done.stdout.splitlines()[-1])
        found["wall_seconds"] = round(time.monotonic() - start, 1)
        found["allure_peak_mb"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
        found["page_kb"] = (folder / "report" / "index.html").stat().st_size // 1024
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
