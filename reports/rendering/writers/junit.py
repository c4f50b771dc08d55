"""junit.xml: one test case for each check and each deciding objective, by the table in reports/judging/verdict_table.py."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

from reports.judging.model import CheckResult, ObjectiveResult, RunVerdict
from reports.judging.verdict_table import STATES

ORDER = 10


def write(verdict: RunVerdict, run_dir: Path) -> list[Path]:
    """Writes junit.xml. What closes the gate is a failure or an error; waived and not required is skipped."""
    root = ET.Element("testsuites", name=f"assay {verdict.plan}")
    suite = ET.SubElement(root, "testsuite", name=f"assay {verdict.plan}", timestamp=verdict.started or "")
    for check in verdict.checks:
        case = ET.SubElement(
            suite,
            "testcase",
            classname=f"checks.{check.service or 'none'}",
            name=check.title,
            time=f"{check.seconds:.3f}",
        )
        case.set("id", check.id)
        _result(case, check, check.message)
    for objective in verdict.objectives:
        if objective.decides:
            case = ET.SubElement(suite, "testcase", classname="objectives", name=objective.title, time="0")
            case.set("id", objective.id)
            _result(case, objective, objective.reason)
    for cause in verdict.causes:
        if cause.kind in ("run", "profile"):
            case = ET.SubElement(suite, "testcase", classname=f"{cause.kind}s", name=cause.who, time="0")
            ET.SubElement(case, "error", message=_clean(cause.text), type=cause.state)
    cases = list(suite)
    for name, element in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        total = str(sum(case.find(element) is not None for case in cases))
        suite.set(name, total)
        root.set(name, total)
    for whole in (suite, root):
        whole.set("tests", str(len(cases)))
        whole.set("time", f"{verdict.seconds or 0:.3f}")
    path = run_dir / "junit.xml"
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    return [path]


def _result(case: ET.Element, result: CheckResult | ObjectiveResult, message: str) -> None:
    row = STATES[result.state]
    if result.state == "met" and not result.blocks_gate:
        return
    text = _clean(message)
    first = text.splitlines()[0] if text else row.meaning
    if result.blocks_gate:
        element = ET.SubElement(case, row.junit or "failure", message=first, type=row.word)
        element.text = text
    elif result.waiver is not None:
        waiver = result.waiver
        ET.SubElement(
            case,
            "skipped",
            message=_clean(f"waived until {waiver.expiry} ({waiver.ticket}): {row.word}, {first}"),
        )
    else:
        ET.SubElement(case, "skipped", message=f"{row.word}, not required: {first}")


def _clean(text: str) -> str:
    """XML 1.0 has no place for most control characters."""
    return "".join(
        c
        for c in text
        if c in "\t\n" or (" " <= c <= "\ud7ff") or ("\ue000" <= c <= "\ufffd") or c > "\uffff"
    )
