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
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from core.errors import ConfigError
from core.objective import Objective
from reports.model import LastDecided, ObjectiveResult, RunVerdict
from reports.regression import BASE, RECENT, change_point, compare
from reports.words import days, quantity

DEFAULT = Path(__file__).resolve().parent.parent / ".assay" / "history.sqlite"
TREND = 30
WARNING_PLANS = ("smoke",)
"""Plans in which a shift against history only warns: half a minute on a shared machine is no trend."""

_meta = sa.MetaData()
_runs = sa.Table(
    "assay_run",
    _meta,
    sa.Column("run", sa.String(80), primary_key=True),
    sa.Column("target", sa.String(80), nullable=False),
    sa.Column("plan", sa.String(40), nullable=False),
    sa.Column("vantage", sa.String(80), nullable=False),
    sa.Column("commit_sha", sa.String(64), nullable=False),
    sa.Column("started", sa.Float, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("exit", sa.Integer, nullable=False),
    sa.Column("checks", sa.LargeBinary, nullable=False),
    sa.Index("assay_run_when", "target", "plan", "vantage", "started"),
)
_values = sa.Table(
    "assay_value",
    _meta,
    sa.Column("run", sa.String(80), sa.ForeignKey("assay_run.run", ondelete="CASCADE"), primary_key=True),
    sa.Column("objective", sa.String(80), primary_key=True),
    sa.Column("profile", sa.String(80), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("decided", sa.Boolean, nullable=False),
    sa.Column("value", sa.Float),
    sa.Column("low", sa.Float),
    sa.Column("high", sa.Float),
    sa.Column("samples", sa.BigInteger, nullable=False),
    sa.Index("assay_value_objective", "objective", "profile", "run"),
)
_alerts = sa.Table(
    "assay_alert",
    _meta,
    sa.Column("scope", sa.String(200), primary_key=True),
    sa.Column("key", sa.String(200), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
)


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
                sa.event.listen(self._engine, "connect", _pragmas)
            _create(self._engine)
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
            "target": _target(verdict),
            "plan": verdict.plan,
            "vantage": verdict.vantage,
            "commit_sha": verdict.subject,
            "started": _epoch(verdict.started),
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
            db.execute(_upsert(self._engine, _runs, ["run"]), run)
            db.execute(_values.delete().where(_values.c.run == verdict.run))
            if values:
                db.execute(_values.insert(), values)

    def keep(self, days: float) -> int:
        """Forgets runs older than so many days; returns how many."""
        limit = dt.datetime.now(dt.UTC).timestamp() - days * 86_400
        with self._engine.begin() as db:
            old = sa.select(_runs.c.run).where(_runs.c.started < limit)
            db.execute(_values.delete().where(_values.c.run.in_(old)))
            return int(db.execute(_runs.delete().where(_runs.c.started < limit)).rowcount)

    def merge(self, other: History) -> int:
        """Takes over every run of another store that is not known here; returns how many."""
        known = {row["run"] for row in self.runs(limit=10**9)}
        taken = 0
        with other._engine.connect() as theirs, self._engine.begin() as ours:
            for row in theirs.execute(sa.select(_runs)).mappings():
                if row["run"] in known:
                    continue
                values = (
                    theirs.execute(sa.select(_values).where(_values.c.run == row["run"])).mappings().all()
                )
                ours.execute(_upsert(self._engine, _runs, ["run"]), dict(row))
                if values:
                    ours.execute(
                        _upsert(self._engine, _values, ["run", "objective"]), [dict(v) for v in values]
                    )
                taken += 1
        return taken

    def keep_alerts(self, scope: str, standing: dict[str, str]) -> None:
        """Replaces the alerts that stand in a scope."""
        with self._engine.begin() as db:
            db.execute(_alerts.delete().where(_alerts.c.scope == scope))
            if standing:
                rows = [{"scope": scope, "key": key, "state": state} for key, state in standing.items()]
                db.execute(_alerts.insert(), rows)

    # -- reading -------------------------------------------------------------------------------------------

    def scope(self, verdict: RunVerdict) -> str:
        """Within what alerts are told apart: one target and plan."""
        return f"{_target(verdict)}/{verdict.plan}"

    def alerts(self, scope: str) -> dict[str, str]:
        """Alerts that stand, by key."""
        with self._engine.connect() as db:
            query = sa.select(_alerts.c.key, _alerts.c.state).where(_alerts.c.scope == scope)
            return {row.key: row.state for row in db.execute(query)}

    def runs(
        self, target: str | None = None, plan: str | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Runs known, newest first."""
        query = sa.select(_runs).order_by(_runs.c.started.desc()).limit(limit)
        if target is not None:
            query = query.where(_runs.c.target == target)
        if plan is not None:
            query = query.where(_runs.c.plan == plan)
        with self._engine.connect() as db:
            return [{k: v for k, v in row._mapping.items() if k != "checks"} for row in db.execute(query)]

    def tell(self, verdict: RunVerdict, objectives: dict[str, Objective]) -> None:
        """Fills in what only earlier runs know: trend, regression, last decided values, what is new."""
        with self._engine.connect() as db:
            for result in verdict.objectives:
                self._tell_objective(db, verdict, result)
                if result.state == "not_in_plan":
                    self._tell_last(db, verdict, result, objectives.get(result.id))
            self._tell_checks(db, verdict)

    def _tell_objective(self, db: sa.Connection, verdict: RunVerdict, result: ObjectiveResult) -> None:
        query = (
            sa.select(
                _runs.c.run,
                _runs.c.commit_sha,
                _runs.c.started,
                _values.c.value,
                _values.c.state,
                _values.c.samples,
            )
            .join(_values, _values.c.run == _runs.c.run)
            .where(
                _runs.c.target == _target(verdict),
                _runs.c.plan == verdict.plan,
                _runs.c.vantage == verdict.vantage,
                _runs.c.run != verdict.run,
                _runs.c.started < _epoch(verdict.started),
                _values.c.objective == result.id,
                _values.c.profile == result.profile,
                _values.c.state != "broken",
                _values.c.value.is_not(None),
            )
            .order_by(_runs.c.started.desc())
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

    def _tell_last(
        self, db: sa.Connection, verdict: RunVerdict, result: ObjectiveResult, objective: Objective | None
    ) -> None:
        query = (
            sa.select(_runs.c.run, _runs.c.started, _values.c.value, _values.c.state)
            .join(_values, _values.c.run == _runs.c.run)
            .where(
                _runs.c.target == _target(verdict),
                _runs.c.run != verdict.run,
                _values.c.objective == result.id,
                _values.c.decided,
            )
            .order_by(_runs.c.started.desc())
            .limit(1)
        )
        row = db.execute(query).first()
        if row is None:
            result.reason = "not in this plan; no run has decided it yet"
            return
        age = max(0.0, (_epoch(verdict.started) - row.started) / 86_400)
        result.last = LastDecided(row.run, float(row.value), row.state, age)
        shown = f"last decided {days(age)}: {quantity(row.value, result.unit)} ({row.state})"
        result.reason = f"not in this plan; {shown}"
        if objective is not None and age > objective.stale_days:
            result.reason += f", older than the {objective.stale_days} days it counts for"
            if not verdict.embedded and result.blocks:
                result.state = "not_covered"

    def _tell_checks(self, db: sa.Connection, verdict: RunVerdict) -> None:
        query = (
            sa.select(_runs)
            .where(
                _runs.c.target == _target(verdict),
                _runs.c.plan == verdict.plan,
                _runs.c.run != verdict.run,
                _runs.c.started < _epoch(verdict.started),
            )
            .order_by(_runs.c.started.desc())
            .limit(1)
        )
        row = db.execute(query).first()
        if row is None:
            return
        before: dict[str, list[Any]] = json.loads(zlib.decompress(row.checks))
        now = {c.id: c for c in verdict.checks}
        for check in verdict.checks:
            check.new = (
                check.state not in ("met", "not_covered") and before.get(check.id, ["met"])[0] == "met"
            )
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
                if v[0] not in ("met", "not_covered") and i in now and now[i].state == "met"
            ],
            "added": sorted(now.keys() - before.keys()),
            "gone": sorted(before.keys() - now.keys()),
            "slower": sorted(slower, key=lambda s: s["before"] - s["seconds"])[:10],
        }

    def last_good(self, verdict: RunVerdict) -> dict[str, Any] | None:
        """The newest earlier run of this target and plan whose gate was open."""
        for row in self.runs(_target(verdict), verdict.plan, 1000):
            if row["exit"] == 0 and row["run"] != verdict.run and row["started"] < _epoch(verdict.started):
                return row
        return None


def _target(verdict: RunVerdict) -> str:
    return str(verdict.target.get("name") or verdict.target.get("kind") or "unknown")


def _epoch(moment: str | None) -> float:
    if not moment:
        return 0.0
    return dt.datetime.fromisoformat(moment).timestamp()


def _pragmas(connection: Any, _: object) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA busy_timeout=30000")
    connection.execute("PRAGMA foreign_keys=ON")


def _create(engine: sa.Engine) -> None:
    """Creates what is missing. Another writer may create a table between our look and our step: look again."""
    for _ in _meta.sorted_tables:
        try:
            _meta.create_all(engine)
            return
        except sa.exc.DBAPIError:
            continue
    _meta.create_all(engine)


def _upsert(engine: sa.Engine, table: sa.Table, keys: list[str]) -> Any:
    insert = postgres_insert(table) if engine.dialect.name == "postgresql" else sqlite_insert(table)
    changed = {c.name: insert.excluded[c.name] for c in table.columns if c.name not in keys}
    return insert.on_conflict_do_update(index_elements=keys, set_=changed)
