"""From parsed requests to SQL. Names are quoted, values are bound: no value of a request ever becomes SQL text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from stack.supabase.rest.catalog import Catalog, Link, Relation
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

OPERATORS = {
    "eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "like": "LIKE", "ilike": "ILIKE", "match": "~",
    "imatch": "~*", "cs": "@>", "cd": "<@", "ov": "&&", "sl": "<<", "sr": ">>", "nxr": "&<", "nxl": "&>", "adj": "-|-",
    "isdistinct": "IS DISTINCT FROM",
}  # fmt: skip
TEXT_OPERATORS = ("like", "ilike", "match", "imatch")
SEARCH = {
    "fts": "to_tsquery",
    "plfts": "plainto_tsquery",
    "phfts": "phraseto_tsquery",
    "wfts": "websearch_to_tsquery",
}
NULLS = {"nullsfirst": " NULLS FIRST", "nullslast": " NULLS LAST", "": ""}
ALL: Select = (Item(Field("*")),)


def identifier(name: str) -> str:
    """A quoted name. Raises ApiError for a NUL, which PostgreSQL has no way to take."""
    if "\0" in name:
        raise ApiError(400, "PGRST100", "a name cannot hold a NUL character")
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    """A quoted ``schema.name``."""
    return f"{identifier(schema)}.{identifier(name)}"


def array_literal(values: Sequence[str]) -> str:
    """PostgreSQL's text form of an array of these texts."""
    return "{" + ",".join('"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"' for v in values) + "}"


class Binds:
    """The values of one statement; the same text bound twice is one parameter, so that GROUP BY can match SELECT."""

    def __init__(self) -> None:
        self.values: list[str] = []
        self._known: dict[tuple[str, str], str] = {}

    @property
    def parameters(self) -> Iterable[str]:
        """Every parameter as it stands in the statement."""
        return self._known.values()

    def text(self, value: str) -> str:
        """A parameter holding text."""
        return self.typed(value, "text")

    def typed(self, value: str, type_: str) -> str:
        """A parameter of ``type_`` (a name from the catalog), whose text form is ``value``."""
        if (type_, value) not in self._known:
            self.values.append(value)
            self._known[type_, value] = f"${len(self.values)}::{type_}"
        return self._known[type_, value]


