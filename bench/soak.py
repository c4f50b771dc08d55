"""Whole runs of checks in random order, one after the other: which check is not met every time?

python -m bench.soak --runs 20 [--beside-load] [CHECK ...]     all checks of the gate plan when none is named

Prints a table of the checks that were not met in every run, and exits 1 when there is one. `--beside-load` keeps
every core busy meanwhile. Runs stay in `.assay/soak`, each with its evidence; the seed of each run's order is told.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from core.events import CheckFinished
from core.evidence import Evidence

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / ".assay" / "soak"
BUSY = "while True: pass"
LEFT_OUT = "not_applicable"
"""The outcome of a check that has nothing to say about this platform."""

Outcomes = dict[str, str]


def one_run(folder: Path, checks: Sequence[str], seed: int) -> Outcomes:
    """Runs checks in an order of chance and returns each one's outcome; none where the run did not come to checks."""
    environment = os.environ | {
        "ASSAY_RUNS": str(folder),
        "PYTEST_ADDOPTS": f"--random-order-bucket=global --random-order-seed={seed}",
    }
    command = [sys.executable, "-m", "cli", "check", *checks]
    folder.mkdir(parents=True)
    with (folder / "output.log").open("wb") as log:
        subprocess.run(command, cwd=ROOT, env=environment, check=False, stdout=log, stderr=subprocess.STDOUT)
    runs = [path for path in folder.iterdir() if (path / "journal").is_dir()]
    return {event.check: str(event.outcome) for run in runs for event in Evidence(run).events(CheckFinished)}


@contextmanager
def busy(cores: int) -> Iterator[None]:
    """Keeps so many cores busy."""
    burning = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(cores)]
    try:
        yield
    finally:
        for process in burning:
            process.kill()
            process.wait()


def table(runs: Sequence[Mapping[str, str]]) -> list[str]:
    """One line for each check that was not met in every run: how often it was, and what it was instead, by run."""
    every = sorted({check for run in runs for check in run})
    lines = []
    for check in every:
        seen = [run.get(check, "did not run") for run in runs]
        counts = Counter(seen)
        applies = len(runs) - counts[LEFT_OUT]
        if counts["met"] == applies:
            continue
        instead = ", ".join(
            f"{n + 1}: {word}" for n, word in enumerate(seen) if word not in ("met", LEFT_OUT)
        )
        lines.append(f"{check:<40} {counts['met']:>3} of {applies:<3} {instead}")
    return lines


def main() -> int:
    """Runs, prints a line a run and the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("checks", nargs="*", metavar="CHECK")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--beside-load", action="store_true")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    chosen = parser.parse_args()
    start = KEPT / time.strftime("%Y%m%d-%H%M%S")
    runs: list[Outcomes] = []
    with busy((os.cpu_count() or 1) if chosen.beside_load else 0):
        for number in range(1, chosen.runs + 1):
            began, seed = time.monotonic(), chosen.seed + number
            runs.append(one_run(start / str(number), chosen.checks, seed))
            met = sum(outcome == "met" for outcome in runs[-1].values())
            spent = time.monotonic() - began
            print(f"run {number}, order {seed}: {met} of {len(runs[-1])} met, {spent:.0f} s", flush=True)
    empty = [number for number, run in enumerate(runs, 1) if not run]
    lines = table(runs)
    print(*lines, sep="\n")
    if empty:
        print(f"no check finished in run {', '.join(map(str, empty))}: read output.log below {start}")
    print(f"{len(lines)} checks were not met in every run; evidence: {start}")
    return 1 if lines or empty else 0


if __name__ == "__main__":
    sys.exit(main())
