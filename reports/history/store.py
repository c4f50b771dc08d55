"""What earlier runs found: SQLite by default, PostgreSQL by URL for a team. Safe with several writers.

A value is comparable only within one target, plan, profile, objective and vantage (where the load came
from); everything here is keyed by them.
"""

from __future__ import annotations

import datetime as dt
import json
import zlib
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from core.errors import ConfigError
from core.objective import Objective
from reports.history import trends
from reports.history.outcomes import outcomes
from reports.history.schema import ALERTS, RUNS, VALUES, create, epoch, pragmas, target_of, upsert
from reports.judging.model import RunVerdict

DEFAULT = Path(__file__).resolve().parents[2] / ".assay" / "history.sqlite"


class History:
    """One store of earlier runs. `where` is a path (SQLite) or a database URL."""

    def __init__(self, where: Path | str = DEFAULT) -> None:
        url = str(where) if "://" in str(where) else f"sqlite:///{Path(where).resolve()}"
        if url.startswith("sqlite:///"):
            Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        elif url.startswith(("postgres://", "postgresql://")):
            url = "postgresql+psycopg://" + url.split("://", 1)[1]
        options: dict[str, Any] = {"connect_args": {"timeout": 30}} if url.startswith("sqlite") else {}
        try:
            self._engine = sa.create_engine(url, **options)
            if url.startswith("sqlite"):
                sa.event.listen(self._engine, "connect", pragmas)
            create(self._engine)
        except (sa.exc.SQLAlchemyError, OSError) as error:
            reason = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise ConfigError(f"the history cannot be opened ({reason}); check its path or URL.") from None

    def close(self) -> None:
        """Lets go of the database."""
        self._engine.dispose()

    # -- writing -------------------------------------------------------------------------------------------

    def record(self, verdict: RunVerdict) -> None:
        """Keeps a run's values; a run recorded before is replaced."""
        run = {
            "run": verdict.run,
            "target": target_of(verdict),
            "plan": verdict.plan,
            "vantage": verdict.vantage,
            "commit_sha": verdict.subject,
            "started": epoch(verdict.started),
            "state": verdict.state,
            "exit": verdict.exit,
            "checks": zlib.compress(
                json.dumps({c.id: [c.state, round(c.seconds, 3)] for c in verdict.checks}).encode()
            ),
        }
        values = [
            {
                "run": verdict.run,
                "objective": o.id,
                "profile": o.profile,
                "state": o.state,
                "decided": o.decides and o.state in ("met", "missed"),
                "value": o.value,
                "low": o.low,
                "high": o.high,
                "samples": o.samples,
            }
            for o in verdict.objectives
            if o.value is not None
        ]
        with self._engine.begin() as db:
            db.execute(upsert(self._engine, RUNS, ["run"]), run)
            db.execute(VALUES.delete().where(VALUES.c.run == verdict.run))
            if values:
                db.execute(VALUES.insert(), values)

    def prune(self, days: float) -> int:
        """Forgets runs older than so many days; returns how many."""
        limit = dt.datetime.now(dt.UTC).timestamp() - days * 86_400
        with self._engine.begin() as db:
            old = sa.select(RUNS.c.run).where(RUNS.c.started < limit)
            db.execute(VALUES.delete().where(VALUES.c.run.in_(old)))
            return int(db.execute(RUNS.delete().where(RUNS.c.started < limit)).rowcount)

    def merge(self, other: History) -> int:
        """Takes over every run of another store that is not known here; returns how many."""
        known = {row["run"] for row in self.runs(limit=10**9)}
        taken = 0
        with other._engine.connect() as theirs, self._engine.begin() as ours:
            for row in theirs.execute(sa.select(RUNS)).mappings():
                if row["run"] in known:
                    continue
                values = theirs.execute(sa.select(VALUES).where(VALUES.c.run == row["run"])).mappings().all()
                ours.execute(upsert(self._engine, RUNS, ["run"]), dict(row))
                if values:
                    ours.execute(
                        upsert(self._engine, VALUES, ["run", "objective"]), [dict(v) for v in values]
                    )
                taken += 1
        return taken

    def store_alerts(self, scope: str, standing: dict[str, str]) -> None:
        """Replaces the alerts that stand in a scope."""
        with self._engine.begin() as db:
            db.execute(ALERTS.delete().where(ALERTS.c.scope == scope))
            if standing:
                rows = [{"scope": scope, "key": key, "state": state} for key, state in standing.items()]
                db.execute(ALERTS.insert(), rows)

    # -- reading -------------------------------------------------------------------------------------------

    def scope(self, verdict: RunVerdict) -> str:
        """Within what alerts are told apart: one target and plan."""
        return f"{target_of(verdict)}/{verdict.plan}"

    def alerts(self, scope: str) -> dict[str, str]:
        """Alerts that stand, by key."""
        with self._engine.connect() as db:
            query = sa.select(ALERTS.c.key, ALERTS.c.state).where(ALERTS.c.scope == scope)
            return {row.key: row.state for row in db.execute(query)}

    def runs(
        self, target: str | None = None, plan: str | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Runs known, newest first."""
        query = sa.select(RUNS).order_by(RUNS.c.started.desc()).limit(limit)
        if target is not None:
            query = query.where(RUNS.c.target == target)
        if plan is not None:
            query = query.where(RUNS.c.plan == plan)
        with self._engine.connect() as db:
            return [{k: v for k, v in row._mapping.items() if k != "checks"} for row in db.execute(query)]

    def trend(self, target: str, plan: str, limit: int) -> list[dict[str, Any]]:
        """The newest runs of a target and plan, oldest first, each with its checks' states and seconds."""
        query = sa.select(RUNS).where(RUNS.c.target == target, RUNS.c.plan == plan)
        with self._engine.connect() as db:
            rows = [
                dict(r) for r in db.execute(query.order_by(RUNS.c.started.desc()).limit(limit)).mappings()
            ]
        return [{**row, "checks": outcomes(row["checks"])} for row in rows[::-1]]

    def values(self, target: str, plan: str, limit: int) -> list[dict[str, Any]]:
        """What the newest runs of a target and plan measured, oldest first: objective, value, state."""
        newest = (
            sa.select(RUNS.c.run)
            .where(RUNS.c.target == target, RUNS.c.plan == plan)
            .order_by(RUNS.c.started.desc())
            .limit(limit)
        )
        query = (
            sa.select(VALUES.c.objective, VALUES.c.value, VALUES.c.state)
            .join(RUNS, RUNS.c.run == VALUES.c.run)
            .where(RUNS.c.run.in_(newest), VALUES.c.value.is_not(None))
            .order_by(RUNS.c.started)
        )
        with self._engine.connect() as db:
            return [dict(row) for row in db.execute(query).mappings()]

    def annotate(self, verdict: RunVerdict, objectives: dict[str, Objective]) -> None:
        """Fills in what only earlier runs know: trend, regression, last decided values, what is new."""
        with self._engine.connect() as db:
            trends.annotate(db, verdict, objectives)

    def last_good(self, verdict: RunVerdict) -> dict[str, Any] | None:
        """The newest earlier run of this target and plan whose gate was open."""
        for row in self.runs(target_of(verdict), verdict.plan, 1000):
            if row["exit"] == 0 and row["run"] != verdict.run and row["started"] < epoch(verdict.started):
                return row
        return None
