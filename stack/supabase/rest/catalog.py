"""The schema cache: what the exposed schemas contain, read from PostgreSQL's own catalog."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stack.supabase.rest.relations import Key, Link, Name, connect, origins

CATALOG_SQL = Path(__file__).with_suffix(".sql").read_text()
WHOLE = ("json", "jsonb", "text", "xml", "bytea")
INSERT, UPDATE, DELETE = 8, 4, 16  # the bits of pg_relation_is_updatable


@dataclass(frozen=True)
class Column:
    """``type`` is the base type, without length; ``declared`` is as in the table; ``default`` is SQL or None."""

    name: str
    type: str
    declared: str = ""
    default: str | None = None
    nullable: bool = True
    about: str | None = None
    enum: tuple[str, ...] = ()
    length: int | None = None


@dataclass(frozen=True)
class Relation:
    """A table or view, or the rows a function returns. ``may`` holds INSERT, UPDATE and DELETE if it takes them."""

    schema: str
    name: str
    columns: dict[str, Column]
    key: tuple[str, ...] = ()
    about: str | None = None
    may: int = 0


@dataclass(frozen=True)
class Argument:
    """One input of a function; ``of`` is the relation whose rows it takes, if it does."""

    name: str
    type: str
    required: bool
    of: Name | None = None


@dataclass(frozen=True)
class Function:
    """A function. ``rows`` describes its result when that has columns; ``one``: as an embedded resource it is one row."""

    schema: str
    name: str
    volatile: bool
    many: bool
    returns: str
    rows: Relation | None
    arguments: tuple[Argument, ...]
    one: bool = True
    variadic: bool = False
    about: str | None = None

    @property
    def signature(self) -> str:
        """Its arguments, as PostgREST prints them."""
        return ", ".join(f"{a.name} => {a.type}" for a in self.arguments)

    @property
    def callable(self) -> bool:
        """Whether it is served under /rpc: each argument has a name, or its only one takes the whole body."""
        names = [a.name for a in self.arguments]
        return all(names) or (len(names) == 1 and self.arguments[0].type in WHOLE)


@dataclass
class Catalog:
    """The schema cache."""

    relations: dict[Name, Relation] = field(default_factory=dict)
    functions: dict[Name, list[Function]] = field(default_factory=dict)
    links: dict[Name, list[Link]] = field(default_factory=dict)
    rows: dict[tuple[Name, str], Function] = field(default_factory=dict)  # of a relation's row, by name
    foreign: dict[Name, dict[str, tuple[str, str]]] = field(default_factory=dict)  # column: (table, column)
    about: dict[str, str | None] = field(default_factory=dict)

    def computed(self, relation: Relation, name: str) -> Function | None:
        """The function ``name`` that takes one row of ``relation`` and nothing else (a computed field or relationship)."""
        return self.rows.get(((relation.schema, relation.name), name))


def read(document: str | bytes) -> Catalog:
    """The catalog in CATALOG_SQL's answer."""
    given = json.loads(document)
    catalog, tables = Catalog(about=given["schemas"] or {}), {r["oid"]: r for r in given["relations"]}
    views = origins({oid: r["rule"] for oid, r in tables.items() if r["rule"]})
    names = {oid: {c[-1]: c[0] for c in r["columns"]} for oid, r in tables.items()}
    primary: dict[Name, set[str]] = {}
    for oid, r in tables.items():
        place = (r["schema"], r["name"])
        columns = {c[0]: _column(*c) for c in r["columns"]}
        numbers = _key_shown(views.get(oid, {}), tables) if r["view"] else r["key"]
        relation = Relation(*place, columns, tuple(names[oid][n] for n in numbers), r["about"], r["may"])
        primary[place] = set(relation.key)
        if r["exposed"]:
            catalog.relations[place] = relation
    for f in given["functions"]:
        function = _function(f, catalog)
        if function.callable:
            catalog.functions.setdefault((function.schema, function.name), []).append(function)
        if len(function.arguments) == 1 and (of := function.arguments[0].of):
            catalog.rows[of, function.name] = function
    places = {oid: (r["schema"], r["name"]) for oid, r in tables.items()}
    keys = [Key(k["name"], k["table"], k["to"], tuple(k["columns"]), tuple(k["to_columns"]), k["unique"])
            for k in given["keys"] if k["table"] in tables and k["to"] in tables]  # fmt: skip
    for link in connect(keys, views, places, names, primary):
        if {link.here, link.to, link.via or link.to} <= catalog.relations.keys():
            catalog.links.setdefault(link.here, []).append(link)
        if link.forward:
            for here, there in link.on:
                catalog.foreign.setdefault(link.here, {}).setdefault(here, (link.to[1], there))
    return catalog


def _column(
    name: str, kind: str, declared: str, default: str | None, nullable: bool, about: str | None,
    enum: list[str] | None, length: int | None, _number: int,
) -> Column:  # fmt: skip
    return Column(name, kind, declared, default, nullable, about, tuple(enum or ()), length)


def _key_shown(view: Mapping[int, tuple[int, int]], tables: dict[int, dict[str, Any]]) -> list[int]:
    """The columns of a view that show the whole primary key of a table: they are its key."""
    shown = {origin: number for number, origin in reversed(list(view.items()))}
    for table in dict.fromkeys(table for table, _ in view.values()):
        key = tables[table]["key"] if table in tables else []
        if key and all((table, column) in shown for column in key):
            return [shown[table, column] for column in key]
    return []


def _function(f: dict[str, Any], catalog: Catalog) -> Function:
    rows, columns = None, f["columns"] or f["fields"] or []
    if f["relation"] and tuple(f["relation"]) in catalog.relations:
        rows = catalog.relations[f["relation"][0], f["relation"][1]]
    elif columns:
        rows = Relation(f["schema"], f["name"], {c[0]: Column(*c) for c in columns})
    arguments = tuple(
        Argument(name, kind, required, (of[0], of[1]) if of[1] else None)
        for name, kind, required, of in f["arguments"]
    )
    return Function(f["schema"], f["name"], f["volatile"], f["set"], f["returns"], rows, arguments,
                    f["one"], f["variadic"], f["about"])  # fmt: skip
