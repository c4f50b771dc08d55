"""Allure 3 results: what pytest did not write itself, so that Allure holds exactly what the verdict holds.

Checks are written by allure-pytest (their passport as labels). Here are added the checks that never came to
run, the objectives with their charts and metrics, faults of the run as a whole, the environment and the
categories. A check's own file is amended only where the verdict says otherwise (a waiver, a dead component).
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from reports.judging.model import CheckResult, ObjectiveResult, RunVerdict, Waiver
from reports.judging.verdict_table import STATES
from reports.rendering.page import charts

ORDER = 20
_SPACE = uuid.UUID("7c5f1b8e-3f57-4b73-9d0e-0a55a7e55a70")
_MEDIA = {"json": "application/json", "svg": "image/svg+xml"}


def write(verdict: RunVerdict, run_dir: Path) -> list[Path]:
    """Writes into run_dir/allure-results and returns the files that were added or amended."""
    folder = run_dir / "allure-results"
    folder.mkdir(exist_ok=True)
    for ours in folder.glob("assay-*"):
        ours.unlink()
    theirs = _by_check(folder)
    start = int((verdict.checks[0].started or 0) * 1000) if verdict.checks else 0
    written: list[Path] = []
    for check in verdict.checks:
        if check.id in theirs:
            if _amend(theirs[check.id], check):
                written.append(theirs[check.id])
        else:
            written.append(_result(folder, _of_check(check, start)))
    written += [
        _result(folder, _of_objective(folder, verdict, o, start)) for o in verdict.objectives if o.decides
    ]
    for cause in verdict.causes:
        if cause.kind in ("run", "profile"):
            row = STATES[cause.state]
            labels = _labels(epic="The run", feature=cause.kind, owner="harness", severity="blocker")
            written.append(
                _result(
                    folder,
                    _plain(
                        f"{cause.kind}.{cause.who}.{cause.text}",
                        cause.text,
                        row.allure,
                        cause.text,
                        labels,
                        start,
                    ),
                )
            )
    written.append(_environment(folder, verdict))
    return written


def _by_check(folder: Path) -> dict[str, Path]:
    """The newest result file of each check that pytest wrote."""
    found: dict[str, tuple[int, Path]] = {}
    for path in folder.glob("*-result.json"):
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            path.unlink()  # cut by a kill: Allure would stumble over it
            continue
        identifier = next(
            (e["value"] for e in result.get("labels", []) if e.get("name") in ("as_id", "ALLURE_ID")), None
        )
        if identifier and (identifier not in found or found[identifier][0] <= result.get("start", 0)):
            found[identifier] = (result.get("start", 0), path)
    return {identifier: path for identifier, (_, path) in found.items()}


def _amend(path: Path, check: CheckResult) -> bool:
    result = json.loads(path.read_text(encoding="utf-8"))
    before = json.dumps(result, sort_keys=True)
    wanted = STATES[check.state].allure
    if result.get("status") != wanted:
        result["status"] = wanted
        details = result.setdefault("statusDetails", {})
        details["message"] = check.message or details.get("message", "")
    _say_waiver(result, check.waiver)
    if json.dumps(result, sort_keys=True) == before:
        return False
    path.write_text(json.dumps(result, ensure_ascii=False), encoding="utf-8")
    return True


def _say_waiver(result: dict[str, Any], waiver: Waiver | None) -> None:
    if waiver is None:
        return
    details = result.setdefault("statusDetails", {})
    details["known"], details["muted"] = True, True
    tag = {"name": "tag", "value": "waived"}
    if tag not in result.setdefault("labels", []):
        result["labels"].append(tag)
        result["links"] = [*result.get("links", []), {"type": "issue", "name": waiver.ticket, "url": "#"}]
        details["message"] = (
            f"waived until {waiver.expiry}: {waiver.reason}\n{details.get('message', '')}".strip()
        )


def _of_check(check: CheckResult, start: int) -> dict[str, Any]:
    row = STATES[check.state]
    labels = _labels(
        epic=check.service or "unknown",
        feature=", ".join(check.requirement) or "none",
        owner=check.owner,
        severity="critical" if check.gate else "minor",
        as_id=check.id,
    )
    at = int(check.started * 1000) if check.started else start
    result = _plain(f"check.{check.id}", check.title, row.allure, check.message or row.meaning, labels, at)
    result["stop"] = at + int(check.seconds * 1000)
    _say_waiver(result, check.waiver)
    return result


def _of_objective(folder: Path, verdict: RunVerdict, o: ObjectiveResult, start: int) -> dict[str, Any]:
    row = STATES[o.state]
    labels = _labels(
        epic=o.service, feature=o.requirement, owner="platform", severity="critical", layer="load", as_id=o.id
    )
    result = _plain(
        f"objective.{o.id}", f"{o.title}: {o.statement}", row.allure, f"{row.word}: {o.reason}", labels, start
    )
    result["parameters"] = [{"name": "objective", "value": o.id}, {"name": "profile", "value": o.profile}]
    result["steps"] = [
        {
            "name": f"{' '.join(g.labels.values()) or 'all samples'}: {g.reason}",
            "status": STATES[g.state].allure,
            "stage": "finished",
            "start": start,
            "stop": start,
            "steps": [],
            "attachments": [],
            "parameters": [{"name": k, "value": f"{v:g}"} for k, v in g.quantiles.items() if v is not None],
        }
        for g in o.groups
    ]
    curves = verdict.measurements.get(o.id, [])
    figures = {"Distribution": charts.distribution(o, curves) if curves and o.percentile is not None else ""}
    for curve in curves:
        if o.percentile is not None:
            figures["Over time " + " ".join(curve["labels"].values())] = charts.over_time(o, curve)
    for name, figure in figures.items():
        if figure:
            source = f"assay-{uuid.uuid5(_SPACE, o.id + name)}-attachment.svg"
            (folder / source).write_text(charts.standalone(figure), encoding="utf-8")
            result["attachments"].append({"name": name.strip(), "source": source, "type": _MEDIA["svg"]})
    if o.value is not None:
        entry = {"id": o.id, "key": o.id, "value": o.value, "start": start, "stop": start}
        (folder / f"assay-{result['uuid']}-perf.json").write_text(json.dumps([entry]), encoding="utf-8")
    _say_waiver(result, o.waiver)
    return result


def _labels(**values: str) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _plain(
    key: str, name: str, status: str, message: str, labels: list[dict[str, str]], start: int
) -> dict[str, Any]:
    stable = str(uuid.uuid5(_SPACE, key))
    return {
        "uuid": stable,
        "historyId": stable,
        "testCaseId": stable,
        "fullName": key,
        "name": name,
        "status": status,
        "stage": "finished",
        "statusDetails": {} if status == "passed" else {"message": message},
        "labels": labels,
        "links": [],
        "parameters": [],
        "steps": [],
        "attachments": [],
        "start": start,
        "stop": start,
    }


def _result(folder: Path, result: dict[str, Any]) -> Path:
    path = folder / f"assay-{result['uuid']}-result.json"
    path.write_text(json.dumps(result, ensure_ascii=False), encoding="utf-8")
    return path


def _environment(folder: Path, verdict: RunVerdict) -> Path:
    values = {
        "Verdict": verdict.headline,
        "Plan": verdict.plan,
        "Target": verdict.target.get("name", "unknown"),
        "Target kind": verdict.target.get("kind", "unknown"),
        "Commit": verdict.commit,
        "Run": verdict.run,
        "Assay": verdict.assay_version,
        "Host": verdict.host,
        **{s.title: f"{s.kind} {s.name}".strip() for s in verdict.services},
    }
    path = folder / "environment.properties"
    lines = [
        f"{key.replace(' ', '_')}={str(value).splitlines()[0] if value else ''}"
        for key, value in values.items()
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "executor.json").write_text(
        json.dumps(
            {"name": "Assay", "type": "assay", "buildName": verdict.run, "reportName": verdict.headline}
        ),
        encoding="utf-8",
    )
    categories = [
        {"name": "Missed", "matchedStatuses": ["failed"]},
        {"name": "Broken", "matchedStatuses": ["broken"]},
        {"name": "Unknown", "matchedStatuses": ["unknown"]},
        {"name": "Not covered", "matchedStatuses": ["skipped"]},
    ]
    (folder / "categories.json").write_text(json.dumps(categories), encoding="utf-8")
    return path
