"""JUnit's XML, as pytest, Playwright, Jest, Gradle and others write it (common form: github.com/testmoapp/junitxml).

A `failure` is an expectation that does not hold; an `error` is the test's own, so it says nothing about the platform.
"""

from __future__ import annotations

import datetime as dt
import xml.etree.ElementTree as ET
from pathlib import Path

from runner.imported.case import BROKEN, MET, MISSED, SKIPPED, Case, NotReadable, Report

SUFFIXES = (".xml",)


def read(path: Path) -> Report:
    """Every `testcase` of a file. Raises NotReadable."""
    text = path.read_bytes()
    if b"<!DOCTYPE" in text[:4096]:
        raise NotReadable("declares a DOCTYPE, which no JUnit file has")
    try:
        root = ET.fromstring(text)  # noqa: S314  # without a DOCTYPE there are no entities to expand
    except ET.ParseError as error:
        raise NotReadable(f"is not XML: {error}") from None
    if root.tag not in ("testsuites", "testsuite"):
        raise NotReadable(f"begins with <{root.tag}>, where JUnit has <testsuites> or <testsuite>")
    times = [at for suite in root.iter("testsuite") if (at := _time(suite.get("timestamp", ""))) is not None]
    return Report(tuple(_case(case) for case in root.iter("testcase")), min(times, default=None))


def _case(case: ET.Element) -> Case:
    outcome, message = MET, ""
    for tag, becomes in (("skipped", SKIPPED), ("failure", MISSED), ("error", BROKEN)):
        found = case.find(tag)
        if found is not None:
            outcome = becomes
            message = (found.get("message") or found.text or found.get("type") or tag).strip()
    return Case(
        case.get("classname", ""), case.get("name", ""), outcome, message, _seconds(case.get("time", ""))
    )


def _seconds(text: str) -> float:
    try:
        return max(0.0, float(text.replace(",", "")))
    except ValueError:
        return 0.0


def _time(text: str) -> float | None:
    """A time with its zone; one without says nothing about when, seen from another machine."""
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return at.timestamp() if at.tzinfo else None
