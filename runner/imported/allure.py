"""Allure results: one `<uuid>-result.json` for each attempt at a test (allurereport.org/docs/how-it-works-test-result-file).

Attempts at one test share their name; the last one counts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from runner.imported.case import BROKEN, MET, MISSED, SKIPPED, UNKNOWN, Case, NotReadable, Report

SUFFIXES = ("-result.json",)
ATTEMPTS = True
"""Files may hold attempts at the same test: the last counts."""
_OUTCOMES = {"passed": MET, "failed": MISSED, "broken": BROKEN, "skipped": SKIPPED, "unknown": UNKNOWN}


def read(path: Path) -> Report:
    """The one test of a file. Raises NotReadable."""
    try:
        document = json.loads(path.read_bytes())
        outcome = _OUTCOMES[document["status"]]
        begun, ended = document["start"] / 1000, document["stop"] / 1000
        message = str((document.get("statusDetails") or {}).get("message") or "")
        case = Case(_group(document), _name(document), outcome, message, max(0.0, ended - begun))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise NotReadable(f"is not a test result of Allure ({type(error).__name__}: {error})") from None
    return Report((case,), ended)


def _group(document: dict[str, Any]) -> str:
    full = str(document.get("fullName") or "")
    labels = {label["name"]: label["value"] for label in document.get("labels", ())}
    return full.rpartition("#")[0] or str(labels.get("testClass") or labels.get("suite") or "")


def _name(document: dict[str, Any]) -> str:
    """The name with its parameters, unless the tool put them there."""
    name = str(document["name"])
    values = [str(p["value"]) for p in document.get("parameters", ())]
    return name if not values or name.endswith("]") else f"{name}[{'-'.join(values)}]"
