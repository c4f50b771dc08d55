"""From parsed requests to SQL. Names are quoted; values are bound, all but a limit, which is a number by then."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from stack.supabase.rest.catalog import Catalog, Function, Relation
from stack.supabase.rest.embedding import find
from stack.supabase.rest.errors import ApiError
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
from stack.supabase.rest.relations import Link

OPERATORS = {
    "eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "like": "LIKE", "ilike": "ILIKE", "match": "~",
    "imatch": "~*", "cs": "@>", "cd": "<@", "ov": "&&", "sl": "<<", "sr": ">>", "nxr": "&<", "nxl": "&>", "adj": "-|-",
    "isdistinct": "IS DISTINCT FROM", "fts": "to_tsquery", "plfts": "plainto_tsquery", "phfts": "phraseto_tsquery",
    "wfts": "websearch_to_tsquery",
}  # fmt: skip
TEXT_OPERATORS = ("like", "ilike", "match", "imatch")
NONE: Mapping[str, str] = {}
NULLS = {"nullsfirst": " NULLS FIRST", "nullslast": " NULLS LAST", "": ""}
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


def literal(text: str) -> str:
    """A quoted text. Raises ApiError for a NUL."""
    return "'" + identifier(text)[1:-1].replace('""', '"').replace("'", "''") + "'"


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
        embeds: dict[str, str] = {}  # by key, what is null where there is none
        tested = set(_named(node.filters)) if filtered else set()
        ordered = {term.of for term in node.order}
        terms: dict[str, Callable[[Order], str]] = {}
        for item in select:
            if isinstance(item, Item):
                columns.append(self._item(relation, alias, item))
                continue
            value, embeds[item.key] = self._embed(relation, alias, item, path, joins, item.key in tested)
            if item.shown:
                columns.append(value if item.spread else f"{value} AS {identifier(item.key)}")
            if item.key in ordered:
                terms[item.key] = functools.partial(self._related, relation, alias, item, path)
        where = [*on, *(self._filter(relation, alias, f, embeds) for f in node.filters if filtered)]
        return (
            f"SELECT {', '.join(columns)} FROM {source}{''.join(joins)}"
            + (f" WHERE {' AND '.join(where)}" if where else "")
            + self._order(relation, alias, node.order, terms)
            + (self._range(node) if ranged else "")
        )

    def where(self, relation: Relation, alias: str) -> str:
        """`` WHERE …`` of the request's own level, or nothing."""
        self.used.add(())
        parts = [self._filter(relation, alias, f) for f in self.nodes[()].filters]
        return f" WHERE {' AND '.join(parts)}" if parts else ""

    def total(self, relation: Relation, source: str, alias: str, select: Select) -> str:
        """A SELECT of as many rows as the request's own level has without its range."""
        embeds = tuple(item for item in select if isinstance(item, Embed))
        tested = {embed.key for embed in embeds}.intersection(_named(self.nodes[()].filters))
        if any(embed.inner for embed in embeds) or any(self.nodes) or tested:
            return self.read(relation, source, alias, embeds, ranged=False)
        return f"SELECT 1 FROM {source}{self.where(relation, alias)}"

    def scalars(self, source: str) -> str:
        """A SELECT over ``source``, whose one column is ``value``, in the range asked for."""
        self.used.add(())
        return f"SELECT value FROM {source}{self._range(self.nodes[()])}"

    def check_used(self) -> None:
        """Raise PGRST108 if a filter named an embedded resource that was not selected."""
        for path in self.nodes.keys() - self.used - {()}:
            raise _not_embedded(path[-1])

    def _item(self, relation: Relation, alias: str, item: Item) -> str:
        if item.field.name == "*":
            return f"{alias}.*"
        name = identifier(item.alias or item.field.called)
        return f"{_cast(self._column(relation, alias, item.field), item.cast)} AS {name}"

    def _embed(
        self, relation: Relation, alias: str, embed: Embed, path: Path, joins: list[str], tested: bool
    ) -> tuple[str, str]:
        """The embedded resource as it is answered, and what is null where there is none.

        Unless its parent depends on it, it is not joined: a subquery is planned in a third less time.
        """
        link = find(self.catalog, relation, embed)
        below = (*path, embed.key)
        if below not in self.nodes and (*path, embed.name) in self.nodes:
            self.nodes[below] = self.nodes.pop((*path, embed.name))
        self._serial += 1
        target, one = _target(self.catalog, link)
        there, here = identifier(f"{target.name}_{self._serial}"), identifier(f"embed_{self._serial}")
        source, on = self._source(relation, link, alias, there)
        inner = self.read(target, source, there, embed.select, below, on, ranged=not one)
        inner += " LIMIT 1" * (one and isinstance(link, Function))  # a function may say ROWS 1 and give more
        if embed.spread:
            return self._spread(target, embed, one, inner, here, joins)
        rows = f"(SELECT {'row_to_json' if one else 'json_agg'}(r) AS value FROM ({inner}) r)"
        if embed.inner:
            joins.append(f" INNER JOIN LATERAL {rows} AS {here} ON {here}.value IS NOT NULL")
            rows = f"{here}.value"
        elif tested:
            joins.append(f" LEFT JOIN LATERAL {rows} AS {here} ON true")
            rows = f"{here}.value"
        return rows if one else f"COALESCE({rows}, '[]')", rows

    def _spread(
        self, target: Relation, embed: Embed, one: bool, inner: str, here: str, joins: list[str]
    ) -> tuple[str, str]:
        """The columns of a spread resource, each an array where it may have several rows."""
        names = [identifier(name) for name in self._names(target, embed.select)]
        if not one:
            arrays = (f"COALESCE(json_agg(r.{name}), '[]') AS {name}" for name in names)
            inner = f"SELECT {', '.join([*arrays, 'nullif(count(*), 0) AS pgrst_rows'])} FROM ({inner}) r"
        there = here if one else f"{here}.pgrst_rows"
        kept = "true" if one or not embed.inner else f"{there} > 0"
        joins.append(f" {'INNER' if embed.inner else 'LEFT'} JOIN LATERAL ({inner}) AS {here} ON {kept}")
        return ", ".join(f"{here}.{name}" for name in names), there

    def _names(self, relation: Relation, select: Select) -> Iterable[str]:
        """The columns that a SELECT of ``select`` gives, by name."""
        for item in select:
            if isinstance(item, Embed) and item.spread:
                yield from self._names(
                    _target(self.catalog, find(self.catalog, relation, item))[0], item.select
                )
            elif isinstance(item, Embed):
                yield from [item.key] if item.shown else []
            elif item.field.name == "*":
                yield from relation.columns
            else:
                yield item.alias or item.field.called

    def _related(self, relation: Relation, alias: str, embed: Embed, path: Path, term: Order) -> str:
        """A column of an embedded resource that is one row at most, to order its parent by. Raises PGRST118."""
        link = find(self.catalog, relation, embed)
        target, one = _target(self.catalog, link)
        if not one:
            raise ApiError(
                "PGRST118", f"A related order on '{embed.key}' is not possible",
                f"'{relation.name}' and '{embed.key}' do not form a many-to-one or one-to-one relationship",
            )  # fmt: skip
        self._serial += 1
        there = identifier(f"{target.name}_{self._serial}")
        source, on = self._source(relation, link, alias, there)
        column = (Item(term.field, "value"),)
        return f"({self.read(target, source, there, column, (*path, embed.key), on, ranged=False)} LIMIT 1)"

    def _source(
        self, relation: Relation, link: Link | Function, alias: str, there: str
    ) -> tuple[str, list[str]]:
        """What to select an embedded resource from, and the conditions that tie it to its parent."""
        if isinstance(link, Function):  # the cast: a parent that is a CTE has no type of its own
            row = f"{alias}::{qualified(relation.schema, relation.name)}"
            return f"{qualified(link.schema, link.name)}({row}) AS {there}", []
        source = f"{qualified(*link.to)} AS {there}"
        if link.via is None:
            return source, [f"{there}.{identifier(b)} = {alias}.{identifier(a)}" for a, b in link.on]
        between = identifier(f"via_{self._serial}")
        on = [f"{between}.{identifier(b)} = {alias}.{identifier(a)}" for a, b in link.on]
        on += [f"{between}.{identifier(a)} = {there}.{identifier(b)}" for a, b in link.via_on]
        return f"{source}, {qualified(*link.via)} AS {between}", on

    def _column(self, relation: Relation, alias: str, target: Field) -> str:
        expression = f"{alias}.{identifier(target.name)}"
        computed = None if target.name in relation.columns else self.catalog.computed(relation, target.name)
        if computed:
            row = f"{alias}::{qualified(relation.schema, relation.name)}"
            expression = f"{qualified(computed.schema, computed.name)}({row})"
        if target.path and self._type(relation, Field(target.name)) not in ("json", "jsonb"):
            expression = f"to_jsonb({expression})"
        for arrow, key in target.path:  # part of the query's form, as a column is: not bound
            expression += arrow + (str(key) if isinstance(key, int) else literal(key))
        return expression

    def _type(self, relation: Relation, target: Field) -> str:
        if target.path:
            return "text" if target.path[-1][0] == "->>" else "jsonb"
        if column := relation.columns.get(target.name):
            return column.type
        computed = self.catalog.computed(relation, target.name)
        return computed.returns if computed else "text"

    def _filter(
        self, relation: Relation, alias: str, part: Condition | Logic, embeds: Mapping[str, str] = NONE
    ) -> str:
        no = "NOT " if part.negated else ""
        if isinstance(part, Logic):
            inner = (self._filter(relation, alias, p, embeds) for p in part.parts)
            return f"{no}({f' {part.operator.upper()} '.join(inner)})"
        if part.field.name in embeds and not part.field.path:
            if part.operator == "is" and str(part.value).lower() in ("null", "not_null"):
                return no + self._compare(embeds[part.field.name], "json", part)
            if part.field.name not in relation.columns:
                raise ApiError(
                    "PGRST120", f"Bad operator on the '{part.field.name}' embedded resource",
                    "Only is null or not is null filters are allowed on embedded resources",
                )  # fmt: skip
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

    def _order(
        self,
        relation: Relation,
        alias: str,
        terms: Sequence[Order],
        related: Mapping[str, Callable[[Order], str]],
    ) -> str:
        for term in terms:
            if term.of is not None and term.of not in related:
                raise _not_embedded(term.of)
        columns = (
            related[term.of](term) if term.of is not None else self._column(relation, alias, term.field)
            for term in terms
        )
        parts = (f"{c} {t.direction.upper()}{NULLS[t.nulls]}" for c, t in zip(columns, terms, strict=True))
        return f" ORDER BY {', '.join(parts)}" if terms else ""

    def _range(self, node: Node) -> str:
        limit = min((n for n in (node.limit, self.max_rows) if n is not None), default=None)
        # The limit, an int of ours, stands in the text: a plan for any limit would be one for a tenth of the table, and
        # PostgreSQL would rather plan each request anew than use it. All else is bound.
        sql = "" if limit is None else f" LIMIT {limit:d}"
        return sql + (f" OFFSET {self.binds.typed(str(node.offset), 'bigint')}" if node.offset else "")


def _named(filters: Iterable[Condition | Logic]) -> Iterable[str]:
    """The names that a level's filters are about: one of them may be an embedded resource."""
    for part in filters:
        if isinstance(part, Logic):
            yield from _named(part.parts)
        elif not part.field.path:
            yield part.field.name


def _not_embedded(name: str) -> ApiError:
    hint = f"Verify that '{name}' is included in the 'select' query parameter."
    return ApiError("PGRST108", f"'{name}' is not an embedded resource in this request", hint=hint)


def _target(catalog: Catalog, link: Link | Function) -> tuple[Relation, bool]:
    """What an embedded resource is read as, and whether it is one row at most."""
    if isinstance(link, Link):
        return catalog.relations[link.to], link.one
    assert link.rows is not None
    return link.rows, link.one


def _cast(expression: str, type_: str | None) -> str:
    if not type_:
        return expression
    bare, brackets = type_.split("[", 1)[0], "[]" * type_.count("[]")
    return f"CAST({expression} AS {bare if KEYWORDS.fullmatch(bare.lower()) else identifier(bare)}{brackets})"
