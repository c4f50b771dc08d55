"""Prepare a database: what a fresh hosted project already contains, then a project's own migrations and seeds."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import psycopg
from psycopg import sql

from stack.postgres.hosted import needs
from stack.supabase.project import Project
from stack.supabase.statements import Statement, split

BOOTSTRAP = Path(__file__).parent / "bootstrap"
LEDGER = (
    "create schema if not exists supabase_migrations; create table if not exists "
    "supabase_migrations.schema_migrations (version text primary key, statements text[], name text); "
    "create table if not exists supabase_migrations.seed_files (path text primary key, hash text not null)"
)
# Until 2026-10-30 what `postgres` made in `public` was open to the API's roles (Supabase changelog, April 28, 2026).
DEFAULT_GRANTS = "".join(
    f"alter default privileges for role postgres in schema public grant all on {kind} to anon, authenticated, service_role;"
    for kind in ("tables", "sequences", "functions")
)
OWN_SETTINGS = (
    "select split_part(s.one, '=', 1), substr(s.one, strpos(s.one, '=') + 1) from pg_db_role_setting d, "
    "unnest(d.setconfig) s(one) where d.setrole = 'postgres'::regrole and d.setdatabase = 0"
)
SEEDED = "insert into supabase_migrations.seed_files values (%s, %s) on conflict (path) do update set hash = excluded.hash"
HOSTED_MAJOR = 17
SHOWN = 300  # letters of a failed statement


class MigrationFailed(Exception):
    """A migration or seed was refused; the message names file and line, PostgreSQL's words and the statement."""


def provision(
    dsn_admin: str,
    migrations: Path | None = None,
    passwords: Mapping[str, str] | None = None,
    project: Project | None = None,
) -> list[str]:
    """Bootstrap the database if it is fresh, set ``passwords`` by role, apply the migrations and seeds not yet applied.

    ``dsn_admin`` must be a superuser's (``supabase_admin``). Each file is one transaction run as role ``postgres``, as
    ``supabase db push`` does; ``project`` says more than a folder of ``migrations`` alone. Returns the versions applied now.
    Raises MigrationFailed.
    """
    project = project or Project(migrations=migrations)
    with psycopg.connect(dsn_admin, autocommit=True) as db:
        if db.execute("select to_regclass('storage.objects')").fetchone() == (None,):
            for file in sorted(BOOTSTRAP.glob("*.sql")):
                db.execute(file.read_bytes())
            if project.default_grants:
                db.execute(DEFAULT_GRANTS.encode())
        for role, password in (passwords or {}).items():
            alter = sql.SQL("alter role {} password {}")
            db.execute(alter.format(sql.Identifier(role), sql.Literal(password)))
        if project.migrations is None and not project.seed:
            return []
        # `set session authorization` makes session_user `postgres` too: ownership and guards then act as on hosted.
        db.execute("set session authorization postgres")
        try:
            db.execute(LEDGER.encode())
            applied = _migrate(db, project)
            _seed(db, project)
        finally:
            db.execute("reset session authorization")
        project.make_buckets(db)
        return applied


def _migrate(db: psycopg.Connection, project: Project) -> list[str]:
    applied: list[str] = []
    known = db.execute("select version from supabase_migrations.schema_migrations").fetchall()
    done = {row[0] for row in known}
    here: dict[str, str] = {}
    for file in sorted(project.migrations.glob("*.sql")) if project.migrations else ():
        named = re.fullmatch(r"(\d+)_(.*)", file.stem)
        if named is None:  # as the CLI does
            print(f"{file.name} is passed over: a migration is named <digits>_<name>.sql", file=sys.stderr)
            continue
        version, name = named.groups()
        if other := here.get(version):
            twice = f"{file.name}: the version {version} is {other}'s already; rename one of the two"
            raise MigrationFailed(
                f"{twice}.\n  A hosted project would refuse it too (schema_migrations_pkey)."
            )
        here[version] = file.name
        if version not in done:
            statements = list(split(_text(file)))
            insert = "insert into supabase_migrations.schema_migrations values (%s, %s, %s)"
            _apply(
                db,
                file,
                statements,
                project.skip_extensions,
                insert,
                (version, [s.text for s in statements], name),
            )
            applied.append(version)
    return applied


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        byte = f"0x{error.object[error.start]:02x}"
        raise MigrationFailed(
            f"{file.name}: the byte {byte} at position {error.start} is no UTF-8 (is it UTF-16?); save it as UTF-8.\n"
            "  A hosted project would refuse it too (invalid byte sequence)."
        ) from error


def _seed(db: psycopg.Connection, project: Project) -> None:
    done: dict[str, str] = dict(
        db.execute("select path, hash from supabase_migrations.seed_files").fetchall()
    )
    for file in project.seed:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        if done.get(str(file)) != digest:
            _apply(db, file, split(_text(file)), project.skip_extensions, SEEDED, (str(file), digest))


def _apply(
    db: psycopg.Connection, file: Path, statements: Iterable[Statement], skipped: frozenset[str], record: str,
    values: tuple[object, ...],
) -> None:  # fmt: skip
    """Run a file in one transaction, its own BEGIN and COMMIT aside, with the settings that ``postgres`` logs in with."""
    db.execute("reset all")
    for name, value in db.execute(OWN_SETTINGS).fetchall():
        db.execute("select set_config(%s, %s, false)", (name, value))
    db.execute("begin")
    try:
        for statement in statements:
            if statement.extension in skipped:
                continue
            try:
                db.execute(statement.text.encode())
            except psycopg.Error as error:
                raise MigrationFailed(_failure(db, file, statement, error, skipped)) from error
        db.execute(record.encode(), values)
    except BaseException:
        if not db.closed:
            db.execute("rollback")
        raise
    db.execute("commit")


def _failure(
    db: psycopg.Connection, file: Path, statement: Statement, error: psycopg.Error, skipped: frozenset[str]
) -> str:
    position = int(error.diag.statement_position or 1) - 1
    line = statement.line + statement.text[:position].count("\n")
    lines = [f"{file.name}, line {line}: {error.diag.message_primary or error}"]
    lines += [f"  {part}" for part in (error.diag.message_detail, error.diag.message_hint) if part]
    shown = " ".join(statement.text.split())
    lines.append(f"  in: {shown[:SHOWN]}{'…' * (len(shown) > SHOWN)}")
    major = db.info.server_version // 10000
    if statement.extension and error.diag.sqlstate in ("0A000", "58P01", "22023"):
        lines.append(
            f"  The extension {statement.extension} is not there: {needs(statement.extension, str(major))}."
        )
    elif skipped:
        lines.append(f"  It may need what was skipped: {', '.join(sorted(skipped))}.")
    elif error.diag.sqlstate in ("42601", "42883", "42704") and major < HOSTED_MAJOR:
        lines.append(
            f"  This is PostgreSQL {major}; hosted projects run {HOSTED_MAJOR}, which may know more."
        )
    else:
        lines.append("  A hosted project would refuse it too.")
    return "\n".join(lines)
