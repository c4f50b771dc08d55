"""The Test Anything Protocol, versions 12 to 14, as pgTAP, pg_prove, node and others write it (testanything.org).

A file is one program's output, and its name the group. Numbers that jump, a plan that does not hold, and `Bail out!` are
the test's own failure: one more case, `ran to its end`. Subtests are told by their parent's line.
"""

from __future__ import annotations

import re
from pathlib import Path

from runner.imported.case import BROKEN, MET, MISSED, SKIPPED, Case, NotReadable, Report

SUFFIXES = (".tap",)
END = "ran to its end"
_VERSION = re.compile(r"TAP version (\d+)\s*")
_PLAN = re.compile(r"1\.\.(\d+)\s*(?:#\s*(.*))?")
_TEST = re.compile(r"(not )?ok\b\s*(\d+)?\s*-?\s*(.*)")
_DIRECTIVE = re.compile(r"(?<!\\)#\s*(todo|skip)\S*\s*(.*)", re.I)
_BAIL = re.compile(r"Bail out!\s*(.*)")


def read(path: Path) -> Report:
    """Every test line of a file. Raises NotReadable."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise NotReadable("is not text in UTF-8") from None
    return Report(tuple(cases(text, path.name.removesuffix(".tap"))))


def cases(text: str, group: str) -> list[Case]:
    """The cases that a program's output tells of. Raises NotReadable for a version that is none of these."""
    found: list[Case] = []
    wrong: list[str] = []
    planned: int | None = None
    for line in text.splitlines():
        if (version := _VERSION.fullmatch(line)) and int(version[1]) not in (12, 13, 14):
            raise NotReadable(f"is TAP of version {version[1]}, which nobody here knows")
        if plan := _PLAN.fullmatch(line):
            if planned is not None:
                wrong.append("it plans twice")
            planned = int(plan[1])
            if planned == 0:
                found.append(Case(group, END, SKIPPED, _without_directive(plan[2] or "")))
        elif bail := _BAIL.match(line):
            found.append(Case(group, END, BROKEN, bail[1] or "it bailed out"))
            return found
        elif test := _TEST.fullmatch(line):
            number = len(found) + 1
            if test[2] and int(test[2]) != number:
                wrong.append(f"test {test[2]} stands where {number} is due")
            found.append(_case(group, bool(test[1]), number, test[3]))
        elif line.startswith("#") and found and found[-1].outcome is MISSED:
            last = found[-1]
            message = f"{last.message}\n{line.lstrip('# ')}".strip()
            found[-1] = Case(group, last.name, MISSED, message, decides=last.decides)
    if planned is None:
        wrong.append("it has no plan")
    elif planned and planned != len(found):
        wrong.append(f"it planned {planned} tests and ran {len(found)}")
    if wrong:
        found.append(Case(group, END, BROKEN, "; ".join(wrong)))
    return found


def _case(group: str, failed: bool, number: int, rest: str) -> Case:
    directive = _DIRECTIVE.search(rest)
    name = (rest[: directive.start()] if directive else rest).strip().replace("\\#", "#") or f"test {number}"
    kind = directive[1].lower() if directive else ""
    if kind == "skip" and not failed:
        return Case(group, name, SKIPPED, directive[2] if directive else "")
    return Case(group, name, MISSED if failed else MET, "", decides=kind != "todo")


def _without_directive(text: str) -> str:
    return re.sub(r"^SKIP\S*\s*", "", text, flags=re.I).strip() or "it planned no test"
