"""The list of checks: filtered, sorted and searched in the page itself, from data in it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from reports.judging.model import CheckResult, RunVerdict
from reports.judging.verdict_table import STATES
from reports.rendering.page.check import page_of_check
from reports.rendering.page.environment import environment, script

LONGEST = 200
"""Characters of a message in the list; the check's own page has all."""
COLUMNS = (
    ("gravity", "Verdict"), ("title", "Check"), ("service", "Service"), ("requirement", "Requirement"),
    ("owner", "Owner"), ("seconds", "Seconds"),
)  # fmt: skip


def list_page(
    verdict: RunVerdict,
    pages: Sequence[tuple[str, str]],
    here: str,
    heading: str,
    lead: str,
    checks: Sequence[CheckResult],
) -> str:
    """The page as HTML."""
    titles = {s.id: s.title for s in verdict.services}
    rows = [_row(c, titles) for c in checks]
    found = Counter(c.state for c in checks)
    marks = Counter(mark for row in rows for mark in row["marks"])
    words = {s.id: [s.glyph, s.word] for s in STATES.values()}
    picks = [
        ("service", sorted({str(row["service"]) for row in rows if row["service"]})),
        ("requirement", sorted({r for c in checks for r in c.requirement})),
        ("owner", sorted({c.owner for c in checks})),
    ]
    return environment().get_template("checks.html").render(
        v=verdict, pages=pages, here=here, heading=heading, lead=lead, columns=COLUMNS, picks=picks,
        counts=[(s, found[s]) for s in STATES if found[s]],
        marks=[(mark, marks[mark]) for mark in ("new", "flaky", "imported", "waived") if marks[mark]],
        data=in_script({"checks": rows, "words": words}),
        list_js=script("list.js"),
    )  # fmt: skip


def _row(c: CheckResult, titles: dict[str, str]) -> dict[str, Any]:
    marks = {"new": c.new, "flaky": c.flaky, "imported": bool(c.imported), "waived": c.waiver is not None}
    return {
        "id": c.id,
        "title": c.title,
        "state": c.state,
        "gravity": STATES[c.state].rank,
        "service": titles.get(c.service, c.service),
        "requirement": c.requirement,
        "owner": c.owner,
        "seconds": round(c.seconds, 3),
        "marks": [mark for mark, has in marks.items() if has],
        "message": "" if c.state == "met" else c.message.split("\n")[0][:LONGEST],
        "page": page_of_check(c.id),
    }


def in_script(document: object) -> Markup:
    """JSON that may stand in a script element: no `<` can end it or begin a comment (HTML, 4.12.1.3)."""
    text = json.dumps(document, ensure_ascii=True, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("&", "\\u0026"))  # noqa: S704 (escaped above)
