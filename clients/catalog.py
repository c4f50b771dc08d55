"""PostgreSQL's catalog as one reading: relations with all that belongs to them, functions, extensions, buckets."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from clients.sql import Sql

API_ROLES = ("anon", "authenticated")
MANAGED = frozenset(
    {
        "auth", "cron", "extensions", "graphql", "graphql_public", "information_schema", "net", "pgbouncer",
        "pgmq", "pgroonga", "pgsodium", "pgsodium_masks", "pgtle", "pg_catalog", "realtime", "repack", "storage",
        "supabase_functions", "supabase_migrations", "tiger", "topology", "vault", "_timescaledb_cache",
        "_timescaledb_catalog", "_timescaledb_config", "_timescaledb_internal"
    }
)  # fmt: skip
"""Schemas that Supabase or an extension keeps; what lies there is not the project's."""


_STATEMENTS = {
    part.split("\n", 1)[0]: part.split("\n", 1)[1]
    for part in Path(__file__).with_suffix(".sql").read_text(encoding="utf-8").split("-- ")[1:]
}


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(_Read):
    """A column; `base` is its type beneath a domain, `labels` an enum's, `generated` one that no insert may give."""

    name: str
    type: str
    full_type: str
    base: str
    needed: bool
    default: str | None
    generated: bool
    identity: bool
    labels: tuple[str, ...]


class Policy(_Read):
    """A policy of row-level security, its expressions as PostgreSQL prints them."""

    name: str
    command: str
    permissive: bool
    roles: tuple[str, ...]
    using: str | None
    check: str | None

    def covers(self, command: str) -> bool:
        """Whether it speaks of SELECT, INSERT, UPDATE or DELETE."""
        return self.command in ("ALL", command)


class Named(_Read):
    """A relation's full name."""

    schema_: str
    name: str

    model_config = ConfigDict(frozen=True, alias_generator=lambda name: name.rstrip("_"))


class Constraint(_Read):
    """A constraint: kind p(rimary), u(nique), f(oreign), c(heck), x (exclusion)."""

    name: str
    kind: str
    text: str
    columns: tuple[str, ...]
    to: Named | None
    to_columns: tuple[str, ...]
    to_primary: bool


class Index(_Read):
    """An index; a column that is an expression is ''. `scans` since statistics were last reset."""

    name: str
    text: str
    unique: bool
    primary: bool
    valid: bool
    scans: int
    columns: tuple[str, ...]


class Relation(_Read):
    """A table (r, p), view (v), materialized view (m) or foreign table (f)."""

    model_config = ConfigDict(frozen=True, alias_generator=lambda name: name.rstrip("_"))

    schema_: str
    name: str
    kind: str
    secured: bool
    options: tuple[str, ...]
    pages: int
    tuples: float
    width: float
    of_extension: bool
    of_users: bool
    selectable: tuple[str, ...]
    """The API's roles that may select from the whole of it."""
    readable: tuple[str, ...]
    """The API's roles that may select some column."""
    granted: dict[str, tuple[str, ...]]
    columns: tuple[Column, ...]
    policies: tuple[Policy, ...]
    constraints: tuple[Constraint, ...]
    indexes: tuple[Index, ...]

    @property
    def full(self) -> str:
        """`schema.name`."""
        return f"{self.schema_}.{self.name}"

    @property
    def managed(self) -> bool:
        """Whether Supabase or an extension keeps it."""
        return self.schema_ in MANAGED or self.of_extension

    @property
    def as_invoker(self) -> bool:
        """Whether a view reads with the rights of whoever asks."""
        true = {f"security_invoker={word}" for word in ("1", "true", "yes", "on")}
        return bool(true & {option.lower() for option in self.options})

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns of its primary key."""
        return next((k.columns for k in self.constraints if k.kind == "p"), ())


class Function(_Read):
    """A function; `definer` runs with its owner's rights. `least` arguments must be given, `names` are theirs."""

    model_config = ConfigDict(frozen=True, alias_generator=lambda name: name.rstrip("_"))

    schema_: str
    name: str
    arguments: str
    definer: bool
    only_reads: bool
    of_trigger: bool
    kind: str
    names: tuple[str, ...]
    least: int
    search_path_set: bool
    of_extension: bool
    callers: tuple[str, ...]

    @property
    def full(self) -> str:
        """`schema.name(arguments)`."""
        return f"{self.schema_}.{self.name}({self.arguments})"


class Extension(_Read):
    """An extension that is there, and the newest version that could be."""

    model_config = ConfigDict(frozen=True, alias_generator=lambda name: name.rstrip("_"))

    name: str
    schema_: str
    version: str
    newest: str | None


class Catalog(_Read):
    """All of it, and the schemas that the REST API exposes."""

    relations: tuple[Relation, ...]
    functions: tuple[Function, ...]
    extensions: tuple[Extension, ...]
    buckets: dict[str, bool]
    """Buckets of Storage, and whether each is public."""
    exposed: tuple[str, ...]
    sign_up: str
    """The source of the functions that run when a person is made."""

    def own(self, *kinds: str) -> Iterator[Relation]:
        """Relations of these kinds that are the project's own."""
        return (r for r in self.relations if r.kind in kinds and not r.managed)

    @cached_property
    def by_name(self) -> dict[str, Relation]:
        """Relations by `schema.name`."""
        return {relation.full: relation for relation in self.relations}


def read_catalog(sql: Sql) -> Catalog:
    """The catalog as it stands; statements that only read."""

    def exposed() -> tuple[str, ...]:
        said = sql.value(_STATEMENTS["exposed"]) or "public"
        return tuple(name.strip() for name in str(said).split(","))

    there = sql.value("select to_regclass('storage.buckets') is not null")
    buckets = sql.rows("select id, public from storage.buckets") if there else []
    found: dict[str, Any] = {
        "relations": sql.rows(_STATEMENTS["relations"]),
        "functions": sql.rows(_STATEMENTS["functions"]),
        "extensions": sql.rows(_STATEMENTS["extensions"]),
        "buckets": {row["id"]: bool(row["public"]) for row in buckets},
        "exposed": exposed(),
        "sign_up": sql.value(_STATEMENTS["sign_up"]),
    }
    return Catalog.model_validate(found)
