"""What a catalog suggests for a description: each table with a row, a change and who may, for a person to decide."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from clients.catalog import API_ROLES, Catalog, Policy, Relation, read_catalog
from clients.sql import Sql
from runner.rows import Made, RowMaker, change

USUAL = ("auth.email", "database.rest", "database.sql", "storage.supabase")
"""Capabilities that nearly every project has; one that was not found stands in the file as a comment."""
COMMANDS = {"C": "INSERT", "R": "SELECT", "U": "UPDATE", "D": "DELETE"}


@dataclass(frozen=True)
class Table:
    """One table of the public schema, and the row that its catalog suggests."""

    relation: Relation
    made: Made

    def may(self, *, doubt: bool = False) -> dict[str, str]:
        """What the policies and privileges seem to grant; a suggestion, since only a person knows what was meant.

        `doubt` is what becomes of a verb that the policies' words neither surely grant nor surely refuse.
        """
        relation = self.relation
        return {
            role: "".join(
                verb
                for verb, command in COMMANDS.items()
                if command in relation.granted.get(api, ())
                and (not relation.secured or _any_lets(relation.policies, command, role, doubt=doubt))
            )
            for role, api in ROLES.items()
        }


def _any_lets(policies: Iterable[Policy], command: str, role: str, *, doubt: bool) -> bool:
    said = [_lets(policy, command, role) for policy in policies]
    return True in said or (doubt and None in said)


def _lets(policy: Policy, command: str, role: str) -> bool | None:
    """Whether a policy lets the owner of a row, a stranger or nobody through; None where its words do not tell."""
    if not (policy.permissive and policy.covers(command) and {ROLES[role], "public"} & set(policy.roles)):
        return False
    rule = f"{policy.using or ''} {policy.check or ''}"
    if role == "owner" or not re.search(r"\w+\([^)]*\)", rule):
        return True
    refuses = _OWNERS if role == "stranger" else _SOMEBODY
    return False if refuses.search(rule) and not re.search(r"\b(OR|FROM|CASE|NOT \()", rule) else None


ROLES = {"owner": "authenticated", "stranger": "authenticated", "nobody": "anon"}
"""Roles of the matrix, and the API's role of each."""
_UID = r"\(*(?:SELECT )?auth\.uid\(\)(?: AS uid)?\)*(?:::\w+)?"
_OWNERS = re.compile(rf"{_UID} = |= {_UID}")
"""A row's column must be the person's id, as PostgreSQL prints it."""
_SOMEBODY = re.compile(
    rf"{_OWNERS.pattern}|{_UID} IS NOT NULL|auth\.role\(\)(?: AS role)?\)* = 'authenticated'"
)


def may_of_bucket(bucket: str, policies: Iterable[Policy], *, doubt: bool = False) -> dict[str, str]:
    """What the policies of storage.objects seem to grant on a bucket's objects; one that names no bucket is about each."""
    about = [
        p for p in policies if "bucket_id" not in (rule := f"{p.using}{p.check}") or f"'{bucket}'" in rule
    ]
    return {
        role: "".join(
            verb for verb, command in COMMANDS.items() if _any_lets(about, command, role, doubt=doubt)
        )
        for role in ROLES
    }


def tables_of(catalog: Catalog) -> dict[str, Table]:
    """Every table of the public schema."""
    maker = RowMaker(catalog)
    return {name: Table(relation, maker.make(name)) for name, relation in sorted(maker.tables.items())}


def functions_of(catalog: Catalog) -> dict[str, list[str]]:
    """Functions of the public schema that each of the API's roles may call."""
    own = [f for f in catalog.functions if f.schema_ == "public" and not f.of_trigger and not f.of_extension]
    return {role: sorted({f.name for f in own if role in f.callers}) for role in API_ROLES}


