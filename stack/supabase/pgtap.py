"""Runs a repository's pgTAP tests as `supabase test db` does: `python -m stack.supabase.pgtap`, told by JSON on its input.

Each file is a transaction of its own that is rolled back, run as role `postgres` with pgTAP in the schema `extensions`
(Supabase documentation, "Testing your database"). What the tests print, TAP, goes to one file each.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
from pydantic import BaseModel, ConfigDict

from stack.postgres.hosted import needs
from stack.supabase.statements import Statement, split

SUFFIXES = (".sql", ".pg")
"""What `supabase test db` takes for tests."""
PATIENCE = "60s"
"""For one statement."""
BEGINS = re.compile(r"(?:begin|start\s+transaction)\b(?!\s+atomic)", re.I)
COMMITS = re.compile(r"(?:commit|end)\s*(?:work|transaction)?\s*;?\s*$", re.I)
ROLLS_BACK = re.compile(r"(?:rollback|abort)\s*(?:work|transaction)?\s*;?\s*$", re.I)
META = re.compile(r"^\\(\w+)[ \t]*([^\n]*)$", re.M)
SAYS_NOTHING = frozenset({"set", "unset", "pset", "timing", "echo", "qecho", "x", "t", "a"})
"""psql's commands about how it shows and stops, which change nothing of what is tested."""


class Asked(BaseModel):
    """What is run: the folder of the tests, the database as role `postgres`, the folder that the results go into."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dsn: str
    tests: Path
    into: Path
    skip_extensions: frozenset[str] = frozenset()


class Unreadable(Exception):
    """A test file holds what is not understood here; the message is one sentence."""


def main() -> int:
    """Run every file; print how many there are and, where pgTAP is not to be had, why nothing ran."""
    asked = Asked.model_validate_json(sys.stdin.read())
    files = [p for p in sorted(asked.tests.rglob("*")) if p.suffix in SUFFIXES and p.is_file()]
    with psycopg.connect(asked.dsn, autocommit=True) as db:
        major = str(db.info.server_version // 10000)
        there = db.execute("select 1 from pg_extension where extname = 'pgtap'").fetchone()
        lacking = ""
        if not there:
            try:
                db.execute("create extension pgtap with schema extensions")
            except psycopg.Error:
                lacking = f"The extension pgtap is not there: {needs('pgtap', major)}."
        try:
            for file in files if not lacking else ():
                name = ".".join(file.relative_to(asked.tests).with_suffix("").parts).removesuffix(".test")
                (asked.into / f"{name}.tap").write_text("\n".join([*_lines(asked, file, major), ""]))
        finally:
            if not (there or lacking):
                db.execute("drop extension pgtap cascade")
    print(json.dumps({"files": len(files), "lacking": lacking}))
    return 0


def _lines(asked: Asked, file: Path, major: str) -> Iterator[str]:
    """What one file prints; a statement that fails ends it, as psql does with ON_ERROR_STOP."""
    try:
        statements = list(split(_script(file)))
    except (Unreadable, OSError, UnicodeDecodeError) as error:
        yield f"Bail out! {file.name}: {error}"
        return
    with psycopg.connect(asked.dsn, autocommit=True) as db:
        db.execute(f"set statement_timeout = '{PATIENCE}'".encode())
        db.execute("begin")
        for statement in statements:
            if BEGINS.match(statement.text) or COMMITS.match(statement.text):
                continue
            if statement.extension in asked.skip_extensions:
                continue
            try:
                yield from _run(db, statement)
            except psycopg.Error as error:
                why = " ".join(str(error.diag.message_primary or error).split())
                if statement.extension and error.diag.sqlstate in ("0A000", "58P01", "22023"):
                    needed = needs(statement.extension, major)
                    yield f"1..0 # SKIP the extension {statement.extension} is not there: {needed}"
                else:
                    yield f"Bail out! {file.name}, line {statement.line}: {why}"
                break
        db.execute("rollback")


def _run(db: psycopg.Connection, statement: Statement) -> Iterator[str]:
    """The rows of a statement as psql prints them unaligned."""
    if ROLLS_BACK.match(statement.text):
        db.execute("rollback")
        db.execute("begin")
        return
    done = db.execute(statement.text.encode())
    while True:
        if done.description:
            for row in done.fetchall():
                yield from "|".join("" if value is None else str(value) for value in row).split("\n")
        if not done.nextset():
            return


def _script(file: Path, depth: int = 0) -> str:
    """A file's text without psql's own commands, and with what it includes. Raises Unreadable."""

    def replaced(found: re.Match[str]) -> str:
        word, rest = found[1], found[2].strip()
        if word in ("i", "ir", "include", "include_relative") and depth < 5:
            included = (file.parent if "r" in word else Path()) / rest.strip("'\"")
            if not included.is_file():
                raise Unreadable(f"\\{word} {rest}: there is no such file")
            return _script(included, depth + 1)
        if word not in SAYS_NOTHING:
            raise Unreadable(f"psql's \\{word} is not understood here")
        return ""

    return META.sub(replaced, file.read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main())
