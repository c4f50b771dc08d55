"""results.csv: one row a check and one a group of each objective, for spreadsheets."""

from __future__ import annotations

import csv
from pathlib import Path

from reports.judging.model import GroupResult, ObjectiveResult, RunVerdict

ORDER = 10
COLUMNS = (
    "kind", "id", "title", "verdict", "closes_gate", "waived", "service", "requirement", "owner", "value", "low",
    "high", "limit", "unit", "samples", "effective", "failed", "seconds", "message",
)  # fmt: skip


def write(verdict: RunVerdict, run_dir: Path) -> list[Path]:
    """Writes results.csv. A cell that a spreadsheet would run as a formula is quoted with an apostrophe."""
    path = run_dir / "results.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, COLUMNS, restval="")
        rows.writeheader()
        for c in verdict.checks:
            rows.writerow(
                {
                    "kind": "check",
                    "id": c.id,
                    "title": _safe(c.title),
                    "verdict": c.state,
                    "closes_gate": c.blocks_gate,
                    "waived": c.waiver is not None,
                    "service": _safe(c.service),
                    "requirement": " ".join(c.requirement),
                    "owner": _safe(c.owner),
                    "seconds": f"{c.seconds:.3f}",
                    "message": _safe(c.message),
                }
            )
        for o in verdict.objectives:
            common = {
                "kind": "objective",
                "title": _safe(o.title),
                "closes_gate": o.blocks_gate,
                "waived": o.waiver is not None,
                "service": o.service,
                "requirement": o.requirement,
                "limit": o.limit,
                "unit": o.unit,
            }
            parts: list[GroupResult | ObjectiveResult] = [*o.groups] or [o]
            for g in parts:
                labels = "/".join(getattr(g, "labels", {}).values())
                rows.writerow(
                    {
                        **common,
                        "id": f"{o.id}/{labels}" if labels else o.id,
                        "verdict": g.state if o.decides else o.state,
                        "value": g.value,
                        "low": g.low,
                        "high": g.high,
                        "samples": g.samples,
                        "effective": getattr(g, "effective", ""),
                        "failed": getattr(g, "failed", ""),
                        "message": _safe(g.reason),
                    }
                )
    return [path]


def _safe(text: str) -> str:
    """Blanks before a formula do not keep a spreadsheet from running it (OWASP, CSV Injection)."""
    return f"'{text}" if text.lstrip()[:1] in ("=", "+", "-", "@") else text
