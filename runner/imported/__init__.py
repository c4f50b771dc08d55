"""Results that other tools made, as checks of the run: `[[results]]` of a plan. A format is a module of this folder.

Each case becomes a check `<id>.<group>.<name>`, marked "imported, no witness". The check `<id>` itself is required: met
when the files are there, new enough and whole; not covered when they are missing, old or hold too few cases.
"""

from __future__ import annotations

import glob
import importlib
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core.events import CheckCollected, CheckFinished
from core.journal import Journal
from core.outcome import CheckOutcome
from core.passport import Passport
from core.plan import ImportedResults
from runner.imported.case import Case, NotReadable, Report

LARGEST = 64 * 1024 * 1024
"""Bytes of a file that is still read."""
SHOWN = 4000
"""Letters of a case's message that are kept."""


@dataclass(frozen=True)
class Finding:
    """One check that was imported, and what became of it."""

    passport: Passport
    outcome: CheckOutcome
    message: str
    seconds: float


def journal_results(wanted: Iterable[ImportedResults], folder: Path, journal: Journal) -> None:
    """Writes what is imported, as checks that were collected and finished; files are relative to `folder`."""
    for results in wanted:
        journal_findings(gather(results, folder, time.time()), results, journal)


def journal_findings(findings: Iterable[Finding], results: ImportedResults, journal: Journal) -> None:
    """Writes findings as checks that were collected and finished."""
    for found in findings:
        check, service = found.passport.id, found.passport.service
        journal.write(CheckCollected(check, found.passport, results.files))
        seconds = round(found.seconds, 6)
        journal.write(
            CheckFinished(
                check, 1, found.outcome, found.message, service, expected="", saw="", seconds=seconds
            )
        )


def gather(results: ImportedResults, base: Path, now: float) -> list[Finding]:
    """What the files of one `[[results]]` say; paths are relative to `base`, `now` is in seconds since 1970.

    The first finding is the results' own.
    """
    reports: list[Report] = []
    reader = importlib.import_module(f"{__name__}.{results.format}")
    found = sorted(glob.glob(str(base / results.files), recursive=True))  # noqa: PTH207  # may be absolute
    kept = [path for path in map(Path, found) if path.name.endswith(reader.SUFFIXES) and path.is_file()]
    if not kept:
        return [own(results, CheckOutcome.NOT_COVERED, f"no file is at {results.files}")]
    for path in kept:
        try:
            report = _read(reader.read, path)
        except NotReadable as error:
            return [own(results, CheckOutcome.BROKEN, f"{path.name} {error}")]
        made = min(path.stat().st_mtime, report.at or now)
        if now - made > results.newer_than:
            old = f"{path.name} was made {_ago(now - made)} ago, and only what is newer than"
            old = f"{old} {_ago(results.newer_than)} counts"
            return [own(results, CheckOutcome.NOT_COVERED, old)]
        if report.faults:
            fault = f"{path.name} tells of a failure outside any case: {report.faults[0][:SHOWN]}"
            return [own(results, CheckOutcome.BROKEN, fault)]
        reports.append(report)
    cases = (
        _last_of_each(reports)
        if getattr(reader, "ATTEMPTS", False)
        else [c for r in reports for c in r.cases]
    )
    if len(cases) < results.at_least:
        few = f"{len(cases)} cases, and at least {results.at_least} are wanted"
        return [own(results, CheckOutcome.NOT_COVERED, few)]
    return [own(results, CheckOutcome.MET, ""), *_findings(results, cases)]


def _read(reader: object, path: Path) -> Report:
    if path.stat().st_size > LARGEST:
        raise NotReadable(f"is larger than {LARGEST >> 20} MB")
    found = reader(path)  # type: ignore[operator]  # a module's `read`
    assert isinstance(found, Report)
    return found


def _last_of_each(reports: list[Report]) -> list[Case]:
    ordered = sorted(reports, key=lambda report: report.at or 0.0)
    return list({(case.group, case.name): case for report in ordered for case in report.cases}.values())


def _findings(results: ImportedResults, cases: list[Case]) -> list[Finding]:
    taken: dict[str, int] = {}
    found = []
    for case in sorted(cases, key=lambda c: (c.group, c.name)):
        identifier = ".".join(
            filter(None, (results.id, *map(_word, case.group.split(".")), _word(case.name)))
        )
        taken[identifier] = number = taken.get(identifier, 0) + 1
        identifier = identifier if number == 1 else f"{identifier}.{number}"
        title = f"{case.group}: {case.name}" if case.group else case.name
        passport = _passport(results, identifier, title or identifier, gate=case.decides)
        found.append(Finding(passport, case.outcome, case.message[:SHOWN], case.seconds))
    return found


def own(results: ImportedResults, outcome: CheckOutcome, message: str) -> Finding:
    """The finding about the results themselves."""
    title = f"The results of {results.id} ({results.format}) are there and new"
    return Finding(_passport(results, results.id, title, gate=True), outcome, message, 0.0)


def _passport(results: ImportedResults, identifier: str, title: str, *, gate: bool) -> Passport:
    return Passport(
        id=identifier,
        title=title,
        owner=results.owner,
        requirement=results.requirement,
        service=results.service,
        needs=(),
        actions=(),
        gate=gate,
        imported=results.format,
    )


def _word(text: str) -> str:
    """Text as a word of an identifier: lower-case letters and digits, anything else an underscore."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def _ago(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
