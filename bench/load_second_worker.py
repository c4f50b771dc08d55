"""What a second worker adds: one process against master and two workers, on the same nginx, in turn.

    python bench/load_second_worker.py [--users 64] [--rounds 6] [--work 200]

Each answer is parsed and checked `--work` times, so that the generator and not the server is the limit. Prints
requests per second and per CPU-second (master included). On two cores the server takes its share of what the
workers could have: the figure per CPU-second says what more cores would give.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.load_peers import ROOT, locust
from bench.load_speed import nginx, seen
from bench.load_truth import free_port
from bench.load_turns import Contestant, compare


def main() -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--window", type=float, default=1.0, help="seconds of one turn")
    parser.add_argument("--work", type=int, default=200, help="how often each answer is parsed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with nginx(folder) as (port, _):
            environment = {
                "BENCH_URL": f"http://127.0.0.1:{port}", "BENCH_WORK": str(options.work), "PYTHONPATH": str(ROOT)
            }  # fmt: skip
            one = Contestant(
                "one process", locust("load_closed.py", options.users, 900), environment, pinned=False
            )
            master = str(free_port())
            more = ["--processes", "2", "--master-bind-host", "127.0.0.1"]
            more += ["--master-bind-port", master, "--master-port", master]
            two = Contestant(
                "two workers", locust("load_closed.py", options.users, 900, *more), environment, pinned=False
            )
            both = [one, two]
            try:
                for each in both:
                    before = seen(port)[1]
                    if not each.start(lambda: seen(port)[1] - before >= options.users):  # noqa: B023
                        sys.exit(f"{each.name} never held {options.users} connections")
                compare(both, lambda: seen(port)[0], options.rounds, options.window)
            finally:
                for each in both:
                    each.end()
    print(f"{options.users} users, every answer parsed {options.work} times, {os.cpu_count()} cores in all")
    for each in both:
        speed, rate = 1 / statistics.median(each.costs), statistics.median(each.rates)
        print(f"{each.name:14}{rate:9.0f} requests/s{speed:9.0f} per CPU-second")
    rates = sorted(b / a for a, b in zip(one.rates, two.rates, strict=True))
    costs = sorted(a / b for a, b in zip(one.costs, two.costs, strict=True))
    for text, ratios in (("requests/s", rates), ("per CPU-second", costs)):
        print(f"two to one, {text}: {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


if __name__ == "__main__":
    main()
