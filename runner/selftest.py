"""`assay test`: lint, types, the harness's own tests, and the checks on the embedded target."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from core.events import CheckFinished
from core.evidence import Evidence
from core.objective import load_objectives
from core.plan import load_plan
from core.run import ROOT
from reports.judging.overrides import OBJECTIVES
from runner.preparation import PLANS
from runner.session import RunRequest, run_plan

ROOMS = (
    "core",
    "runner",
    "clients",
    "fixtures",
    "scenarios",
    "suites",
    "loadengine",
    "loadprofiles",
    "reports",
    "stack",
    "launcher",
    "tests",
    "bench",
)
APART = "tests/stack/supabase/test_browser.py"
"""In a process of its own: Playwright's sync API refuses to start where another of its loops is still alive."""
TESTS = ("tests", "--ignore", APART)
SPREAD = ("--dist", "loadfile", "--no-loadscope-reorder")
SLOWEST = ("--durations=30", "--durations-min=5")
AGAIN = ("--last-failed", "--last-failed-no-failures", "none", "--maxfail=1")
SOME_FAILED = 1
"""pytest's exit code when tests ran and some failed; any other means that it could not do its work."""
console = Console(stderr=True, highlight=False)


def run_tests(*, fast: bool, workers: int) -> int:
    """Runs every step even when one failed, so that one run tells all. Returns 0 or 1 (3 when broken).

    Lint, format and types go beside the tests. Two workers for each that was asked for: tests wait for their servers
    nearly half of the time. The files that took longest last time start first (tests/spent.py).

    The tests drive real servers under real load, several at once: one that failed in company is run again alone. Twice
    is a failure; once is told as unsteady, beside its first failure, for somebody to mend. Checks are never run again.
    """
    rooms = [room for room in ROOMS if any((ROOT / room).rglob("*.py"))]
    with ThreadPoolExecutor(1) as beside:
        reading = [
            beside.submit(_read, "lint", ("ruff", "check", "--quiet", ".")),
            beside.submit(_read, "format", ("ruff", "format", "--check", "--quiet", ".")),
            beside.submit(_read, "types", ("mypy", "--no-error-summary", "cli.py", "conftest.py", *rooms)),
        ]
        tests, unsteady = _tests(2 * workers)
    results = [step.result() for step in reading] + tests
    if not fast:
        console.print("[bold]· checks on the embedded target[/bold]")
        started = time.monotonic()
        directory = run_plan(RunRequest(plan="smoke", workers=workers, with_load=False))
        results.append(Step("checks", 0 if _all_met(directory) else 1, time.monotonic() - started))
    for step in results:
        word = "[green]passed[/green]" if step.code == 0 else "[red]FAILED[/red]"
        console.print(f"{word}  {step.name}  {step.seconds:.0f} s")
        print(step.said, end="", flush=True)
    if unsteady:
        console.print(
            "[yellow]unsteady[/yellow]  tests above failed beside others and passed alone: mend them"
        )
    failed = sum(1 for step in results if step.code)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


class Step(NamedTuple):
    """One step that is over: its exit code, its seconds, and what it said where that was not shown at once."""

    name: str
    code: int
    seconds: float
    said: str = ""


def _read(name: str, words: Sequence[str]) -> Step:
    """A step that only reads the files; what it says is shown at the end, not between the tests' dots."""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=ROOT,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    return Step(name, done.returncode, time.monotonic() - started, done.stdout)


def _tests(workers: int) -> tuple[list[Step], bool]:
    """The harness's own tests, and whether some of them passed the second time only."""
    console.print("[bold]· tests (beside them: lint, format, types)[/bold]")
    started = time.monotonic()
    code = _python(("pytest", "-q", "-n", str(workers), *SPREAD, *SLOWEST, *TESTS))
    unsteady = False
    if code == SOME_FAILED:
        console.print("[bold]· tests that failed, once more, one at a time[/bold]")
        code = _python(("pytest", "-rA", "--no-header", "--tb=short", *AGAIN, *TESTS))
        unsteady = code == 0
    tests = Step("tests", code, time.monotonic() - started)
    console.print("[bold]· browser[/bold]")
    started = time.monotonic()
    return [tests, Step("browser", _python(("pytest", "-q", APART)), time.monotonic() - started)], unsteady


def _python(words: Sequence[str]) -> int:
    return subprocess.run([sys.executable, "-m", *words], cwd=ROOT, check=False).returncode


def _all_met(directory: Path) -> bool:
    """Whether every check of the smoke plan ran and was met. Its objectives are the machine's affair, not a test's."""
    outcomes = {e.check: e.outcome for e in Evidence(directory).events(CheckFinished)}
    wanted = load_plan("smoke", PLANS, load_objectives(OBJECTIVES)).checks
    for check in wanted:
        if outcomes.get(check) != "met":
            console.print(f"[red]{check}: {outcomes.get(check, 'did not run')}[/red] ({directory})")
    return all(outcomes.get(check) == "met" for check in wanted)
