"""The command `python -m bench.simulate intervals|regression [--runs N]`."""

from __future__ import annotations

import argparse

from bench.simulate import print_intervals, print_regression


def main() -> None:
    """Prints the table that is asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.simulate", description="What the rules cost and find, by simulation."
    )
    parser.add_argument("what", choices=("intervals", "regression"))
    parser.add_argument("--runs", type=int, default=1000, help="made runs of each kind (default 1000)")
    options = parser.parse_args()
    (print_intervals if options.what == "intervals" else print_regression)(options.runs)


if __name__ == "__main__":
    main()
