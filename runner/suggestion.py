"""What a catalog suggests for a description: each table with a row, a change and who may, for a person to decide."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from clients.sql import Sql

TABLES = """
select c.relname as name, array(select policyname || '|' || cmd || '|' || array_to_string(roles, ',') || '|' ||
    coalesce(qual, '') || ' ' || coalesce(with_check, '') from pg_policies p
    where p.schemaname = 'public' and p.tablename = c.relname order by 1) as policies,
  array(select a.attname from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = any(i.indkey)
    where i.indrelid = c.oid and i.indisprimary order by a.attnum) as keys,
  c.relrowsecurity as secured
from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') order by 1
"""
COLUMNS = """
select c.relname as of, a.attname as name, format_type(a.atttypid, null) as type, a.attnotnull as needed,
  pg_get_expr(d.adbin, d.adrelid) as given, a.attidentity <> '' or a.attgenerated <> '' as made,
  (select f.confrelid::regclass::text from pg_constraint f where f.contype = 'f' and f.conrelid = c.oid
    and f.conkey = array[a.attnum] limit 1) as points_to,
  (select enumlabel from pg_enum e where e.enumtypid = a.atttypid order by enumsortorder limit 1) as label,
  (select pg_get_constraintdef(k.oid) from pg_constraint k where k.contype = 'c' and k.conrelid = c.oid
    and k.conkey = array[a.attnum] limit 1) as rule
from pg_attribute a join pg_class c on c.oid = a.attrelid left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
order by c.relname, a.attnum
"""
USUAL = ("auth.email", "database.rest", "database.sql", "storage.supabase")
"""Capabilities that nearly every project has; one that was not found stands in the file as a comment."""
COMMANDS = {"C": "INSERT", "R": "SELECT", "U": "UPDATE", "D": "DELETE"}


@dataclass
class Table:
    """One table of the public schema as the catalog tells it."""

    name: str
    policies: list[str]
    keys: list[str]
    secured: bool
    columns: list[dict[str, Any]] = field(default_factory=list)
    granted: dict[str, set[str]] = field(default_factory=dict)

    def may(self) -> dict[str, str]:
        """What the policies and privileges seem to grant; a suggestion, since only a person knows what was meant."""
        letters: dict[str, str] = {"owner": "", "stranger": "", "nobody": ""}
        for verb, command in COMMANDS.items():
            for role, api in (("owner", "authenticated"), ("stranger", "authenticated"), ("nobody", "anon")):
                if command in self.granted.get(api, ()) and self._passes(
                    command, api, of_owner=role == "owner"
                ):
                    letters[role] += verb
        return letters

    def _passes(self, command: str, api: str, *, of_owner: bool) -> bool:
        if not self.secured:
            return True
        for policy in self.policies:
            _, cmd, roles, rule = policy.split("|", 3)
            concerns = cmd in ("ALL", command) and {api, "public"} & set(roles.split(","))
            if concerns and (of_owner or not re.search(r"auth\.uid\(\)|\w+\([^)]*\)", rule)):
                return True
        return False

    def row(
        self, tables: dict[str, Table], before: dict[str, tuple[str, dict[str, Any]]], depth: int = 0
    ) -> dict[str, Any]:
        """A row that the catalog's own rules take; what must be there first is added to `before`."""
        made: dict[str, Any] = {}
        for column in self.columns:
            owners = "auth.uid()" in str(column["given"] or "")
            if column["made"] or not (owners or (column["needed"] and column["given"] is None)):
                continue
            made[column["name"]] = "{user}" if owners else self._value(column, tables, before, depth)
        return made

    def _value(
        self,
        column: dict[str, Any],
        tables: dict[str, Table],
        before: dict[str, tuple[str, dict[str, Any]]],
        depth: int,
    ) -> Any:
        target, kind = column["points_to"], column["type"]
        if target in ("auth.users", "profiles"):
            return "{user}"
        if target in tables and target != self.name and depth < 3:
            name = target.removesuffix("s")
            if name not in before:
                before[name] = (target, tables[target].row(tables, before, depth + 1))
            return f"{{{name}.id}}"
        if column["label"]:
            return column["label"]
        if allowed := re.search(r"'([^']*)'::", column["rule"] or ""):
            return allowed[1]
        if kind in ("text", "character varying", "citext"):
            return "{tag}"
        if kind in ("integer", "bigint", "smallint", "numeric", "real", "double precision"):
            return 1
        if kind == "boolean":
            return False
        if kind.startswith("timestamp"):
            return "2100-01-01T00:00:00Z"
        if kind == "date":
            return "2100-01-01"
        return {} if kind in ("json", "jsonb") else "{tag}"

    def change(self) -> dict[str, Any]:
        """A change of its first text that is no key."""
        for column in self.columns:
            plain = column["type"] in ("text", "character varying") and not (
                column["points_to"] or column["rule"]
            )
            if plain and column["name"] not in self.keys and not column["made"]:
                return {column["name"]: "{tag} changed"}
        return {}


def tables_of(sql: Sql) -> dict[str, Table]:
    """Every table of the public schema, from PostgreSQL's catalog; reads only."""
    found = {
        r["name"]: Table(r["name"], list(r["policies"]), list(r["keys"]), r["secured"])
        for r in sql.rows(TABLES)
    }
    for column in sql.rows(COLUMNS):
        found[column["of"]].columns.append(column)
    for role in ("anon", "authenticated"):
        held = sql.rows(
            "select table_name as t, privilege_type as p from information_schema.role_table_grants "
            "where table_schema = 'public' and grantee = %s "
            "union select table_name, privilege_type from information_schema.column_privileges "
            "where table_schema = 'public' and grantee = %s",
            (role, role),
        )
        for entry in held:
            if entry["t"] in found:
                found[entry["t"]].granted.setdefault(role, set()).add(entry["p"])
    return found


