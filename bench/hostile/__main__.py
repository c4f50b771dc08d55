"""The hostile-answer drill.

    python -m bench.hostile [--services r2,kv] [--mutations gzip,words] [--shard 1/4] [--jobs 2] [--keep DIR]

Starts the embedded target, and for each service and each row of the table (`bench.hostile.mutations`) makes a whole run of
a few quick checks through a proxy that answers so. Prints what is wrong: verdicts (met on answers that say nothing, or
another service accused), crashes (an exit code of no meaning, a lost check, a report that is missing or unreadable),
hangs, and injections (words that a terminal, a CI log, a browser or a spreadsheet obeys). Exit code 1 when anything is.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from bench.hostile.cases import Case, cases
from bench.hostile.judge import wrong_with
from bench.hostile.trial import Trial, Tried
from clients import embedded
from clients.services import catalogue


def main() -> int:
    """Runs the cases and prints a line for each that is wrong, then the counts."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.hostile", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--services", default="", help="only services whose names hold one of these words")
    parser.add_argument("--mutations", default="", help="only mutations whose names hold one of these words")
    parser.add_argument("--shard", default="1/1", help="the K-th of N parts of all cases")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="cases at a time")
    parser.add_argument("--keep", type=Path, help="where runs that went wrong are kept")
    options = parser.parse_args()
    wanted = list(cases(options.services, options.mutations, options.shard))
    with (
        tempfile.TemporaryDirectory(prefix="assay-hostile-") as folder,
        embedded.attach(state=Path(folder) / "stack", progress=sys.stderr) as stack,
    ):
        target = stack.target(catalogue())
        names = [variable.name for service in target.services for variable in service.variables]
        variables = {name: value for name in names if (value := target.find(name))}
        return _try(wanted, Path(folder), variables, options.jobs, options.keep)


def _try(wanted: list[Case], folder: Path, variables: dict[str, str], jobs: int, keep: Path | None) -> int:
    kinds: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    running: list[Trial] = []
    began, done, tried_checks, untouched = time.monotonic(), 0, 0, 0
    left = iter(enumerate(wanted))
    while True:
        while len(running) < jobs and (following := next(left, None)):
            number, case = following
            running.append(Trial(case, folder / f"{number:04}", variables, seed=number))
        if not running:
            break
        for trial in list(running):
            if (tried := trial.ended()) is None:
                continue
            running.remove(trial)
            done += 1
            finished = tried.finished
            tried_checks += len(finished)
            untouched += tried.mutated <= 0
            outcomes.update(str(event.outcome) for event in finished)
            wrong = list(wrong_with(tried))
            kinds.update(kind for kind, _ in wrong)
            _tell(done, len(wanted), began, tried, wrong)
            if wrong and keep:
                shutil.copytree(tried.folder, keep / trial.case.name.replace("/", "-"), dirs_exist_ok=True)
            shutil.rmtree(tried.folder, ignore_errors=True)
        time.sleep(0.05)
    mutations, services = ({one(case) for case in wanted} for one in (_mutation, _service))
    print(
        f"{done} runs, {tried_checks} checks; {len(mutations)} mutations of {len(services)} services", end=" "
    )
    print(f"in {time.monotonic() - began:.0f} s; outcomes {dict(outcomes)}")
    print(
        f"in {untouched} runs no answer passed the proxy"
        if untouched
        else "every run met the mutated service"
    )
    print("wrong: " + (", ".join(f"{n} {kind}" for kind, n in kinds.items()) or "nothing"))
    return 1 if kinds else 0


def _mutation(case: Case) -> str:
    return case.mutation.name


def _service(case: Case) -> str:
    return case.subject.service


def _tell(done: int, of: int, began: float, tried: Tried, wrong: list[tuple[str, str]]) -> None:
    spent = time.monotonic() - began
    rest = spent / done * (of - done) / 60
    ends = " ".join(str(event.outcome) for event in tried.finished) or "no check ended"
    print(
        f"[{done}/{of}, {rest:.0f} min left] {tried.case.name}: {ends} ({tried.mutated} answers, {tried.seconds:.1f} s)",
        flush=True,
    )
    for kind, words in wrong:
        print(f"    {kind}: {words}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
