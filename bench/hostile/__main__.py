"""The hostile-answer drill.

    python -m bench.hostile --small
    python -m bench.hostile [--services r2,kv] [--mutations gzip,words] [--jobs 6] [--results FILE [--again]] [--keep DIR]

Starts the embedded target, and for each service and each row of the table (`bench.hostile.mutations`) makes a whole run of
a few quick checks through a proxy that answers so, as a CI job on GitHub would. Prints what is wrong: verdicts (met on
answers that say nothing, or another service accused), crashes (an exit code of no meaning, a lost check, a report that is
missing or that its own reader cannot read), hangs, and injections (words that a terminal, a CI log, a browser, a
spreadsheet or another reader obeys: `bench.hostile.readers`). Exit code 1 when anything is.

`--small` tries one mutation of each service, as Assay's own tests do. `--results` keeps each case's end in a file, so that a
drill that was stopped goes on where it was; with `--again` only the cases that were wrong there, or never tried, are tried.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path

from bench.hostile.browser import Browser
from bench.hostile.cases import SUBJECTS, Case, cases, small
from bench.hostile.collector import Collector
from bench.hostile.judge import wrong_with
from bench.hostile.trial import Child, Trial, Tried
from bench.hostile.warm import warm
from clients import embedded
from clients.services import catalogue


def main() -> int:
    """Runs the cases and prints a line for each that is wrong, then the counts."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.hostile", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--services", default="", help="only services whose names hold one of these words")
    parser.add_argument("--mutations", default="", help="only mutations whose names hold one of these words")
    parser.add_argument("--small", action="store_true", help="one mutation for each service, in a minute")
    parser.add_argument("--shard", default="1/1", help="the K-th of N parts of all cases")
    parser.add_argument(
        "--jobs", type=int, default=3 * (os.cpu_count() or 1), help="cases at a time: most wait"
    )
    parser.add_argument("--keep", type=Path, help="where runs that went wrong are kept")
    parser.add_argument(
        "--results", type=Path, help="where the end of each case is kept; those in it are left out"
    )
    parser.add_argument(
        "--again", action="store_true", help="of the results, those that were wrong are tried again"
    )
    parser.add_argument("--stack", type=Path, help="the folder of an embedded target that runs already")
    options = parser.parse_args()
    done = _done(options.results, again=options.again)
    chosen = small() if options.small else cases(options.services, options.mutations, options.shard)
    wanted = [case for case in chosen if case.name not in done]
    with tempfile.TemporaryDirectory(prefix="assay-hostile-") as folder:
        state = options.stack or Path(folder) / "stack"
        with embedded.attach(state=state, progress=sys.stderr) as stack:
            target = stack.target(catalogue())
            names = [variable.name for service in target.services for variable in service.variables]
            variables = {name: value for name in names if (value := target.find(name))}
            warm({check for subject in SUBJECTS for check in subject.checks})
            browser, collector = Browser(Path(folder) / "browser.lock"), Collector(Path(folder))
            try:
                drill = Drill(Path(folder), variables, collector, browser, options.keep, options.results)
                return drill.run(wanted, options.jobs)
            finally:
                browser.close()
                collector.close()


def _done(results: Path | None, *, again: bool) -> set[str]:
    if not results or not results.exists():
        return set()
    ends = {end["case"]: end for end in map(json.loads, results.read_text().splitlines())}
    return {name for name, end in ends.items() if not (again and end["wrong"])}


class Drill:
    """The cases in turn, and what is counted of them."""

    def __init__(
        self,
        folder: Path,
        variables: dict[str, str],
        collector: Collector,
        browser: Browser,
        keep: Path | None,
        results: Path | None,
    ) -> None:
        self._folder, self._variables, self._collector, self._browser = folder, variables, collector, browser
        self._keep, self._results = keep, results
        self._kinds: Counter[str] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._began, self._done, self._checks, self._untouched = time.monotonic(), 0, 0, 0

    def run(self, wanted: list[Case], jobs: int) -> int:
        """Tries them, so many at a time, and reads what each left; returns the exit code."""
        running: list[Trial] = []
        reading: list[tuple[Tried, Child]] = []
        left = iter(enumerate(wanted))
        while True:
            while len(running) + len(reading) < jobs and (following := next(left, None)):
                number, case = following
                folder = self._folder / f"{number:04}"
                running.append(Trial(case, folder, self._variables, number, self._collector.url))
            if not running and not reading:
                break
            for trial in list(running):
                if (tried := trial.ended()) is not None:
                    running.remove(trial)
                    reading.append((tried, Child(partial(self._read, tried))))
            for one in list(reading):
                if one[1].ended() is not None:
                    reading.remove(one)
                    self._end(one[0], len(wanted))
            time.sleep(0.05)
        self._sum(wanted)
        return 1 if self._kinds else 0

    def _read(self, tried: Tried) -> int:
        """In a copy: writes down what is wrong with a case."""
        (tried.folder / "wrong.txt").write_text(json.dumps(list(wrong_with(tried, self._browser))))
        return 0

    def _end(self, tried: Tried, of: int) -> None:
        self._done += 1
        finished = tried.finished
        self._checks += len(finished)
        self._untouched += tried.mutated <= 0
        self._outcomes.update(str(event.outcome) for event in finished)
        read = tried.folder / "wrong.txt"
        wrong = (
            json.loads(read.read_text()) if read.exists() else [("unreadable", "the reader itself failed")]
        )
        self._kinds.update(kind for kind, _ in wrong)
        rest = (time.monotonic() - self._began) / self._done * (of - self._done) / 60
        ends = " ".join(str(event.outcome) for event in finished) or "no check ended"
        head = f"[{self._done}/{of}, {rest:.0f} min left] {tried.case.name}: {ends}"
        print(f"{head} ({tried.mutated} answers, {tried.seconds:.1f} s)", flush=True)
        for kind, words in wrong:
            print(f"    {kind}: {words}", flush=True)
        if self._results:
            end = {"case": tried.case.name, "seconds": round(tried.seconds, 1), "mutated": tried.mutated}
            end |= {
                "code": tried.code,
                "outcomes": [str(event.outcome) for event in finished],
                "wrong": wrong,
            }
            with self._results.open("a") as file:
                file.write(json.dumps(end) + "\n")
        if wrong and self._keep:
            shutil.copytree(tried.folder, self._keep / tried.case.name.replace("/", "-"), dirs_exist_ok=True)
        shutil.rmtree(tried.folder, ignore_errors=True)

    def _sum(self, wanted: list[Case]) -> None:
        mutations = len({case.mutation.name for case in wanted})
        services = len({case.subject.service for case in wanted})
        print(
            f"{self._done} runs, {self._checks} checks; {mutations} mutations of {services} services", end=" "
        )
        print(f"in {time.monotonic() - self._began:.0f} s; outcomes {dict(self._outcomes)}")
        print(
            f"in {self._untouched} runs no answer passed the proxy"
            if self._untouched
            else "every run met the mutated service"
        )
        print("wrong: " + (", ".join(f"{n} {kind}" for kind, n in self._kinds.items()) or "nothing"))


if __name__ == "__main__":
    raise SystemExit(main())
