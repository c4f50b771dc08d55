"""What only earlier runs know of this one: trend, regression, last decided values, what is new."""

from __future__ import annotations

import sqlalchemy as sa

from core.objective import Objective
from core.outcome import DID_NOT_RUN
from reports.history.outcomes import outcomes, tell_outcomes
from reports.history.regression import BASE, RECENT, change_point, compare
from reports.history.schema import RUNS, VALUES, epoch, target_of
from reports.judging.coverage import vanished
from reports.judging.model import LastDecided, ObjectiveResult, RunVerdict
from reports.rendering.formatting import days, quantity

TREND = 30
WARNING_PLANS = ("smoke",)
"""Plans in which a shift against history only warns: half a minute on a shared machine is no trend."""


def annotate(db: sa.Connection, verdict: RunVerdict, objectives: dict[str, Objective]) -> None:
    """Sets trend, regression, last decided value and what is new on the verdict, from earlier runs."""
    for result in verdict.objectives:
        _annotate_objective(db, verdict, result)
        if result.state == "not_in_plan":
            _annotate_last_decided(db, verdict, result, objectives.get(result.id))
    _annotate_checks(db, verdict)


def _annotate_objective(db: sa.Connection, verdict: RunVerdict, result: ObjectiveResult) -> None:
    query = (
        sa.select(
            RUNS.c.run,
            RUNS.c.commit_sha,
            RUNS.c.started,
            VALUES.c.value,
            VALUES.c.state,
            VALUES.c.samples,
        )
        .join(VALUES, VALUES.c.run == RUNS.c.run)
        .where(
            RUNS.c.target == target_of(verdict),
            RUNS.c.plan == verdict.plan,
            RUNS.c.vantage == verdict.vantage,
            RUNS.c.run != verdict.run,
            RUNS.c.started < epoch(verdict.started),
            VALUES.c.objective == result.id,
            VALUES.c.profile == result.profile,
            VALUES.c.state != "broken",
            VALUES.c.value.is_not(None),
        )
        .order_by(RUNS.c.started.desc())
        .limit(BASE + RECENT + 30)
    )
    rows = list(db.execute(query))[::-1]
    result.trend = [
        {"run": r.run, "commit": r.commit_sha, "at": r.started, "value": r.value, "state": r.state}
        for r in rows[-TREND:]
    ]
    comparable = (
        result.percentile is not None and result.state != "broken" and result.samples >= result.wanted
    )
    if not comparable or result.value is None:
        return
    past = [float(r.value) for r in rows]
    result.regression = compare(past, result.value, worse_is_higher=result.direction == "below")
    result.regression.blocks = result.regression.state == "shift" and verdict.plan not in WARNING_PLANS
    if result.regression.state in ("shift", "better"):
        window = [*rows[-(BASE + RECENT) :]]
        positive = [max(float(r.value), 1e-12) for r in window]
        at = change_point([*positive, result.value])
        first = window[at].commit_sha if at < len(window) else verdict.subject
        result.regression.since = window[at].run if at < len(window) else verdict.run
        result.regression.commits = f"{window[at - 1].commit_sha}..{first}"


def _annotate_last_decided(
    db: sa.Connection, verdict: RunVerdict, result: ObjectiveResult, objective: Objective | None
) -> None:
    query = (
        sa.select(RUNS.c.run, RUNS.c.started, VALUES.c.value, VALUES.c.state)
        .join(VALUES, VALUES.c.run == RUNS.c.run)
        .where(
            RUNS.c.target == target_of(verdict),
            RUNS.c.run != verdict.run,
            VALUES.c.objective == result.id,
            VALUES.c.decided,
        )
        .order_by(RUNS.c.started.desc())
        .limit(1)
    )
    row = db.execute(query).first()
    if row is None:
        result.reason = "not in this plan; no run has decided it yet"
        return
    age = max(0.0, (epoch(verdict.started) - row.started) / 86_400)
    result.last = LastDecided(row.run, float(row.value), row.state, age)
    shown = f"last decided {days(age)}: {quantity(row.value, result.unit)} ({row.state})"
    result.reason = f"not in this plan; {shown}"
    if objective is not None and age > objective.stale_days:
        result.reason += f", older than the {objective.stale_days} days it counts for"
        if not verdict.embedded and result.blocks:
            result.state = "not_covered"


def _annotate_checks(db: sa.Connection, verdict: RunVerdict) -> None:
    query = (
        sa.select(RUNS)
        .where(
            RUNS.c.target == target_of(verdict),
            RUNS.c.plan == verdict.plan,
            RUNS.c.run != verdict.run,
            RUNS.c.started < epoch(verdict.started),
        )
        .order_by(RUNS.c.started.desc())
        .limit(TREND)
    )
    rows = list(db.execute(query))
    if not rows:
        return
    tell_outcomes(verdict, [(r.run, r.commit_sha, outcomes(r.checks)) for r in rows[::-1]])
    row, before = rows[0], outcomes(rows[0].checks)
    now = {c.id: c for c in verdict.checks}
    states = {identifier: str(values[0]) for identifier, values in before.items()}
    verdict.coverage.vanished = vanished(verdict.coverage, verdict.checks, states)
    for check in verdict.checks:
        check.new = check.state not in ("met", *DID_NOT_RUN) and before.get(check.id, ["met"])[0] == "met"
    slower = [
        {"check": c.id, "seconds": c.seconds, "before": before[c.id][1]}
        for c in verdict.checks
        if c.id in before and before[c.id][1] > 0.5 and c.seconds > 1.5 * before[c.id][1] + 0.5
    ]
    verdict.since_last = {
        "run": row.run,
        "state": row.state,
        "commit": row.commit_sha,
        "started": row.started,
        "commits": f"{row.commit_sha}..{verdict.subject}",
        "newly_failing": [c.id for c in verdict.checks if c.new],
        "recovered": [
            i
            for i, v in before.items()
            if v[0] not in ("met", *DID_NOT_RUN) and i in now and now[i].state == "met"
        ],
        "added": sorted(now.keys() - before.keys()),
        "gone": sorted(before.keys() - now.keys()),
        "no_longer_covered": [
            i
            for i, v in before.items()
            if v[0] not in DID_NOT_RUN and i in now and now[i].state in DID_NOT_RUN
        ],
        "slower": sorted(slower, key=lambda s: s["before"] - s["seconds"])[:10],
    }
