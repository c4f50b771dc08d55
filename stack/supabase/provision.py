"""Prepare a database: what a fresh hosted project already contains, then the platform's own migrations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import sql

BOOTSTRAP = Path(__file__).parent / "bootstrap"
LEDGER = (
    "create schema if not exists supabase_migrations; create table if not exists "
    "supabase_migrations.schema_migrations (version text primary key, statements text[], name text)"
)


class MigrationFailed(Exception):
    """A migration was refused; the message names the file, PostgreSQL's words and the line."""


def provision(
    dsn_admin: str, migrations: Path | None = None, passwords: Mapping[str, str] | None = None
) -> list[str]:
    """Bootstrap the database if it is fresh, set ``passwords`` by role, apply the migrations not yet applied.

    ``dsn_admin`` must be a superuser's (``supabase_admin``). Each migration is one transaction run as role
    ``postgres``, as ``supabase db push`` does. Returns the versions applied now. Raises MigrationFailed.
    """
    with psycopg.connect(dsn_admin, autocommit=True) as db:
        if db.execute("select to_regclass('storage.objects')").fetchone() == (None,):
            for file in sorted(BOOTSTRAP.glob("*.sql")):
                _apply(db, file)
        for role, password in (passwords or {}).items():
            alter = sql.SQL("alter role {} password {}")
            db.execute(alter.format(sql.Identifier(role), sql.Literal(password)))
        return _migrate(db, migrations) if migrations else []


def _migrate(db: psycopg.Connection, folder: Path) -> list[str]:
    applied: list[str] = []
    # `set session authorization` makes session_user `postgres` too: ownership and guards then act as on hosted.
    db.execute("set session authorization postgres")
    try:
        db.execute(LEDGER)
        known = db.execute("select version from supabase_migrations.schema_migrations").fetchall()
        done = {row[0] for row in known}
        for file in sorted(folder.glob("*.sql")):
            named = re.fullmatch(r"(\d+)_(.*)", file.stem)
            if named is None:
                raise MigrationFailed(f"{file.name}: a migration is named <digits>_<name>.sql")
            version, name = named.groups()
            if version in done:
                continue
            with db.transaction():
                _apply(db, file)
                insert = "insert into supabase_migrations.schema_migrations values (%s, %s, %s)"
                db.execute(insert, (version, [file.read_text()], name))
            applied.append(version)
    finally:
        db.execute("reset session authorization")
    return applied


def _apply(db: psycopg.Connection, file: Path) -> None:
    text = file.read_text()
    try:
        with db.transaction():
            db.execute(text.encode())
    except psycopg.Error as error:
        position = error.diag.statement_position
        line = text[: int(position)].count("\n") + 1 if position else "?"
        raise MigrationFailed(f"{file.name}, line {line}: {error.diag.message_primary or error}") from error
