"""What the exposed schemas contain, read from PostgreSQL's own catalog: relations, foreign keys, functions."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import Any

Name = tuple[str, str]  # schema, relation

CATALOG_SQL = Path(__file__).with_suffix(".sql").read_text()


@dataclass(frozen=True)
class Column:
    """``type`` is the base type, without length; ``declared`` is as in the table; ``default`` is SQL or None."""

    name: str
    type: str
    declared: str = ""
    default: str | None = None


@dataclass(frozen=True)
class Relation:
    """A table or view, or the rows a function returns."""

    schema: str
    name: str
    columns: dict[str, Column]
    key: tuple[str, ...] = ()


@dataclass(frozen=True)
class Link:
    """A way from one relation to another: ``on`` pairs (column here, column there); a junction has two hops."""

    to: Name
    name: str
    one: bool
    on: tuple[tuple[str, str], ...]
    forward: bool = True
    via: Name | None = None
    via_on: tuple[tuple[str, str], ...] = ()

    @property
    def cardinality(self) -> str:
        """PostgREST's word for it."""
        if self.via:
            return "many-to-many"
        return ("many-to-one" if self.forward else "one-to-one") if self.one else "one-to-many"

    def described(self, here: str) -> dict[str, str]:
        """As PGRST201 tells of it."""
        embedding = f"{here} with {self.to[1]}"
        return {"cardinality": self.cardinality, "embedding": embedding, "relationship": self.name}

    def named(self, name: str) -> bool:
        """Whether an embedded resource may go by ``name``: the other relation's, the key's, or the key's one column's."""
        if name == self.to[1] or (name == self.name and not self.via):
            return True
        return self.forward and len(self.on) == 1 and self.on[0][0] == name

    def hinted(self, hint: str | None) -> bool:
        """Whether ``hint`` (what follows ``!``) allows this way: no hint does."""
        if hint is None or self.via:
            return hint is None or (self.via is not None and hint == self.via[1])
        columns = (pair[0] if self.forward else pair[1] for pair in self.on)
        return hint in (self.name, self.to[1]) or hint in columns


@dataclass(frozen=True)
class Argument:
    """One input of a function."""

    name: str
    type: str
    required: bool


@dataclass(frozen=True)
class Function:
    """A function callable under /rpc. ``rows`` describes its result when that has columns, else None."""

    schema: str
    name: str
    volatile: bool
    many: bool
    returns: str
    rows: Relation | None
    arguments: tuple[Argument, ...]

    @property
    def signature(self) -> str:
        """Its arguments, as PostgREST prints them."""
        return ", ".join(f"{a.name} => {a.type}" for a in self.arguments)


@dataclass
class Catalog:
    """The schema cache."""

    relations: dict[Name, Relation] = field(default_factory=dict)
    functions: dict[Name, list[Function]] = field(default_factory=dict)
    links: dict[Name, list[Link]] = field(default_factory=dict)


def read(document: str | bytes) -> Catalog:
    """The catalog in CATALOG_SQL's answer."""
    given = json.loads(document)
    catalog = Catalog()
    for r in given["relations"]:
        columns = {c[0]: Column(*c) for c in r["columns"] or []}
        catalog.relations[r["schema"], r["name"]] = Relation(r["schema"], r["name"], columns, tuple(r["key"]))
    for f in given["functions"]:
        catalog.functions.setdefault((f["schema"], f["name"]), []).append(_function(f, catalog))
    _link(catalog, given["keys"])
    return catalog


def _function(f: dict[str, Any], catalog: Catalog) -> Function:
    rows, columns = None, f["columns"] or f["fields"] or []
    if f["relation"] and tuple(f["relation"]) in catalog.relations:
        rows = catalog.relations[f["relation"][0], f["relation"][1]]
    elif f["returns"] == "record" or (columns and (f["columns"] is None or len(columns) > 1 or f["set"])):
        rows = Relation(f["schema"], f["name"], {c[0]: Column(*c) for c in columns})
    arguments = tuple(Argument(*a) for a in f["arguments"])
    return Function(f["schema"], f["name"], f["volatile"], f["set"], f["returns"], rows, arguments)


def _link(catalog: Catalog, keys: list[dict[str, Any]]) -> None:
    def pairs(key: dict[str, Any], back: bool) -> tuple[tuple[str, str], ...]:
        ends = (key["to_columns"], key["columns"]) if back else (key["columns"], key["to_columns"])
        return tuple(zip(*ends, strict=True))

    links = catalog.links
    for k in keys:
        here, there = (k["schema"], k["table"]), (k["to_schema"], k["to_table"])
        links.setdefault(here, []).append(Link(there, k["name"], True, pairs(k, False)))
        links.setdefault(there, []).append(Link(here, k["name"], k["unique"], pairs(k, True), forward=False))
    # Many-to-many: a junction has two foreign keys within its primary key (PostgREST docs, "Resource Embedding").
    for first, second in permutations(keys, 2):
        junction = (first["schema"], first["table"])
        key = set(catalog.relations[junction].key)
        if (second["schema"], second["table"]) == junction and {*first["columns"], *second["columns"]} <= key:
            there = (second["to_schema"], second["to_table"])
            link = Link(there, junction[1], False, pairs(first, True), False, junction, pairs(second, False))
            links[first["to_schema"], first["to_table"]].append(link)
