"""From parsed requests to SQL. Names are quoted; values are bound, all but a limit, which is a number by then."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from stack.supabase.rest.catalog import Catalog, Link, Relation
from stack.supabase.rest.errors import ApiError, left_out
from stack.supabase.rest.parse import (
    FULL_TEXT,
    Condition,
    Embed,
    Field,
    Item,
    Logic,
    Node,
    Order,
    Path,
    Select,
)

OPERATORS = {
    "eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "like": "LIKE", "ilike": "ILIKE", "match": "~",
    "imatch": "~*", "cs": "@>", "cd": "<@", "ov": "&&", "sl": "<<", "sr": ">>", "nxr": "&<", "nxl": "&>", "adj": "-|-",
    "isdistinct": "IS DISTINCT FROM", "fts": "to_tsquery", "plfts": "plainto_tsquery", "phfts": "phraseto_tsquery",
    "wfts": "websearch_to_tsquery",
}  # fmt: skip
TEXT_OPERATORS = ("like", "ilike", "match", "imatch")
NULLS = {"nullsfirst": " NULLS FIRST", "nullslast": " NULLS LAST", "": ""}
ALL: Select = (Item(Field("*")),)
# Types whose name in SQL is a keyword: quoting it would hide it. The parser lets only words and [] through.
KEYWORDS = re.compile(
    "int|integer|bigint|smallint|real|decimal|boolean|char|character|varchar|time|timestamp|interval|numeric|float|bit|"
    "double precision|character varying|timestamp with(out)? time zone"
)


def identifier(name: str) -> str:
    """A quoted name. Raises ApiError for a NUL, which PostgreSQL has no way to take."""
    if "\0" in name:
        raise ApiError("PGRST100", "a name cannot hold a NUL character")
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    """A quoted ``schema.name``."""
    return f"{identifier(schema)}.{identifier(name)}"


def array_literal(values: Sequence[str]) -> str:
    """PostgreSQL's text form of an array of these texts."""
    return "{" + ",".join('"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"' for v in values) + "}"


class Binds:
    """The values of one statement; the same value bound twice is one parameter, so that a count shares the rows' own."""

    def __init__(self) -> None:
        self.values: list[str] = []
        self.parameters: dict[tuple[str, str], str] = {}  # as they stand in the statement

    def typed(self, value: str, type_: str = "text") -> str:
        """A parameter of ``type_`` (a name from the catalog), whose text form is ``value``."""
        if (type_, value) not in self.parameters:
            self.values.append(value)
            self.parameters[type_, value] = f"${len(self.values)}::{type_}"
        return self.parameters[type_, value]


