"""From a run's record to the verdict of each check, service, load and requirement."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import RootModel

from core.config import load_toml
from core.events import CheckFinished, DeclaredCheck
from core.outcome import DID_NOT_RUN, NOT_APPLICABLE, NOT_COVERED, LoadOutcome
from core.passport import Passport
from reports.judging.invalidation import user_failures
from reports.judging.model import (
    CheckResult,
    ObjectiveResult,
    ProfileResult,
    RequirementResult,
    ServiceResult,
)
from reports.judging.overrides import REQUIREMENTS
from reports.judging.run_record import CheckRecord, RunRecord
from reports.judging.verdict_table import NOT_IN_PLAN, worst

_ENDINGS = {LoadOutcome.COMPLETED: "met", LoadOutcome.STOPPED: "unknown", LoadOutcome.BROKEN: "broken"}
LOAD = "P6.2"
"""The requirement that loads speak of: every objective that one of them decides."""

FACTS = ("threat", "references", "fix")
"""Fields of a passport that the check's page shows under their names, and the security page too."""

Requirements = RootModel[dict[str, dict[str, str]]]
"""requirements.toml: a table for each group, in it the title of each requirement by its identifier."""


def judge_checks(run: RunRecord) -> list[CheckResult]:
    """Every check that was collected, ran, or had to run; in the order of their identifiers."""
    required = set(run.manifest.checks)
    for identifier in required:
        run.check(identifier)
    return [_check(run.checks[i], i in required) for i in sorted(run.checks)]


def _check(record: CheckRecord, required: bool) -> CheckResult:
    passport = record.passport
    last = max(record.finished, key=lambda finished: finished.attempt, default=None)
    state, message = _outcome(record, last, required)
    result = CheckResult(
        id=record.id,
        state=state,
        title=record.id,
        required=required,
        message=message,
        attempts=len(record.finished),
        witnesses=[
            {"service": w.service, "channel": w.channel, "fact": w.fact, "at": _since(record, at)}
            for at, w in record.witnesses
        ],
        attachments=[
            {"name": a.name, "path": a.path, "media_type": a.media_type} for a in record.attachments
        ],
        exchanges=_exchanges(record, last),
        steps=[{"name": step.name, "at": _since(record, at)} for at, step in record.steps],
        tries=[
            {"attempt": f.attempt, "state": str(f.outcome), "message": f.message, "seconds": f.seconds}
            for f in sorted(record.finished, key=lambda f: f.attempt)
        ],
        started=record.started,
    )
    if passport is not None:
        result.title, result.owner, result.service = passport.title, passport.owner, passport.service
        result.requirement, result.gate = list(passport.requirement), passport.gate
        result.needs, result.imported = list(passport.needs), passport.imported
        result.title += " (imported, no witness)" if passport.imported else ""
        result.description = passport.description
        result.facts = _facts(passport)
    if last is not None:
        result.expected, result.saw, result.seconds = last.expected, last.saw, last.seconds
        result.service = last.service or result.service
    return result


NOT_COLLECTED = "the plan requires it, and it was not collected"


def _exchanges(record: CheckRecord, last: CheckFinished | None) -> list[dict[str, Any]]:
    """What the last attempt asked, and what came back."""
    return [
        {
            "service": e.service,
            "asked": e.asked,
            "answer": e.answer,
            "times": e.times,
            "at": _since(record, at),
        }
        for at, e in record.exchanges
        if last is None or e.attempt == last.attempt
    ]


def _since(record: CheckRecord, at: float) -> float | None:
    """Seconds since the check began."""
    return None if record.started is None else round(max(0.0, at - record.started), 3)


def _facts(passport: Passport) -> dict[str, str]:
    """What a passport says beyond the common: each of FACTS that it has, as text."""
    found = {name: getattr(passport, name, "") for name in FACTS}
    return {name: ", ".join(v) if isinstance(v, tuple) else str(v) for name, v in found.items() if v}


def _outcome(record: CheckRecord, last: CheckFinished | None, required: bool) -> tuple[str, str]:
    if last is not None:
        died = f"{', '.join(last.fallen)} died during the run; " if last.fallen else ""
        return str(last.outcome), f"{died}{last.message}"
    if record.started is not None:
        return "broken", "it was started and never ended: its process died or was stopped"
    if record.passport:
        return NOT_COVERED, "it was collected and never started"
    return NOT_COVERED, NOT_COLLECTED if required else "it did not run"


