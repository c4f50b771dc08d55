"""From a run's record to the verdict of each check, service, load and requirement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import RootModel

from core.config import load_toml
from core.outcome import DID_NOT_RUN, NOT_APPLICABLE, NOT_COVERED, Verdict
from reports.judging.model import (
    CheckResult,
    ObjectiveResult,
    ProfileResult,
    RequirementResult,
    ServiceResult,
)
from reports.judging.run_record import CheckRecord, RunRecord
from reports.judging.verdict_table import NOT_IN_PLAN, worst

_VERDICTS = {*map(str, Verdict), *DID_NOT_RUN}
_ENDINGS = {"broken": "broken", "interrupted": "broken", "failed": "broken", "stopped": "unknown"}
LOAD = "P6.2"
"""The requirement that loads speak of: every objective that one of them decides."""
REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements.toml"


Requirements = RootModel[dict[str, dict[str, str]]]
"""requirements.toml: a table for each group, in it the title of each requirement by its identifier."""


def judge_checks(run: RunRecord) -> list[CheckResult]:
    """Every check that was collected, ran, or had to run; in the order of their identifiers."""
    required = set(run.manifest.get("checks", []))
    for identifier in required:
        run.check(identifier)
    return [_check(run.checks[i], i in required) for i in sorted(run.checks)]


def _check(record: CheckRecord, required: bool) -> CheckResult:
    passport = record.passport
    last = max(record.finished, key=lambda e: (e.get("attempt") or 1, e.get("t") or 0), default=None)
    state, message = _outcome(record, last, required)
    last = last or {}
    return CheckResult(
        id=record.id,
        state=state,
        title=str(passport.get("title") or record.id),
        owner=str(passport.get("owner") or "platform"),
        requirement=[str(r) for r in passport.get("requirement") or []],
        service=str(last.get("service") or passport.get("service") or ""),
        needs=[str(n) for n in passport.get("needs") or []],
        gate=bool(passport.get("gate", True)),
        required=required,
        message=message,
        expected=_text(last.get("expected")),
        saw=_text(last.get("saw")),
        seconds=float(last.get("seconds") or 0.0),
        attempts=len(record.finished),
        evidence=[str(e) for e in last.get("evidence") or []],
        witnesses=record.witnesses,
        attachments=record.attachments,
        steps=record.steps,
        started=record.started,
    )


def _outcome(record: CheckRecord, last: dict[str, Any] | None, required: bool) -> tuple[str, str]:
    if last is not None:
        outcome = str(last.get("outcome"))
        if outcome not in _VERDICTS:
            return "broken", f"its outcome '{outcome}' is not known"
        return outcome, str(last.get("message") or "")
    if record.started is not None:
        return "broken", "it was started and never ended: its process died or was stopped"
    if record.passport:
        return NOT_COVERED, "it was collected and never started"
    return NOT_COVERED, "the plan requires it, and it was not collected" if required else "it did not run"


def _text(value: object) -> str:
    return "" if value is None else str(value)


def judge_services(run: RunRecord, checks: list[CheckResult]) -> list[ServiceResult]:
    """Every service of the target, with who answered for it and the worst of its checks."""
    found: dict[str, ServiceResult] = {}
    for identifier, s in (run.target.get("services") or {}).items():
        found[identifier] = ServiceResult(
            id=identifier,
            title=str(s.get("title") or identifier),
            kind=str(s.get("kind") or ""),
            name=str(s.get("name") or ""),
            hosts=[str(h) for h in s.get("hosts") or ([s["url_host"]] if s.get("url_host") else [])],
            state="absent" if s.get("covered") is False else NOT_COVERED,
        )
    for check in checks:
        if not check.service:
            continue
        service = found.setdefault(check.service, ServiceResult(check.service, check.service, "", ""))
        service.checks += 1
        service.counts[check.state] = service.counts.get(check.state, 0) + 1
        service.witnesses += len(check.witnesses)
    for service in found.values():
        ran = [s for s in service.counts if s not in DID_NOT_RUN]
        if ran:
            service.state = worst(ran)
        elif service.state == "absent" or set(service.counts) == {NOT_APPLICABLE}:
            service.state = NOT_APPLICABLE
    return list(found.values())


def judge_profiles(run: RunRecord) -> list[ProfileResult]:
    """Every load that the plan requires or that ran."""
    required = {p["name"]: p for p in run.manifest.get("profiles", [])}
    results = []
    for name in sorted(required.keys() | run.loads.keys()):
        load = run.loads.get(name)
        result = ProfileResult(name, name in required, NOT_COVERED, "did not run")
        if load is not None and load.started is not None:
            result.started = load.started / 1e9
            users = load.fields.get("users") or (required.get(name) or {}).get("users")
            result.users = int(users) if users else None
            if load.finished is None:
                result.state, result.reason = "broken", "was started and did not finish"
            else:
                result.seconds = (load.finished - load.started) / 1e9
                result.state = _ENDINGS.get(load.outcome, "met")
                result.reason = f"{load.outcome}: {load.reason}" if result.state != "met" else ""
        results.append(result)
    return results


def judge_requirements(
    checks: list[CheckResult], objectives: list[ObjectiveResult], requirements: Path | None = None
) -> list[RequirementResult]:
    """The coverage matrix: each requirement with the checks and objectives that speak of it.

    `requirements` is a project's own list; without one the shipped list counts. Raises ConfigError.
    """
    rows = []
    for group, entries in load_toml(requirements or REQUIREMENTS, Requirements).root.items():
        for identifier, title in entries.items():
            about = [c for c in checks if identifier in c.requirement]
            numbers = [o for o in objectives if identifier in (o.requirement, o.id)]
            if identifier == LOAD:
                numbers = [o for o in objectives if o.decides and o.profile != "checks"]
            states = [c.state for c in about if c.state not in DID_NOT_RUN]
            states += [o.state for o in numbers if o.state not in (NOT_IN_PLAN, *DID_NOT_RUN)]
            silent = (
                NOT_APPLICABLE if about and all(c.state == NOT_APPLICABLE for c in about) else NOT_COVERED
            )
            rows.append(
                RequirementResult(
                    identifier,
                    title,
                    group,
                    worst(states) if states else silent,
                    [c.id for c in about],
                    [o.id for o in numbers],
                )
            )
    return rows
