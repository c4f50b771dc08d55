"""Lists for people and, with `--json`, for programs: checks, load profiles, runs."""

from __future__ import annotations

import json
import shutil
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.project import find_project
from core.run import runs
from core.text import on_one_line
from loadprofiles.run import needs_of, profiles
from reports.judging.verdict_table import STATES
from reports.rendering.columns import Column, print_table
from runner import declared_checks
from runner.doctor import passports


def show_checks(*, as_json: bool) -> None:
    """Every check: identifier and title, and whether it decides; as JSON the whole passport."""
    found = declared_checks.declared(own=find_project().own)
    if as_json:
        known = passports()
        print_json([{**asdict(known[one.id]), "file": str(one.path.relative_to(one.root))} for one in found])
        return
    columns = (Column("check"), Column("title", leaves=2, wraps=30), Column("", leaves=1))
    rows = []
    for c in found:
        flags = ["exclusive"] * c.exclusive + ["report-only"] * (not c.gate)
        rows.append([c.id, c.title, ", ".join(flags)])
    print_table(columns, rows)


def show_profiles(*, as_json: bool) -> None:
    """Every shipped load profile, with what it needs of the target."""
    found = [{"profile": name, "uses": list(needs_of(name).uses)} for name in profiles()]
    if as_json:
        print_json(found)
    else:
        rows = [[str(f["profile"]), ", ".join(f["uses"])] for f in found]
        print_table((Column("profile"), Column("needs", wraps=20)), rows)


def show_runs(most: int, *, as_json: bool) -> None:
    """The newest runs, by what verdict.json says of them; a run that was never judged says so."""
    folders = sorted((p for p in runs().glob("*") if (p / "journal").is_dir()), reverse=True)[:most]
    found = [_run(folder) for folder in folders]
    if as_json:
        print_json(found)
        return
    if not found:
        words = "there is no run yet; `./assay validate` makes one."
        print(textwrap.fill(words, shutil.get_terminal_size().columns))
        return
    columns = (
        Column(""), Column("run"), Column("plan", leaves=2), Column("target", leaves=1),
        Column("verdict", leaves=3, wraps=24),
    )  # fmt: skip
    rows = [
        [STATES[r["state"]].glyph if r["state"] else "-", r["run"], r["plan"], r["target"], r["headline"]]
        for r in found
    ]
    print_table(columns, rows)


def _run(folder: Path) -> dict[str, Any]:
    try:
        verdict = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        verdict = {"headline": "not judged; `assay report` does it"}
    return {
        "run": folder.name,
        "state": verdict.get("state", ""),
        "exit": verdict.get("exit"),
        "plan": verdict.get("plan", ""),
        "target": str(verdict.get("target", {}).get("name", "")),
        "started": verdict.get("started"),
        "headline": on_one_line(str(verdict.get("headline", ""))),
        "folder": str(folder),
    }


def print_json(document: object) -> None:
    """A JSON document, for programs."""
    print(json.dumps(document, indent=2, default=list))