def judge_services(
    run: RunRecord, checks: list[CheckResult], objectives: Sequence[ObjectiveResult]
) -> list[ServiceResult]:
    """Every service that the run is about, with who answered for it and the worst of its checks.

    A run that only loads, or that tries selected checks, is not about services that nothing asked: they are left out. Of a
    run that tried nothing at all, all stay.
    """
    found: dict[str, ServiceResult] = {}
    for identifier, described in (run.target.services if run.target else {}).items():
        found[identifier] = ServiceResult(
            id=identifier,
            title=described.title,
            kind=described.kind,
            name=described.name if described.covered else "declared absent",
            hosts=list(described.hosts),
            state=NOT_COVERED if described.covered else NOT_APPLICABLE,
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
        elif set(service.counts) == {NOT_APPLICABLE}:
            service.state = NOT_APPLICABLE
    asked = [service for service in found.values() if service.state not in DID_NOT_RUN]
    selected = any(c.state == NOT_COVERED and c.message == NOT_COLLECTED for c in checks) or not checks
    for service in found.values():
        measured = [o.state for o in objectives if o.service == service.id and o.samples and o.decides]
        if service not in asked and measured:
            service.state = worst(measured)
            asked.append(service)
    return [s for s in found.values() if s in asked] if selected and asked else list(found.values())


def judge_profiles(run: RunRecord) -> list[ProfileResult]:
    """Every load that the plan requires or that ran."""
    required = {load.name: load for load in run.manifest.profiles}
    results = []
    for name in sorted(required.keys() | run.loads.keys()):
        load = run.loads.get(name)
        result = ProfileResult(name, name in required, NOT_COVERED, "did not run")
        if left := run.left.get(name):
            result.state = NOT_COVERED if left.applicable else NOT_APPLICABLE
            result.reason = left.why
        if load is not None and load.started is not None:
            result.started = load.started / 1e9
            result.users = load.start.users if load.start else None
            if load.end is None or load.finished is None:
                result.state, result.reason = "broken", "was started and did not finish"
            else:
                result.seconds = (load.finished - load.started) / 1e9
                result.state = _ENDINGS[load.end.outcome]
                result.reason = f"{load.end.outcome}: {load.end.reason}" if result.state != "met" else ""
            if load.failures:
                result.state, result.reason = "broken", f"failed itself: {user_failures(load)}"
            elif load.lost and result.state != "broken":
                result.state, result.reason = "broken", f"lost its worker {load.lost[0].worker}"
        results.append(result)
    return results


def judge_requirements(
    checks: list[CheckResult],
    objectives: list[ObjectiveResult],
    declared: Sequence[DeclaredCheck] = (),
    requirements: Path | None = None,
) -> list[RequirementResult]:
    """The coverage matrix: each requirement with the checks and objectives that speak of it.

    `declared` are all checks that there are: a requirement of which only some ran is unknown, not met.
    `requirements` is a project's own list; without one the shipped list counts. Raises ConfigError.
    """
    rows = []
    for group, entries in load_toml(requirements or REQUIREMENTS, Requirements).root.items():
        for identifier, title in entries.items():
            about = [c for c in checks if identifier in c.requirement]
            ran = [c for c in about if c.state not in DID_NOT_RUN]
            silent_ids = {c.id for c in about if c.state == NOT_APPLICABLE}
            all_ids = {c.id for c in about} | {d.id for d in declared if identifier in d.requirement}
            numbers = [o for o in objectives if identifier in (o.requirement, o.id)]
            if identifier == LOAD:
                numbers = [o for o in objectives if o.decides and o.profile != "checks"]
            states = [c.state for c in ran]
            states += [o.state for o in numbers if o.state not in (NOT_IN_PLAN, *DID_NOT_RUN)]
            silent = (
                NOT_APPLICABLE if about and all(c.state == NOT_APPLICABLE for c in about) else NOT_COVERED
            )
            state = worst(states) if states else silent
            if state == "met" and len(ran) < len(all_ids - silent_ids):
                state = "unknown"  # what was tried holds, and some of it was not tried
            tried = all_ids if silent == NOT_APPLICABLE else all_ids - silent_ids
            rows.append(
                RequirementResult(
                    identifier, title, group, state, sorted(tried), [o.id for o in numbers], len(ran)
                )
            )
    return rows
