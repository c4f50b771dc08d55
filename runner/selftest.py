"""`assay test`: lint, types, the harness's own tests, and the checks on the embedded target."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

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
SLOWEST = ("--durations=30", "--durations-min=5")
AGAIN = ("--last-failed", "--last-failed-no-failures", "none", "--maxfail=1")
SOME_FAILED = 1
"""pytest's exit code when tests ran and some failed; any other means that it could not do its work."""
console = Console(stderr=True, highlight=False)


def run_tests(*, fast: bool, workers: int) -> int:
    """Runs every step even when one failed, so that one run tells all. Returns 0 or 1 (3 when broken).

    One more worker than asked for: tests wait for their servers a third of the time.

    The tests drive real servers under real load, several at once: one that failed in company is run again alone. Twice
    is a failure; once is told as unsteady, beside its first failure, for somebody to mend. Checks are never run again.
    """
    rooms = [room for room in ROOMS if any((ROOT / room).rglob("*.py"))]
    steps: list[tuple[str, Sequence[str]]] = [
        ("lint", ("ruff", "check", "--quiet", ".")),
        ("format", ("ruff", "format", "--check", "--quiet", ".")),
        ("types", ("mypy", "--no-error-summary", "cli.py", "conftest.py", *rooms)),
        ("tests", ("pytest", "-q", "-n", str(workers + 1), "--dist", "loadfile", *SLOWEST, *TESTS)),
        ("browser", ("pytest", "-q", APART)),
    ]
    results: list[tuple[str, int, float]] = []
    unsteady = False
    for name, words in steps:
        console.print(f"[bold]· {name}[/bold]")
        started = time.monotonic()
        code = _python(words)
        if name == "tests" and code == SOME_FAILED:
            console.print("[bold]· tests that failed, once more, one at a time[/bold]")
            code = _python(("pytest", "-rA", "--no-header", "--tb=short", *AGAIN, *TESTS))
            unsteady = code == 0
        results.append((name, code, time.monotonic() - started))
    if not fast:
        console.print("[bold]· checks on the embedded target[/bold]")
        started = time.monotonic()
        directory = run_plan(RunRequest(plan="smoke", workers=workers, with_load=False))
        results.append(("checks", 0 if _all_met(directory) else 1, time.monotonic() - started))
    for name, code, spent in results:
        console.print(
            f"{'[green]passed[/green]' if code == 0 else '[red]FAILED[/red]'}  {name}  {spent:.0f} s"
        )
    if unsteady:
        console.print(
            "[yellow]unsteady[/yellow]  tests above failed beside others and passed alone: mend them"
        )
    failed = sum(1 for _, code, _ in results if code)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


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