@dataclass
class Builder:
    """Builds one request's statement: binds gather as it goes, ``used`` remembers which nodes were reached."""

    catalog: Catalog
    nodes: dict[Path, Node]
    max_rows: int | None = None
    aggregates: bool = False
    binds: Binds = field(default_factory=Binds)
    used: set[Path] = field(default_factory=set)
    _serial: int = 0

    def read(
        self,
        relation: Relation,
        source: str,
        alias: str,
        select: Select,
        path: Path = (),
        joins_on: Sequence[str] = (),
        filtered: bool = True,
        ranged: bool = True,
    ) -> str:
        """A SELECT over ``source`` (a table or CTE, aliased ``alias``, quoted) with its embedded resources."""
        node = self.nodes.get(path, Node())
        self.used.add(path)
        columns: list[str] = []
        joins: list[str] = []
        groups: list[str] = []
        embeds: dict[str, str] = {}
        aggregated = any(isinstance(i, Item) and i.aggregate for i in select)
        for item in select:
            if isinstance(item, Embed):
                self._embed(relation, alias, item, path, columns, joins, groups, embeds, not aggregated)
            else:
                columns.append(self._item(relation, alias, item, groups))
        where = list(joins_on)
        if filtered:
            where += [self._filter(relation, alias, f, embeds) for f in node.filters]
        order = self._order(relation, alias, node.order, select, joins)
        return (
            f"SELECT {', '.join(columns)} FROM {source}{''.join(joins)}"
            + (f" WHERE {' AND '.join(where)}" if where else "")
            + (f" GROUP BY {', '.join(groups)}" if aggregated and groups else "")
            + order
            + (self._range(node) if ranged else "")
        )

    def where(self, relation: Relation, alias: str) -> str:
        """`` WHERE …`` of the request's own level, or nothing."""
        self.used.add(())
        parts = [self._filter(relation, alias, f, {}) for f in self.nodes[()].filters]
        return f" WHERE {' AND '.join(parts)}" if parts else ""

    def check_used(self) -> None:
        """Raise PGRST108 if a filter named an embedded resource that was not selected."""
        for path in self.nodes:
            if path and path not in self.used:
                name = path[-1]
                raise ApiError(
                    400,
                    "PGRST108",
                    f"'{name}' is not an embedded resource in this request",
                    hint=f"Verify that '{name}' is included in the 'select' query parameter.",
                )

    def link(self, relation: Relation, embed: Embed) -> Link:
        """The one way from ``relation`` to what ``embed`` names. Raises PGRST200 for none, PGRST201 for several."""
        every = self.catalog.links.get((relation.schema, relation.name), [])
        found = [link for link in every if _names(link, embed.name) and _hinted(link, embed.hint)]
        if not found:
            between = f"'{relation.name}' and '{embed.name}'"
            hinted = f" using the hint '{embed.hint}'" if embed.hint else ""
            raise ApiError(
                400, "PGRST200", f"Could not find a relationship between {between} in the schema cache",
                f"Searched for a foreign key relationship between {between}{hinted} in the schema '{relation.schema}', "
                "but no matches were found.",
            )  # fmt: skip
        if len(found) > 1:
            raise _ambiguous(relation, embed, found)
        return found[0]

    def _item(self, relation: Relation, alias: str, item: Item, groups: list[str]) -> str:
        if item.aggregate and not self.aggregates:
            raise ApiError(400, "PGRST123", "Use of aggregate functions is not allowed")
        if item.field is None:
            expression, name = "count(*)", item.alias or "count"
        elif item.field.name == "*":
            groups.extend(f"{alias}.{identifier(c)}" for c in relation.columns)
            return f"{alias}.*"
        else:
            expression = self._column(relation, alias, item.field)
            name = item.alias or (item.field.path[-1][1] if item.field.path else item.field.name)
            if item.cast:
                expression = f"CAST({expression} AS {_type_name(item.cast)})"
            if item.aggregate:
                expression, name = f"{item.aggregate}({expression})", item.alias or item.aggregate
            else:
                groups.append(expression)
        if item.aggregate_cast:
            expression = f"CAST({expression} AS {_type_name(item.aggregate_cast)})"
        return f"{expression} AS {identifier(name)}"

    def _embed(
        self,
        relation: Relation,
        alias: str,
        embed: Embed,
        path: Path,
        columns: list[str],
        joins: list[str],
        groups: list[str],
        embeds: dict[str, str],
        plain: bool,
    ) -> None:
        link = self.link(relation, embed)
        target = self.catalog.relations[link.to]
        below = (*path, embed.key)
        if below not in self.nodes and (*path, embed.name) in self.nodes:
            self.nodes[below] = self.nodes.pop((*path, embed.name))
        self._serial += 1
        there, here = identifier(f"{link.to[1]}_{self._serial}"), identifier(f"embed_{self._serial}")
        source, on = self._source(link, alias, there)
        inner = self.read(target, source, there, embed.select, below, on, ranged=not link.one)
        join = "INNER" if embed.inner else "LEFT"
        key = identifier(embed.key)
        if plain and not embed.inner and not embed.spread and embed.key not in _tested(self.nodes.get(path)):
            # Nothing else looks at it, so it need not be joined: a subquery is planned in a third less time.
            if embed.select:
                rows = f"(SELECT row_to_json(r) FROM ({inner}) r)"
                many = f"COALESCE((SELECT json_agg(r) FROM ({inner}) r), '[]')"
                columns.append(f"{rows if link.one else many} AS {key}")
            return
        embeds[embed.key] = here
        if link.one:
            joins.append(f" {join} JOIN LATERAL ({inner}) AS {here} ON TRUE")
            if embed.spread:
                columns += [f"{here}.{identifier(n)}" for n in _output_names(embed.select, target)]
            elif embed.select:
                columns.append(f"row_to_json({here}.*) AS {key}")
                groups.append(f"{here}.*")
            return
        condition = f"{here}.rows IS NOT NULL" if embed.inner else "TRUE"
        if embed.spread:
            names = _output_names(embed.select, target)
            lists = "".join(f", json_agg(r.{identifier(n)}) AS {identifier(n)}" for n in names)
            joins.append(
                f" {join} JOIN LATERAL (SELECT json_agg(r) AS rows{lists} FROM ({inner}) r) AS {here} ON {condition}"
            )
            columns += [f"COALESCE({here}.{identifier(n)}, '[]') AS {identifier(n)}" for n in names]
            return
        joins.append(
            f" {join} JOIN LATERAL (SELECT json_agg(r) AS rows FROM ({inner}) r) AS {here} ON {condition}"
        )
        embeds[embed.key] = f"{here}.rows"
        if embed.select:
            columns.append(f"COALESCE({here}.rows, '[]') AS {key}")
            groups.append(f"{here}.rows::text")

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
        if not target.path:
            return expression
        if self.catalog.column_type(relation, target.name) != "jsonb":
            expression = f"to_jsonb({expression})"
        for arrow, key in target.path:
            bare = key.lstrip("-")
            index = bare.isascii() and bare.isdigit() and len(bare) < 10
            expression += arrow + (key if index else self.binds.text(key))
        return expression

    def _type(self, relation: Relation, target: Field) -> str:
        if target.path:
            return "text" if target.path[-1][0] == "->>" else "jsonb"
        return self.catalog.column_type(relation, target.name) or "text"

    def _filter(self, relation: Relation, alias: str, part: Condition | Logic, embeds: dict[str, str]) -> str:
        if isinstance(part, Logic):
            inner = f" {part.operator.upper()} ".join(
                self._filter(relation, alias, p, embeds) for p in part.parts
            )
            return f"{'NOT ' if part.negated else ''}({inner})"
        if part.field.name in embeds and part.operator == "is" and not part.field.path:
            return f"{embeds[part.field.name]} IS {'' if part.negated else 'NOT '}DISTINCT FROM NULL"
        column, type_ = self._column(relation, alias, part.field), self._type(relation, part.field)
        return f"{'NOT ' if part.negated else ''}{self._compare(column, type_, part)}"

    def _compare(self, column: str, type_: str, part: Condition) -> str:
        operator, value = part.operator, part.value
        if isinstance(value, tuple):
            return f"{column} = ANY ({self.binds.typed(array_literal(value), type_ + '[]')})"
        if operator == "is":
            return f"{column} IS {value.upper().replace('_', ' ')}"
        if operator in FULL_TEXT:
            language = f"{self.binds.typed(part.modifier, 'regconfig')}, " if part.modifier else ""
            vector = column if type_ == "tsvector" else f"to_tsvector({language}{column})"
            return f"{vector} @@ {SEARCH[operator]}({language}{self.binds.text(value)})"
        if operator in ("like", "ilike"):
            value = value.replace("*", "%")
        if operator in TEXT_OPERATORS:
            type_ = "text"
        if part.modifier:
            return f"{column} {OPERATORS[operator]} {part.modifier.upper()} ({self.binds.typed(value, type_ + '[]')})"
        return f"{column} {OPERATORS[operator]} {self.binds.typed(value, type_)}"

    def _order(
        self, relation: Relation, alias: str, terms: Sequence[Order], select: Select, joins: list[str]
    ) -> str:
        parts = []
        for term in terms:
            if term.embed:
                column = self._related_column(relation, alias, term, select, joins)
            else:
                column = self._column(relation, alias, term.field)
            parts.append(f"{column} {term.direction.upper()}".rstrip() + NULLS[term.nulls])
        return f" ORDER BY {', '.join(parts)}" if parts else ""

    def _related_column(
        self, relation: Relation, alias: str, term: Order, select: Select, joins: list[str]
    ) -> str:
        embed = next((i for i in select if isinstance(i, Embed) and i.key == term.embed), None)
        if embed is None:
            raise ApiError(
                400,
                "PGRST108",
                f"'{term.embed}' is not an embedded resource in this request",
                hint=f"Verify that '{term.embed}' is included in the 'select' query parameter.",
            )
        link = self.link(relation, embed)
        if not link.one:
            raise ApiError(
                400,
                "PGRST118",
                f"A related order on '{embed.name}' is not possible",
                f"'{relation.name}' and '{embed.name}' do not form a many-to-one or one-to-one relationship",
            )
        self._serial += 1
        there, here = identifier(f"{link.to[1]}_{self._serial}"), identifier(f"order_{self._serial}")
        source, on = self._source(link, alias, there)
        column = self._column(self.catalog.relations[link.to], there, term.field)
        joins.append(
            f" LEFT JOIN LATERAL (SELECT {column} AS term FROM {source} WHERE {' AND '.join(on)}) AS {here} ON TRUE"
        )
        return f"{here}.term"

    def _range(self, node: Node) -> str:
        limit = node.limit
        if self.max_rows is not None:
            limit = self.max_rows if limit is None else min(limit, self.max_rows)
        # The limit, an int of ours, stands in the text: a plan for any limit would be one for a tenth of the table, and
        # PostgreSQL would rather plan each request anew than use it. All else is bound.
        sql = "" if limit is None else f" LIMIT {limit:d}"
        return sql + (f" OFFSET {self.binds.typed(str(node.offset), 'bigint')}" if node.offset else "")


