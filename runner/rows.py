"""A row of every table from its catalog: types, defaults, foreign keys, enums, and checks as far as they can be read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clients.catalog import Catalog, Column, Constraint, Relation

_NUMBERS = ("smallint", "integer", "bigint", "numeric", "real", "double precision", "money")
_TEXTS = ("text", "character varying", "character", "citext", "name", '"char"')
_VALUES: dict[str, Any] = {
    "boolean": False, "date": "2100-01-01", "interval": "1 hour", "inet": "192.0.2.1", "cidr": "192.0.2.0/24",
    "macaddr": "08:00:2b:01:02:03", "bytea": "\\x00", "tsvector": "a", "point": "(1,1)", "xml": "<a/>", "ltree": "a",
    "json": {}, "jsonb": {}, "hstore": "", "int4range": "[1,2)", "int8range": "[1,2)", "numrange": "[1,2)",
    "daterange": "[2100-01-01,2101-01-01)", "tsrange": "[2100-01-01,2101-01-01)", "tstzrange": "[2100-01-01,2101-01-01)",
    "uuid": "{user}",
}  # fmt: skip
_LATER = re.compile(r"end|expir|until|finish|due|close|stop|_to$", re.I)
_SHAPES = (
    "{tag}@example.com",
    "https://example.com/{tag}",
    "#aabbcc",
    "en",
    "EUR",
    "+41791234567",
    "a-{tag}",
    "abc",
    "A1",
)
"""Texts that common patterns of checks take."""
_TAG = "a" * 20
"""As long as a tag can be."""
Row = dict[str, Any]


@dataclass
class Made:
    """A row of one table, and what must be there before it, in order: by name the table, its row and its key."""

    row: Row = field(default_factory=dict)
    before: dict[str, tuple[str, Row, str]] = field(default_factory=dict)
    existing: Row | None = None
    """How the row is found where signing up makes it."""


class RowMaker:
    """Makes rows for the tables of the public schema."""

    def __init__(self, catalog: Catalog) -> None:
        self.tables = {r.name: r for r in catalog.own("r", "p") if r.schema_ == "public"}
        self._sign_up = catalog.sign_up

    def make(self, table: str) -> Made:
        """A row of a table."""
        relation, made = self.tables[table], Made()
        if (owner := self._of_person(relation)) and self._made_at_sign_up(relation):
            made.existing = {owner: "{user}"}
            return made
        made.row = self._row(relation, made.before, (table,))
        return made

    def _of_person(self, relation: Relation) -> str:
        """The column of a table with one row a person, keyed by their id; '' for any other table."""
        for key in _foreign(relation):
            if key.to and f"{key.to.schema_}.{key.to.name}" == "auth.users" and key.columns == relation.keys:
                return key.columns[0]
        return ""

    def _made_at_sign_up(self, relation: Relation) -> bool:
        return re.search(rf"insert\s+into\s+(public\.)?\"?{relation.name}\b", self._sign_up, re.I) is not None

    def _row(
        self, relation: Relation, before: dict[str, tuple[str, Row, str]], within: tuple[str, ...]
    ) -> Row:
        row: Row = {}
        for column in relation.columns:
            key = next((k for k in _foreign(relation) if column.name in k.columns), None)
            mine = "auth.uid()" in (column.default or "") or (key and self._points_to_person(key))
            needed = column.needed and column.default is None and not column.identity
            if column.generated or not (needed or mine):
                continue
            value = self._pointed(column, key, before, within) if key else None
            row[column.name] = "{user}" if "auth.uid()" in (column.default or "") else value
            if row[column.name] is None:
                row[column.name] = self._value(relation, column)
        for name in _one_of(relation, row):
            column = next(c for c in relation.columns if c.name == name)
            key = next((k for k in _foreign(relation) if name in k.columns), None)
            value = self._pointed(column, key, before, within) if key else None
            row[name] = self._value(relation, column) if value is None else value
        self._marked(relation, row)
        return row

    def _points_to_person(self, key: Constraint) -> bool:
        assert key.to
        if key.to.schema_ == "auth":
            return key.to.name == "users"
        to = self.tables.get(key.to.name)
        return to is not None and bool(self._of_person(to)) and self._made_at_sign_up(to)

    def _pointed(
        self,
        column: Column,
        key: Constraint,
        before: dict[str, tuple[str, Row, str]],
        within: tuple[str, ...],
    ) -> Any:
        """What a foreign key's column holds: the person, or a column of the row that is made first."""
        assert key.to
        if self._points_to_person(key):
            return "{user}"
        to, target = key.to.name, key.to_columns[key.columns.index(column.name)]
        if key.to.schema_ != "public" or to not in self.tables or to in within or len(within) > 5:
            return None
        name = re.sub(r"\W", "_", to.removesuffix("s") or to)
        if name not in before:
            row = self._row(self.tables[to], before, (*within, to))
            before[name] = (to, row, target)
        elif target != before[name][2] and target not in before[name][1]:
            return None
        return f"{{{name}.{target}}}"

    def _marked(self, relation: Relation, row: Row) -> None:
        """Makes sure that the row can be told from others: a free text that holds the tag."""
        if any(isinstance(value, str) and re.search(r"{(tag|number)}", value) for value in row.values()):
            return
        for column in relation.columns:
            free = column.base in _TEXTS and not column.generated and not column.labels
            if (
                free
                and column.name not in row
                and not _checks(relation, column)
                and _room(column) >= len(_TAG)
            ):
                row[column.name] = "{tag}"
                return

    def _value(self, relation: Relation, column: Column) -> Any:
        base = re.sub(r"\(.*\)", "", column.base)
        alone = any(index.unique and index.columns == (column.name,) for index in relation.indexes)
        if column.base.endswith("[]"):
            return []
        if column.labels:
            return column.labels[0]
        if base in _NUMBERS:
            least = _least(relation, column)
            return "{number}" if alone and base not in ("smallint", "real") and least <= 2 else least
        if base in _TEXTS:
            return _text(relation, column)
        if base.startswith("timestamp"):
            return f"{2101 if _LATER.search(column.name) else 2100}-01-01T00:00:00Z"
        if base.startswith("time"):
            return "13:00" if _LATER.search(column.name) else "12:00"
        if base == "date" and _LATER.search(column.name):
            return "2101-01-01"
        if base.endswith("vector") and (size := re.search(r"\((\d+)\)", column.full_type)):
            return json_vector(int(size[1]))
        return _VALUES.get(base, "{tag}")


