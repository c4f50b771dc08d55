"""One check's page: what it proves, how it went, what the witnesses said, and how it went before."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from core.outcome import DID_NOT_RUN
from reports.judging.model import CheckResult, RunVerdict
from reports.judging.verdict_table import STATES
from reports.rendering.formatting import duration
from reports.rendering.page.environment import environment

FOLDER = "checks"
PLATFORM = ("platform", "rooms")
"""Services that the platform itself answers for; all others are asked beside it."""
TRACE = "application/vnd.allure.playwright-trace"
_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


def page_of_check(identifier: str) -> str:
    """The page's path in the report; an identifier that is no plain file name (another tool's) gets a digest."""
    if _PLAIN.fullmatch(identifier):
        return f"{FOLDER}/{identifier}.html"
    word = re.sub(r"[^a-z0-9._-]+", "-", identifier.lower())[:60].strip(".-") or "check"
    return f"{FOLDER}/{word}-{hashlib.sha256(identifier.encode()).hexdigest()[:10]}.html"


def check_page(verdict: RunVerdict, check: CheckResult, pages: Sequence[tuple[str, str]]) -> str:
    """The page as HTML; it stands one folder below the report's others."""
    titles = {r.id: r.title for r in verdict.requirements}
    services = {s.id: s.title for s in verdict.services}
    return environment().get_template("check.html").render(
        v=verdict,
        c=check,
        pages=[(href if "://" in href else f"../{href}", name) for href, name in pages],
        service=services.get(check.service, check.service),
        requirements=[(r, titles.get(r, "")) for r in check.requirement],
        steps=_timed(check),
        exchanges=[
            SimpleNamespace(
                at="" if e["at"] is None else f"{e['at']:.2f} s", asked=e["asked"], answer=e["answer"],
                service=services.get(e["service"], e["service"]), times=e["times"],
                witness=e["service"] not in PLATFORM,
            )
            for e in check.exchanges
        ],
        attachments=[_attachment(a) for a in check.attachments if a.get("path")],
        traced=any(a.get("media_type") == TRACE for a in check.attachments),
        took=duration(check.seconds) if check.state not in DID_NOT_RUN else "",
        history=_history(check),
    )  # fmt: skip


def _timed(check: CheckResult) -> list[SimpleNamespace]:
    """Steps and witness answers in the order in which they came; a step lasts since the one before it."""
    rows = []
    events = [(s.get("at"), "step", s["name"], "") for s in check.steps]
    events += [(w.get("at"), "witness", w["fact"], w["channel"]) for w in check.witnesses]
    last = 0.0
    for at, kind, text, channel in sorted(events, key=lambda row: row[0] if row[0] is not None else 0.0):
        shown = "" if at is None else f"{at:.2f} s"
        since = "" if at is None else f"{max(0.0, at - last):.2f} s"
        last = last if at is None else at
        rows.append(SimpleNamespace(at=shown, took=since, kind=kind, text=text, channel=channel))
    return rows


def _attachment(attachment: dict[str, Any]) -> SimpleNamespace:
    kind = str(attachment.get("media_type", ""))
    return SimpleNamespace(
        name=attachment.get("name") or attachment["path"],
        href=f"../../{attachment['path']}",
        path=attachment["path"],
        image=kind.startswith("image/"),
        video=kind.startswith("video/"),
        trace=kind == TRACE,
    )


def _history(check: CheckResult) -> SimpleNamespace | None:
    """Earlier runs and this one, oldest first, with how often the outcome changed."""
    if not check.history:
        return None
    now = {"run": "this run", "state": check.state, "seconds": check.seconds}
    rows = [*check.history, now]
    ran = [row for row in rows if row["state"] not in DID_NOT_RUN]
    met = sum(row["state"] == "met" for row in ran)
    words = f"met in {met} of {len(ran)} runs that tried it"
    if check.changes:
        words += f"; its outcome changed {check.changes} time{'s' if check.changes != 1 else ''}"
    return SimpleNamespace(
        rows=rows[::-1],
        strip=[SimpleNamespace(state=r["state"], glyph=STATES[r["state"]].glyph, run=r["run"]) for r in rows],
        words=words,
        flaky=check.flaky,
    )