def _tested(node: Node | None) -> set[str]:
    """The names that a level's filters test for null: one of them may be an embedded resource."""
    found: set[str] = set()
    waiting: list[Condition | Logic] = list(node.filters) if node else []
    while waiting:
        part = waiting.pop()
        if isinstance(part, Logic):
            waiting.extend(part.parts)
        elif part.operator == "is":
            found.add(part.field.name)
    return found


def _names(link: Link, name: str) -> bool:
    if name in (link.to[1], link.name) and not (link.via and name == link.name):
        return True
    return link.forward and len(link.on) == 1 and link.on[0][0] == name


def _hinted(link: Link, hint: str | None) -> bool:
    if hint is None:
        return True
    columns = [pair[0] if link.forward else pair[1] for pair in link.on]
    junction = link.via is not None and hint == link.via[1]
    return junction or (link.via is None and (hint in (link.name, link.to[1]) or hint in columns))


def _ambiguous(relation: Relation, embed: Embed, found: list[Link]) -> ApiError:
    details = [
        {"cardinality": x.cardinality, "embedding": f"{relation.name} with {x.to[1]}", "relationship": x.name}
        for x in found
    ]
    choices = ", ".join(f"'{embed.name}!{x.name}'" for x in found)
    return ApiError(
        300, "PGRST201",
        f"Could not embed because more than one relationship was found for '{relation.name}' and '{embed.name}'", details,
        f"Try changing '{embed.name}' to one of the following: {choices}. Find the desired relationship in "
        "the 'details' key.",
    )  # fmt: skip


