"""How flows are written: nobody waits a fixed time, and only page objects know what a page looks like."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FLOWS = sorted((ROOT / "scenarios" / "browser").rglob("*.py"))
WAITS = re.compile(r"wait_for_timeout|\bsleep\(|networkidle")
LOOKS = re.compile(r"\bget_by_|\blocator\(|\btest_id\(|\bquery_selector")
OF_THE_VENDOR = "frame_locator"
"""Builder.io's own editor is no page of the platform."""


def lines(files, form):
    return [
        f"{file.relative_to(ROOT)}:{number}"
        for file in files
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if form.search(line) and OF_THE_VENDOR not in line
    ]


def test_no_flow_waits_a_fixed_time():
    assert FLOWS
    assert lines([*FLOWS, *(ROOT / "fixtures").glob("browser*.py")], WAITS) == []


def test_only_page_objects_know_what_a_page_looks_like():
    assert lines([file for file in FLOWS if file.name.startswith("test_")], LOOKS) == []
