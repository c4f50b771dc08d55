"""The same profile from one process and from three, on the same target: do verdict and figures agree?

    python bench/load_workers.py mixed --users 200 --for 90s [--workers 1,3] [--rounds 2]

Each load is judged as `assay load` judges it. Two loads agree on an objective when their verdicts are the same and the
intervals that the report states for its value overlap. Loads are taken in turn, round by round. Exit code 1 when
they do not agree, 3 when one decided nothing.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from math import inf
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def judged(profile: str, users: int, lasting: str, rate: float, workers: int) -> dict[str, Any]:
    """The verdict document of one load; `rate` 0 leaves each user its own."""
    command = [str(ROOT / "assay"), "load", profile, "--users", str(users), "--for", lasting]
    command += ["--rate", str(rate)] if rate else []
    done = subprocess.run([*command, "--workers", str(workers)], capture_output=True, text=True, check=False)
    found = re.search(r"^report\s+(\S+)/report/index.html", done.stdout + done.stderr, re.MULTILINE)
    if found is None:
        sys.exit(f"the load with {workers} workers was not judged:\n{(done.stdout + done.stderr)[-2000:]}")
    return dict(json.loads((Path(found.group(1)) / "verdict.json").read_text()))


def main() -> int:
    """Prints one line for each objective and load."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("profile")
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--for", dest="lasting", default="90s")
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--workers", default="1,3")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    results: dict[str, list[dict[str, Any]]] = {}
    for number in range(options.rounds):
        for workers in map(int, options.workers.split(",")):
            document = judged(options.profile, options.users, options.lasting, options.rate, workers)
            for one in document["objectives"]:
                if one["decides"]:
                    results.setdefault(one["id"], []).append(one)
                    span = f"{one['low']} … {one['high']} {one['unit']}"
                    print(
                        f"round {number + 1}  {workers} worker(s)  {one['id']:<16} {one['state']:<8} "
                        f"{one['value']} [{span}]  {one['samples']} samples",
                        flush=True,
                    )
    if any(one["state"] == "broken" for ones in results.values() for one in ones):
        print("a load decided nothing (see its report): run this again on a machine that is quiet")
        return 3
    bad = [identifier for identifier, ones in results.items() if not agree(ones)]
    print(f"differ: {', '.join(bad)}" if bad else "all loads agree: verdicts and stated intervals")
    return 1 if bad else 0


def agree(ones: list[dict[str, Any]]) -> bool:
    """Same verdict, and intervals that have a point in common; an end that is not known is no end."""
    low = max(-inf if one["low"] is None else one["low"] for one in ones)
    high = min(inf if one["high"] is None else one["high"] for one in ones)
    return len({one["state"] for one in ones}) == 1 and low <= high


if __name__ == "__main__":
    sys.exit(main())