def _output_names(select: Select, relation: Relation) -> list[str]:
    names: list[str] = []
    for item in select:
        if isinstance(item, Embed):
            names.append(item.key)
        elif item.field is None:
            names.append(item.alias or "count")
        elif item.field.name == "*":
            names += relation.columns
        else:
            last = item.field.path[-1][1] if item.field.path else item.field.name
            names.append(item.alias or item.aggregate or last)
    return names


def _type_name(text: str) -> str:
    """A cast's type: the parser let through only words and ``[]``, so each word is quoted unless it is a known phrase."""
    bare, brackets = text.split("[", 1)[0], "[]" * text.count("[]")
    if bare.lower() in ("double precision", "character varying", "timestamp with time zone", "time with time zone",
                        "timestamp without time zone", "time without time zone", "bit varying"):  # fmt: skip
        return bare + brackets
    if " " in bare:
        raise ApiError(400, "42704", f'type "{bare}" does not exist')
    # Aliases of the SQL standard are keywords, not names of types: quoting them would hide them.
    words = ("int", "integer", "bigint", "smallint", "real", "decimal", "boolean", "char", "character", "varchar", "time",
             "timestamp", "interval", "numeric", "float", "bit")  # fmt: skip
    return (bare if bare.lower() in words else identifier(bare)) + brackets
