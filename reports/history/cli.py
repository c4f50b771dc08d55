"""The history's own chores: `python -m reports.history.cli import|merge|forget|list …`.

import RUN…     judges runs' folders again and keeps their values (old runs, runs from other machines)
merge FILE…     takes over the runs of other history files (artifacts of CI runners that are gone)
forget --days N forgets runs older than N days
list            the newest runs

`--history` is a path or a database URL (default: ASSAY_HISTORY, else .assay/history.sqlite).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from core.errors import AssayError
from core.user_settings import setting
from reports.history.store import DEFAULT, History
from reports.judging.judge import judge


def main(argv: list[str] | None = None) -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m reports.history.cli",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--history", default=setting("ASSAY_HISTORY", str(DEFAULT)))
    what = parser.add_subparsers(dest="what", required=True)
    what.add_parser("import").add_argument("runs", nargs="+", type=Path)
    what.add_parser("merge").add_argument("files", nargs="+", type=Path)
    what.add_parser("forget").add_argument("--days", type=float, required=True)
    what.add_parser("list").add_argument("--most", type=int, default=30)
    options = parser.parse_args(argv)
    try:
        history = History(options.history)
        try:
            print(_do(history, options))
        finally:
            history.close()
    except AssayError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _do(history: History, options: argparse.Namespace) -> str:
    if options.what == "import":
        for run in sorted(options.runs):
            history.record(judge(run))
        return f"{len(options.runs)} kept"
    if options.what == "merge":
        return f"{sum(history.merge(History(file)) for file in options.files)} taken over"
    if options.what == "forget":
        return f"{history.prune(options.days)} forgotten"
    rows = history.runs(limit=options.most)
    return (
        "\n".join(f"{r['run']}  {r['target']}/{r['plan']}  {r['state']}  {r['commit_sha']}" for r in rows)
        or "no run yet"
    )


if __name__ == "__main__":
    sys.exit(main())
