"""Makes the report's pages from a verdict."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

from core.outcome import DID_NOT_RUN, NOT_COVERED
from reports.judging.cause_groups import grouped
from reports.judging.model import ObjectiveResult, RunVerdict
from reports.judging.verdict_table import NOT_IN_PLAN, STATES
from reports.rendering.formatting import duration, quantity
from reports.rendering.page import svg
from reports.rendering.page.check import FOLDER, check_page, page_of_check
from reports.rendering.page.environment import environment
from reports.rendering.page.list import list_page
from reports.rendering.page.objective import has_page, objective_page, page_of
from reports.rendering.page.viewer import bundle_viewer
from reports.rendering.sign_off import SignOff, signoffs

FIDELITY = Path(__file__).resolve().parents[3] / "docs" / "fidelity.md"
MOST_FAILURES = 20
_GROUPS = {
    "phases": "Integrations",
    "numbers": "Performance",
    "production": "Production",
    "risks": "Risks",
    "deliverables": "Deliverables",
}


def build(verdict: RunVerdict, folder: Path) -> list[Path]:
    """Writes the front page, the pages of checks and of security, one for each check and each measured objective."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = _pages(folder)
    written = [_write(folder / "index.html", _index(verdict, pages, signoffs(folder.parent)))]
    written.append(_write(folder / "checks.html", _checks(verdict, pages)))
    written.append(_write(folder / "security.html", _security(verdict, pages)))
    written.append(_write(folder / "style.css", str(environment().globals["css"])))
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    (folder / FOLDER).mkdir()
    written += [_write(folder / page_of_check(c.id), check_page(verdict, c, pages)) for c in verdict.checks]
    bundle_viewer(verdict, folder)
    if verdict.embedded:
        shutil.copyfile(FIDELITY, folder / "fidelity.txt")
    written += [
        _write(folder / page_of(o), objective_page(verdict, o, pages))
        for o in verdict.objectives
        if has_page(o)
    ]
    return written


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _pages(folder: Path) -> list[tuple[str, str]]:
    pages = [("index.html", "Verdict"), ("checks.html", "Checks"), ("security.html", "Security")]
    for file, name in (("trends.html", "Trends"), ("allure/index.html", "Allure")):
        if (folder / file).exists():
            pages.append((file, name))
    others = (("verdict.json", "JSON"), ("summary.pdf", "PDF"), ("results.csv", "CSV"))
    return pages + [(f"../{file}", name) for file, name in others if (folder.parent / file).exists()]


def _index(verdict: RunVerdict, pages: list[tuple[str, str]], signed: list[SignOff]) -> str:
    title, _, what = verdict.headline.partition(": ")
    failing = [c for c in verdict.checks if c.state not in ("met", *DID_NOT_RUN)]
    failing.sort(key=lambda c: (not c.blocks_gate, -STATES[c.state].rank, c.id))
    rows = [_row(o) for o in verdict.objectives]
    return environment().get_template("index.html").render(
        v=verdict,
        pages=pages,
        title=title,
        what=what[:1].upper() + what[1:] or "Everything that the plan requires ran and holds.",
        when=(verdict.started or "unknown").replace("T", " ").replace("Z", " UTC"),
        took=duration(verdict.seconds),
        causes=[g for g in grouped(verdict) if g.kind != "run" or g.text != what],
        page_of=page_of_check,
        signoffs=signed,
        knees={name: load["knee"].get("users") for name, load in verdict.measurements.get("loads", {}).items()},
        counts=verdict.counts(),
        objectives=[o for o in rows if not o.aside],
        others=[o for o in rows if o.aside],
        trend_n=30,
        failing=failing[:MOST_FAILURES],
        more_failing=max(0, len(failing) - MOST_FAILURES),
        missing=[c for c in verdict.checks if c.state == NOT_COVERED and c.required][:MOST_FAILURES],
        waived=verdict.used_waivers,
        since=_since(verdict),
        slowest=sorted((c for c in verdict.checks if c.seconds), key=lambda c: -c.seconds)[:10],
        matrix=[(name, [r for r in verdict.requirements if r.group == group]) for group, name in _GROUPS.items()],
    )  # fmt: skip


