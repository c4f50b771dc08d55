"""The history's tables, for SQLite and PostgreSQL alike."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from reports.judging.model import RunVerdict

META = sa.MetaData()
RUNS = sa.Table(
    "assay_run",
    META,
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
VALUES = sa.Table(
    "assay_value",
    META,
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
ALERTS = sa.Table(
    "assay_alert",
    META,
    sa.Column("scope", sa.String(200), primary_key=True),
    sa.Column("key", sa.String(200), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
)


def target_of(verdict: RunVerdict) -> str:
    """The name under which a target's runs are compared."""
    return str(verdict.target.get("name") or verdict.target.get("kind") or "unknown")


def epoch(moment: str | None) -> float:
    """ISO 8601 as seconds since 1970; 0 for nothing."""
    if not moment:
        return 0.0
    return dt.datetime.fromisoformat(moment).timestamp()


def pragmas(connection: Any, _: object) -> None:
    """What each SQLite connection needs, so that writers wait for each other."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA busy_timeout=30000")
    connection.execute("PRAGMA foreign_keys=ON")


def create(engine: sa.Engine) -> None:
    """Creates what is missing. Another writer may create a table between our look and our step: look again."""
    for _ in META.sorted_tables:
        try:
            META.create_all(engine)
            return
        except sa.exc.DBAPIError:
            continue
    META.create_all(engine)


def upsert(engine: sa.Engine, table: sa.Table, keys: list[str]) -> Any:
    """An INSERT that replaces the row with the same keys, in the engine's own dialect."""
    insert = postgres_insert(table) if engine.dialect.name == "postgresql" else sqlite_insert(table)
    changed = {c.name: insert.excluded[c.name] for c in table.columns if c.name not in keys}
    return insert.on_conflict_do_update(index_elements=keys, set_=changed)
