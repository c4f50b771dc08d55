"""The pgTAP tests that lie beside a team's migrations, run by the stack and taken in as imported results."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from clients.embedded import Serves
from core.errors import BrokenError
from core.journal import Journal
from core.outcome import CheckOutcome
from core.plan import ImportedResults, Plan
from core.run import ROOT
from core.target import Target
from runner import imported

EXTENSION = "pgtap"
RESULTS = ImportedResults(
    id="pgtap",
    format="tap",
    files="*.tap",
    newer_than=86_400.0,
    requirement=("P1.3",),
    service="supabase.database",
)
PATIENCE_S = 600


def with_tests(plan: Plan) -> Plan:
    """The plan, which requires the repository's pgTAP tests too."""
    return replace(plan, results=(*plan.results, RESULTS))


def wanted(serves: Serves | None) -> bool:
    """Whether there are tests to be run, and nobody skips pgTAP."""
    return serves is not None and serves.tests is not None and EXTENSION not in serves.skip_extensions


def journal_tests(serves: Serves, target: Target, journal: Journal, directory: Path) -> None:
    """Runs the tests on the served database, before anything else writes to it, and journals each as a check.

    The TAP that they print stays in the run's folder. Where pgTAP is not to be had nothing ran: not covered, and why.
    Raises BrokenError where the tests could not be run at all.
    """
    into = directory / "pgtap"
    into.mkdir()
    asked = {
        "dsn": target.secret("SUPABASE_DB_URL").reveal(),
        "tests": str(serves.tests),
        "into": str(into),
        "skip_extensions": list(serves.skip_extensions),
    }
    command = [sys.executable, "-m", "stack.supabase.pgtap"]
    try:
        done = subprocess.run(
            command, input=json.dumps(asked), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        raise BrokenError(f"the pgTAP tests in {serves.tests} did not end within {PATIENCE_S} s.") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or [str(done.returncode)]
        raise BrokenError(f"the pgTAP tests in {serves.tests} could not be run: {said[-1]}")
    if lacking := json.loads(done.stdout)["lacking"]:
        imported.journal_findings(
            (imported.own(RESULTS, CheckOutcome.NOT_COVERED, lacking),), RESULTS, journal
        )
        return
    imported.journal_results((RESULTS,), into, journal)
