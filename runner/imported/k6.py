"""k6's end-of-test summary: `--summary-export FILE`, or the data that `handleSummary` is given, as JSON.

A threshold decides k6's own run, and so does its case. A `check` does not: it is shown, and decides nothing.
Both forms were made by k6 1.1: `--summary-export` says `true` of a threshold that was crossed, `handleSummary` says
`{"ok": true}` of one that holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runner.imported.case import MET, MISSED, UNKNOWN, Case, NotReadable, Report

SUFFIXES = (".json",)


def read(path: Path) -> Report:
    """A case for each threshold and each check of a file. Raises NotReadable."""
    try:
        document = json.loads(path.read_bytes())
        cases = (*_thresholds(document["metrics"]), *_checks(document["root_group"]))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise NotReadable(f"is not a summary of k6 ({type(error).__name__}: {error})") from None
    return Report(cases)


def _thresholds(metrics: dict[str, Any]) -> Iterator[Case]:
    for name, metric in metrics.items():
        for expression, threshold in metric.get("thresholds", {}).items():
            holds = threshold["ok"] if isinstance(threshold, dict) else not threshold
            values = {k: v for k, v in metric.get("values", metric).items() if isinstance(v, int | float)}
            measured = ", ".join(f"{key} {value:.6g}" for key, value in values.items())
            message = "" if holds else f"{name} {expression} does not hold: {measured}"
            yield Case(f"thresholds.{name}", expression, MET if holds else MISSED, message)


def _checks(group: dict[str, Any]) -> Iterator[Case]:
    for check in _each(group["checks"]):
        passes, fails = int(check["passes"]), int(check["fails"])
        place = ".".join(filter(None, str(check["path"]).split("::")[:-1]))
        outcome = MISSED if fails else MET if passes else UNKNOWN
        message = (
            f"failed {fails} of {passes + fails} times" if fails else "" if passes else "was never tried"
        )
        yield Case(f"checks.{place}" if place else "checks", check["name"], outcome, message, decides=False)
    for inner in _each(group["groups"]):
        yield from _checks(inner)


def _each(found: dict[str, Any] | list[Any]) -> list[Any]:
    """The export has objects by name where `handleSummary` has lists."""
    return list(found.values()) if isinstance(found, dict) else found