@dataclass
class Builder:
    """Builds one request's statement: binds gather as it goes, ``used`` remembers which nodes were reached."""

    catalog: Catalog
    nodes: dict[Path, Node]
    max_rows: int | None = None
    binds: Binds = field(default_factory=Binds)
    used: set[Path] = field(default_factory=set)
    _serial: int = 0

    def read(
        self, relation: Relation, source: str, alias: str, select: Select, path: Path = (), on: Sequence[str] = (),
        filtered: bool = True, ranged: bool = True,
    ) -> str:  # fmt: skip
        """A SELECT over ``source`` (a table or CTE, aliased ``alias``, quoted) with its embedded resources."""
        node = self.nodes.get(path, Node())
        self.used.add(path)
        columns: list[str] = []
        joins: list[str] = []
        for item in select:
            if isinstance(item, Item):
                columns.append(self._item(relation, alias, item))
                continue
            value = self._embed(relation, alias, item, path, joins)
            if item.select:
                columns.append(f"{value} AS {identifier(item.key)}")
        if nulls := {i.key for i in select if isinstance(i, Embed)}.intersection(_tested(node.filters)):
            raise left_out(f"filtering by whether the embedded resource {min(nulls)} is null")
        where = [*on, *(self._filter(relation, alias, f) for f in node.filters if filtered)]
        return (
            f"SELECT {', '.join(columns)} FROM {source}{''.join(joins)}"
            + (f" WHERE {' AND '.join(where)}" if where else "")
            + self._order(relation, alias, node.order)
            + (self._range(node) if ranged else "")
        )

    def where(self, relation: Relation, alias: str) -> str:
        """`` WHERE …`` of the request's own level, or nothing."""
        self.used.add(())
        parts = [self._filter(relation, alias, f) for f in self.nodes[()].filters]
        return f" WHERE {' AND '.join(parts)}" if parts else ""

    def check_used(self) -> None:
        """Raise PGRST108 if a filter named an embedded resource that was not selected."""
        for path in self.nodes.keys() - self.used - {()}:
            message = f"'{path[-1]}' is not an embedded resource in this request"
            hint = f"Verify that '{path[-1]}' is included in the 'select' query parameter."
            raise ApiError("PGRST108", message, hint=hint)

    def link(self, relation: Relation, embed: Embed) -> Link:
        """The one way from ``relation`` to what ``embed`` names. Raises PGRST200 for none, PGRST201 for several."""
        every = self.catalog.links.get((relation.schema, relation.name), [])
        found = [link for link in every if link.named(embed.name) and link.hinted(embed.hint)]
        if len(found) == 1:
            return found[0]
        between = f"'{relation.name}' and '{embed.name}'"
        if not found:
            searched = between + (f" using the hint '{embed.hint}'" if embed.hint else "")
            raise ApiError(
                "PGRST200", f"Could not find a relationship between {between} in the schema cache",
                f"Searched for a foreign key relationship between {searched} in the schema '{relation.schema}', "
                "but no matches were found.",
            )  # fmt: skip
        details = [link.described(relation.name) for link in found]
        choices = ", ".join(f"'{embed.name}!{x.name}'" for x in found)
        raise ApiError(
            "PGRST201", f"Could not embed because more than one relationship was found for {between}", details,
            f"Try changing '{embed.name}' to one of the following: {choices}. Find the desired relationship in the "
            "'details' key.",
        )  # fmt: skip

    def _item(self, relation: Relation, alias: str, item: Item) -> str:
        if item.field.name == "*":
            return f"{alias}.*"
        name = item.alias or (item.field.path[-1][1] if item.field.path else item.field.name)
        return f"{_cast(self._column(relation, alias, item.field), item.cast)} AS {identifier(name)}"

    def _embed(self, relation: Relation, alias: str, embed: Embed, path: Path, joins: list[str]) -> str:
        """The embedded resource as it is answered.

        Unless its parent depends on it, it is not joined: a subquery is planned in a third less time.
        """
        link = self.link(relation, embed)
        below = (*path, embed.key)
        if below not in self.nodes and (*path, embed.name) in self.nodes:
            self.nodes[below] = self.nodes.pop((*path, embed.name))
        self._serial += 1
        there, here = identifier(f"{link.to[1]}_{self._serial}"), identifier(f"embed_{self._serial}")
        source, on = self._source(link, alias, there)
        target = self.catalog.relations[link.to]
        inner = self.read(target, source, there, embed.select, below, on, ranged=not link.one)
        rows = f"(SELECT {'row_to_json' if link.one else 'json_agg'}(r) AS value FROM ({inner}) r)"
        if embed.inner:
            joins.append(f" INNER JOIN LATERAL {rows} AS {here} ON {here}.value IS NOT NULL")
            rows = f"{here}.value"
        return rows if link.one else f"COALESCE({rows}, '[]')"

    def _source(self, link: Link, alias: str, there: str) -> tuple[str, list[str]]:
        """What to select an embedded resource from, and the conditions that tie it to its parent."""
        source = f"{qualified(*link.to)} AS {there}"
        if link.via is None:
            return source, [f"{there}.{identifier(b)} = {alias}.{identifier(a)}" for a, b in link.on]
        between = identifier(f"via_{self._serial}")
        on = [f"{between}.{identifier(b)} = {alias}.{identifier(a)}" for a, b in link.on]
        on += [f"{between}.{identifier(a)} = {there}.{identifier(b)}" for a, b in link.via_on]
        return f"{source}, {qualified(*link.via)} AS {between}", on

    def _column(self, relation: Relation, alias: str, target: Field) -> str:
        expression = f"{alias}.{identifier(target.name)}"
        if target.path and self._type(relation, Field(target.name)) != "jsonb":
            expression = f"to_jsonb({expression})"
        for arrow, key in target.path:
            bare = key.removeprefix("-")
            index = bare.isascii() and bare.isdigit() and len(bare) < 10
            expression += arrow + (key if index else self.binds.typed(key))
        return expression

    def _type(self, relation: Relation, target: Field) -> str:
        if target.path:
            return "text" if target.path[-1][0] == "->>" else "jsonb"
        column = relation.columns.get(target.name)
        return column.type if column else "text"

    def _filter(self, relation: Relation, alias: str, part: Condition | Logic) -> str:
        no = "NOT " if part.negated else ""
        if isinstance(part, Logic):
            inner = (self._filter(relation, alias, p) for p in part.parts)
            return f"{no}({f' {part.operator.upper()} '.join(inner)})"
        column = self._column(relation, alias, part.field)
        return no + self._compare(column, self._type(relation, part.field), part)

    def _compare(self, column: str, type_: str, part: Condition) -> str:
        operator, value, bind = part.operator, part.value, self.binds.typed
        if isinstance(value, tuple):
            return f"{column} = ANY ({bind(array_literal(value), type_ + '[]')})"
        if operator == "is":
            return f"{column} IS {value.upper().replace('_', ' ')}"
        if operator in FULL_TEXT:
            language = f"{bind(part.modifier, 'regconfig')}, " if part.modifier else ""
            vector = column if type_ == "tsvector" else f"to_tsvector({language}{column})"
            return f"{vector} @@ {OPERATORS[operator]}({language}{bind(value)})"
        if operator in TEXT_OPERATORS:
            type_, value = "text", value.replace("*", "%") if operator in ("like", "ilike") else value
        if part.modifier:
            return f"{column} {OPERATORS[operator]} {part.modifier.upper()} ({bind(value, type_ + '[]')})"
        return f"{column} {OPERATORS[operator]} {bind(value, type_)}"

    def _order(self, relation: Relation, alias: str, terms: Sequence[Order]) -> str:
        columns = (self._column(relation, alias, term.field) for term in terms)
        parts = (f"{c} {t.direction.upper()}{NULLS[t.nulls]}" for c, t in zip(columns, terms, strict=True))
        return f" ORDER BY {', '.join(parts)}" if terms else ""

    def _range(self, node: Node) -> str:
        limit = min((n for n in (node.limit, self.max_rows) if n is not None), default=None)
        # The limit, an int of ours, stands in the text: a plan for any limit would be one for a tenth of the table, and
        # PostgreSQL would rather plan each request anew than use it. All else is bound.
        sql = "" if limit is None else f" LIMIT {limit:d}"
        return sql + (f" OFFSET {self.binds.typed(str(node.offset), 'bigint')}" if node.offset else "")


def _tested(filters: Iterable[Condition | Logic]) -> Iterable[str]:
    """The names that a level's filters test for null: one of them may be an embedded resource."""
    for part in filters:
        if isinstance(part, Logic):
            yield from _tested(part.parts)
        elif part.operator == "is":
            yield part.field.name


def _cast(expression: str, type_: str | None) -> str:
    if not type_:
        return expression
    bare, brackets = type_.split("[", 1)[0], "[]" * type_.count("[]")
    return f"CAST({expression} AS {bare if KEYWORDS.fullmatch(bare.lower()) else identifier(bare)}{brackets})"