def functions_of(sql: Sql) -> dict[str, list[str]]:
    """Functions of the public schema that each of the API's roles may call."""
    return {
        role: [
            r["name"]
            for r in sql.rows(
                "select distinct proname as name from pg_proc p where pronamespace = 'public'::regnamespace "
                "and prorettype <> 'trigger'::regtype and has_function_privilege(%s, oid, 'execute') and not exists "
                "(select 1 from pg_depend d where d.objid = p.oid and d.deptype = 'e') order by 1",
                (role,),
            )
        ]
        for role in ("anon", "authenticated")
    }


@dataclass(frozen=True)
class Suggested:
    """What a catalog suggests for a whole `target.toml`."""

    tables: dict[str, Table]
    functions: dict[str, list[str]]
    buckets: list[dict[str, Any]]

    @classmethod
    def read(cls, sql: Sql) -> Suggested:
        """From PostgreSQL's catalog and Storage's table of buckets; reads only."""
        buckets = sql.rows("select id, public, file_size_limit from storage.buckets order by id")
        return cls(tables_of(sql), functions_of(sql), buckets)

    def to_decide(self) -> list[str]:
        """What a person has to decide, one line each."""
        return [f"may of {name}" for name in self.tables] + [
            f"may of the bucket {bucket['id']}" for bucket in self.buckets
        ]

    def lines(self, *, decide: bool) -> Iterator[str]:
        """`[database]` and `[storage]` of a target.toml. `decide` marks each table and bucket for a person."""
        if self.tables:
            yield "[database]"
            yield f"probe = {quoted(next(iter(self.tables)))}"
            yield "ignore = []        # tables of the public schema that need no decision"
            if self.functions:
                names = ", ".join(f"{role} = {listed(names)}" for role, names in self.functions.items())
                yield f"functions = {{ {names} }}"
            yield ""
            yield from toml_of(self.tables, decide=decide)
        for bucket in self.buckets:
            yield f"[storage.buckets.{quoted(str(bucket['id']))}]"
            if decide:
                yield DECIDE
            yield 'key = "{user}/{tag}.txt"'
            yield 'type = "text/plain"'
            if isinstance(limit := bucket.get("file_size_limit"), int):
                yield f"limit = {limit}"
            yield f"public = {'true' if bucket.get('public') else 'false'}"
            yield 'as = "admin"    # "owner" where people put objects there themselves'
            yield 'may = { owner = "R", stranger = "", nobody = "" }'
            yield ""


DECIDE = "decide = true   # is `may` what you mean? Correct it, then remove this line"


def toml_of(tables: dict[str, Table], *, decide: bool = True) -> Iterator[str]:
    """The tables as they stand in a target.toml. `decide` marks each for a person."""
    for table in tables.values():
        before: dict[str, tuple[str, dict[str, Any]]] = {}
        row = table.row(tables, before)
        yield f"[database.tables.{table.name}]"
        if decide:
            yield DECIDE
        for name, (target, needed) in before.items():
            yield f"before.{name} = {{ table = {quoted(target)}, row = {inline(needed)} }}"
        if table.keys and table.keys != ["id"]:
            yield f"key = {quoted(table.keys[0]) if len(table.keys) == 1 else json.dumps(table.keys)}"
        yield f"row = {inline(row)}"
        yield f"change = {inline(table.change())}"
        yield f"may = {inline(table.may())}"
        yield ""


def beginning(
    name: str, capabilities: Collection[str], *, env_file: str = "", people: Mapping[str, Any] | None = None,
    embedded: Mapping[str, Any] | None = None,
) -> Iterator[str]:  # fmt: skip
    """How a target.toml begins: name, `[capabilities]`, `[platform]`, `[people]`, and `[embedded]` where it is served."""
    yield "# What Assay knows of your platform (docs/your-platform.md). Every part is optional, an unknown key is refused."
    yield ""
    yield f"name = {quoted(name)}"
    if env_file:
        yield f"env_files = [{quoted(env_file)}]"
    yield ""
    yield "# What is not named here is absent, and what needs it does not apply. `assay doctor --capabilities` lists all."
    yield "[capabilities]"
    for capability in dict.fromkeys((*USUAL, *sorted(capabilities))):
        yield f'{"" if capability in capabilities else "# "}"{capability}" = "required"'
    yield '# "platform.api" = "required"   # your own API, at PLATFORM_URL: describe it next'
    yield ""
    yield "# [platform]"
    yield '# health  = { path = "/healthz", well = { ok = true } }'
    yield '# whoami  = { path = "/me", id = "id" }'
    yield '# private = ["/me"]'
    yield ""
    if embedded:
        yield "[embedded]          # `--target embedded` serves these, without an account"
        yield from (f"{key} = {_toml(value)}" for key, value in embedded.items())
        yield ""
    yield "[people]"
    yield from (f"{key} = {_toml(value)}" for key, value in (people or {"confirm": "mail"}).items())
    yield 'undo = []          # what goes before a test person does: { table = "teams", column = "created_by" }'
    yield ""


def quoted(text: str) -> str:
    """A text as TOML writes it."""
    return json.dumps(text, ensure_ascii=False)


def inline(entries: dict[str, Any]) -> str:
    """A table in one line, as TOML writes it."""
    inside = ", ".join(f"{_key(name)} = {_toml(value)}" for name, value in entries.items())
    return f"{{ {inside} }}" if inside else "{}"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[\w-]+", name) else quoted(name)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return inline(value)
    return json.dumps(value, ensure_ascii=False)


def listed(names: Iterable[str]) -> str:
    """A list of texts, as TOML writes it."""
    return json.dumps(list(names), ensure_ascii=False)
