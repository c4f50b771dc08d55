"""Playwright Test's JSON reporter (playwright.dev/docs/test-reporters; its types: `JSONReport`).

A test that passed only when it was tried again is met, since its team lets it be, unless `failOnFlakyTests` is set.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runner.imported.case import BROKEN, MET, MISSED, SKIPPED, Case, NotReadable, Report

SUFFIXES = (".json",)


def read(path: Path) -> Report:
    """Every test of every project of a file. Raises NotReadable."""
    try:
        document = json.loads(path.read_bytes())
        strict = bool(document["config"].get("failOnFlakyTests"))
        cases = tuple(c for suite in document["suites"] for c in _cases(suite, "", strict))
        at = dt.datetime.fromisoformat(document["stats"]["startTime"]).timestamp()
        faults = tuple(_text(error) for error in document.get("errors", ()))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise NotReadable(
            f"is not a report of Playwright's JSON reporter ({type(error).__name__}: {error})"
        ) from None
    return Report(cases, at, faults)


def _cases(suite: dict[str, Any], above: str, strict: bool) -> Iterator[Case]:
    group = f"{above}.{suite['title']}" if above else suite["title"]
    for spec in suite.get("specs", ()):
        for test in spec["tests"]:
            project = test.get("projectName") or ""
            yield _case(f"{project}.{group}" if project else group, spec["title"], test, strict)
    for inner in suite.get("suites", ()):
        yield from _cases(inner, group, strict)


def _case(group: str, name: str, test: dict[str, Any], strict: bool) -> Case:
    results = test["results"]
    seconds = sum(r["duration"] for r in results) / 1000
    failed = [r for r in results if r.get("error")]
    message = _text(failed[-1]["error"]) if failed else ""
    status = test["status"]
    if status == "flaky":
        message = f"passed at attempt {len(results)}; before: {message}"
        return Case(group, name, MISSED if strict else MET, message, seconds)
    if status == "expected":
        return Case(group, name, MET, "", seconds)
    if status == "skipped":
        return Case(group, name, SKIPPED, "skipped", seconds)
    cut = any(r["status"] == "interrupted" for r in results)
    return Case(group, name, BROKEN if cut else MISSED, message or status, seconds)


def _text(error: dict[str, Any]) -> str:
    return str(error.get("message") or error.get("value") or "no message")