def _since(verdict: RunVerdict) -> list[tuple[str, list[tuple[str, str]]]]:
    """What differs from the run before: in words, each with the checks' pages where they have one."""
    since_last, known = verdict.since_last, {c.id: c.title for c in verdict.checks}

    def linked(name: str) -> list[tuple[str, str]]:
        return [(known.get(i, i), page_of_check(i) if i in known else "") for i in since_last.get(name, [])]

    slower = [
        (f"{known[s['check']]} ({s['before']:.1f} to {s['seconds']:.1f} s)", page_of_check(s["check"]))
        for s in since_last.get("slower", [])
    ]
    return [
        ("newly failing", linked("newly_failing")),
        ("fixed", linked("recovered")),
        ("slower", slower),
        ("no longer covered", linked("no_longer_covered")),
        ("numbers that moved by 5 % or more", [(text, "") for text in _moved(verdict)]),
        ("new checks", linked("added")),
        ("gone", linked("gone")),
    ]


def _moved(verdict: RunVerdict) -> list[str]:
    """Objectives whose value differs from the run before by more than a twentieth."""
    before = verdict.since_last.get("run")
    found = []
    for o in verdict.objectives:
        last = o.trend[-1] if o.trend else None
        if o.decides and last and last["run"] == before and o.value and last["value"]:
            change = o.value / float(last["value"]) - 1
            if abs(change) >= 0.05:
                was, now = quantity(float(last["value"]), o.unit), quantity(o.value, o.unit)
                found.append(f"{o.id} ({was} to {now}, {change:+.0%})")
    return found


def _row(o: ObjectiveResult) -> SimpleNamespace:
    """One objective as the front page's table shows it."""
    values = [float(t["value"]) for t in o.trend] + ([o.value] if o.value is not None else [])
    states = [str(t["state"]) for t in o.trend] + [o.state]
    spark = (
        svg.sparkline(values, o.limit, states, f"{o.title}, last {len(values)} runs")
        if len(values) > 1
        else ""
    )
    level = o.percentile is None and o.unit != "%"
    drawn = (
        ""
        if level and o.low == o.high
        else svg.interval(o.low, o.value, o.high, o.limit, o.direction, o.unit)
    )
    return SimpleNamespace(
        id=o.id,
        title=o.title,
        state=o.state,
        blocks=o.blocks,
        waiver=o.waiver,
        known=o.known,
        reason=o.reason[:1].upper() + o.reason[1:],
        statement=o.statement,
        page=page_of(o) if has_page(o) else "",
        measured=quantity(o.value, o.unit),
        interval=drawn if o.value is not None else "",
        margin="-" if o.margin is None else f"{o.margin:+.2%}" if o.unit == "%" else f"{o.margin:+.0%}",
        samples=f"{o.samples:,}" if o.samples else "-",
        spark=spark,
        mark=_mark(o),
        quiet=not o.decides,
        aside=o.state == NOT_IN_PLAN,
    )


def _mark(o: ObjectiveResult) -> str:
    if o.regression is None or o.regression.state == "steady":
        return ""
    words = {
        "learning": "History: ",
        "jump": "Slower than its history: ",
        "shift": "Regressed: ",
        "better": "Improved: ",
    }
    text = words[o.regression.state] + o.regression.text
    return f"{text}, since {o.regression.commits}" if o.regression.commits else text


def _checks(verdict: RunVerdict, pages: list[tuple[str, str]]) -> str:
    ordered = sorted(verdict.checks, key=lambda c: (-STATES[c.state].rank, c.service, c.id))
    lead = f"{len(ordered):,} checks of plan {verdict.plan}, the gravest first."
    return list_page(verdict, pages, "checks.html", "Checks", lead, ordered)


def _security(verdict: RunVerdict, pages: list[tuple[str, str]]) -> str:
    about = {"P6.3", "prod.security", "prod.compliance"}
    chosen = [c for c in verdict.checks if about & set(c.requirement)]
    chosen.sort(key=lambda c: (-STATES[c.state].rank, c.id))
    lead = "Checks of P6.3 (security), prod.security (encryption) and prod.compliance (privacy)."
    return list_page(verdict, pages, "security.html", "Security", lead, chosen)