def json_vector(size: int) -> str:
    """A vector of pgvector with so many dimensions."""
    return "[" + ",".join("1" * size) + "]"


def change(relation: Relation, row: Mapping[str, Any]) -> Row:
    """A change of its first text that is no key, of no enum, and under no check."""
    bound = {name for k in relation.constraints for name in k.columns}
    bound |= {name for index in relation.indexes if index.unique for name in index.columns}
    for column in relation.columns:
        plain = column.base in _TEXTS and not column.labels and _room(column) >= len(_TAG) + 8
        if plain and column.name not in bound and not column.generated:
            return {column.name: "{tag} changed"}
    return {}


def _foreign(relation: Relation) -> list[Constraint]:
    return [k for k in relation.constraints if k.kind == "f" and k.to]


def _one_of(relation: Relation, row: Mapping[str, Any]) -> list[str]:
    """Columns that may be null, of which a check wants one: the first that it names."""
    wanted: list[str] = []
    for k in relation.constraints:
        named = re.findall(r"\b(\w+) IS NOT NULL", k.text) if k.kind == "c" else []
        if named and not set(named) & {*row, *wanted}:
            wanted.append(named[0])
        elif k.kind == "c" and "num_nonnulls" in k.text and not set(k.columns) & {*row, *wanted}:
            wanted.append(k.columns[0])
    return wanted


def _checks(relation: Relation, column: Column) -> list[str]:
    """The texts of the checks that speak of a column."""
    return [k.text for k in relation.constraints if k.kind == "c" and column.name in k.columns]


def _room(column: Column) -> int:
    """How many characters a text column takes."""
    size = re.search(r"\((\d+)\)", column.full_type)
    return int(size[1]) if size else 10**6


def _least(relation: Relation, column: Column) -> Any:
    """The smallest number from 1 on that the column's checks seem to take."""
    least: float = 1
    for text in _checks(relation, column):
        for sign, number in re.findall(
            rf"\b{column.name}\b\)?(?:::\w+)? (>=|>|=) \(?'?(-?\d+(?:\.\d+)?)", text
        ):
            least = max(least, float(number) + (sign == ">"))
        if found := re.search(rf"\b{column.name}\b\)?(?:::\w+)? (?:<=|<) \(?'?(-?\d+(?:\.\d+)?)", text):
            least = min(least, float(found[1]) - ("<=" not in found[0]))
        if found := re.search(r"ARRAY\[\(?'?(-?\d+)", text):
            least = float(found[1])
    return int(least) if least == int(least) else least


def _text(relation: Relation, column: Column) -> str:
    """A text that the column's checks take: one of a list, one of a common shape, or the tag."""
    checks, room = _checks(relation, column), _room(column)
    for text in checks:
        if found := re.search(rf"\b{column.name}\b[^'~]*(?:=|ANY)[^'~]*'((?:[^']|'')*)'", text):
            return found[1].replace("''", "'")
    patterns = [
        (kind, pattern)
        for text in checks
        for kind, pattern in re.findall(r"(~\*?|~~\*?) '((?:[^']|'')*)'", text)
    ]
    longest = min([room, *(_limit(text) for text in checks)])
    email = "email" in column.name.lower()
    for shape in ("{tag}@example.com" if email else "{tag}", "{tag}", *_SHAPES):
        whole = shape.replace("{tag}", _TAG)
        if len(whole) <= longest and all(_fits(kind, pattern, whole) for kind, pattern in patterns):
            return shape
    return "a" * min(longest, 3)


def _limit(text: str) -> int:
    found = re.search(r"length\([^)]*\)+(?:::\w+)? (<=|<|=) (\d+)", text)
    return int(found[2]) - (found[1] == "<") if found else 10**6


def _fits(kind: str, pattern: str, text: str) -> bool:
    try:
        if kind.startswith("~~"):
            return re.fullmatch(re.escape(pattern).replace("%", ".*").replace("_", "."), text) is not None
        return re.search(pattern, text, re.I if kind == "~*" else 0) is not None
    except re.error:
        return True