def people_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What Auth tells of itself (`GET /settings`), as `[people]` calls it."""
    return {
        "register": not settings.get("disable_signup"),
        "confirm": "none" if settings.get("mailer_autoconfirm") else "mail",
    }


def undo_of(catalog: Catalog) -> list[dict[str, str]]:
    """The rows that keep Auth from deleting the person they name, as `[people]` says it; what points at another comes first.

    A column names a person if its foreign key leads to auth.users, or to another column that does.
    """
    tables = {relation.full: relation for relation in catalog.own("r", "p")}
    names_person: dict[tuple[str, str], bool] = {
        ("auth.users", "id"): False
    }  # and whether it stands in the way
    order: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(tables, ()))
    while True:
        found = {
            (name, key.columns[0]): "ON DELETE" not in key.text
            for name, relation in tables.items()
            for key in relation.constraints
            if key.kind == "f" and key.to and len(key.columns) == 1
            and (key.to.schema_ + "." + key.to.name, key.to_columns[0]) in names_person
        }  # fmt: skip
        if found.keys() <= names_person.keys():
            break
        names_person |= found
    for name, relation in tables.items():
        for key in relation.constraints:
            if (
                key.kind == "f"
                and key.to
                and (to := f"{key.to.schema_}.{key.to.name}") in tables
                and to != name
            ):
                order.add(to, name)
    try:
        sequence = list(order.static_order())
    except CycleError:  # nobody can say which goes first: they are tried as they come
        sequence = list(tables)
    exposed = catalog.exposed[:1]
    return [
        {"table": name.removeprefix(f"{exposed[0]}." if exposed else "public."), "column": column}
        for name in sequence
        for (table, column), in_the_way in names_person.items()
        if table == name and in_the_way
    ]


@dataclass(frozen=True)
class Suggested:
    """What a catalog suggests for a whole `target.toml`."""

    tables: dict[str, Table]
    functions: dict[str, list[str]]
    buckets: list[dict[str, Any]]
    objects: tuple[Policy, ...] = ()
    """The policies of storage.objects."""
    undo: tuple[dict[str, str], ...] = ()
    """What goes before a person can, as `[people]` says it."""

    @classmethod
    def read(cls, sql: Sql) -> Suggested:
        """From PostgreSQL's catalog and Storage's table of buckets; reads only."""
        buckets = sql.rows(
            "select id, public, file_size_limit, allowed_mime_types from storage.buckets order by id"
        )
        catalog = read_catalog(sql)
        objects = catalog.by_name.get("storage.objects")
        policies = objects.policies if objects else ()
        return cls(tables_of(catalog), functions_of(catalog), buckets, policies, tuple(undo_of(catalog)))

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
            takes = bucket.get("allowed_mime_types") or ["text/plain"]
            yield f"type = {quoted(takes[0].replace('*', 'png'))}"
            if decide and isinstance(limit := bucket.get("file_size_limit"), int):
                yield f"limit = {limit}"
            yield f"public = {'true' if bucket.get('public') else 'false'}"
            yield 'as = "admin"    # "owner" where people put objects there themselves'
            yield f"may = {inline(may_of_bucket(str(bucket['id']), self.objects, doubt=not decide))}"
            yield ""


DECIDE = "decide = true   # is `may` what you mean? Correct it, then remove this line"


def toml_of(tables: dict[str, Table], *, decide: bool = True) -> Iterator[str]:
    """The tables as they stand in a target.toml. `decide` marks each for a person."""
    for name, table in tables.items():
        made, keys = table.made, table.relation.keys
        yield f"[database.tables.{_key(name)}]"
        if decide:
            yield DECIDE
        for before, (target, needed, key) in made.before.items():
            first = {"table": target, "row": needed, **({"key": key} if key != "id" else {}), "as": "admin"}
            yield f"before.{before} = {inline(first)}"
        if keys and keys != ("id",):
            yield f"key = {quoted(keys[0]) if len(keys) == 1 else json.dumps(keys)}"
        yield f"row = {inline(made.row)}" if made.existing is None else f"existing = {inline(made.existing)}"
        yield f"change = {inline(change(table.relation, made.row))}"
        yield f"may = {inline(table.may(doubt=not decide))}"
        yield ""


def beginning(
    name: str, capabilities: Collection[str], *, env_file: str = "", people: Mapping[str, Any] | None = None,
    embedded: Mapping[str, Any] | None = None, undo: Iterable[Mapping[str, str]] = (),
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
    yield f"undo = {_toml(list(undo))}          # what goes before a test person does, a table and its column each"
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
    if isinstance(value, list):
        return f"[{', '.join(_toml(one) for one in value)}]"
    return json.dumps(value, ensure_ascii=False)


def listed(names: Iterable[str]) -> str:
    """A list of texts, as TOML writes it."""
    return json.dumps(list(names), ensure_ascii=False)
