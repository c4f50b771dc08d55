"""INSERT, UPDATE, DELETE and upsert: from a request's body to one statement whose rows the answer is read from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from stack.supabase.rest.catalog import Relation
from stack.supabase.rest.embedding import find
from stack.supabase.rest.errors import ApiError, left_out, no_where
from stack.supabase.rest.parse import Condition, Embed, Select
from stack.supabase.rest.relations import Link
from stack.supabase.rest.sql import Builder, identifier, qualified

BODY = "_"  # the body's rows in a statement
JSON_BODIES = ("application/json", "application/vnd.pgrst.array+json", "application/vnd.pgrst.object+json")


@dataclass(frozen=True)
class Payload:
    """A body: ``text`` is JSON (always an array), ``rows`` how many, ``keys`` the columns of every row."""

    text: str
    rows: int
    keys: tuple[str, ...]


def parse_json(body: bytes) -> tuple[str, Any]:
    """The text in ``body`` and the JSON value in it. Raises PGRST102."""
    try:
        text = body.decode()
        return text, json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ApiError("PGRST102", "Empty or invalid json") from error


def payload(body: bytes, content_type: str, uniform: bool) -> Payload:
    """Read a body of an accepted type; ``uniform`` demands that every row has the same keys."""
    kind = content_type.split(";")[0].strip().lower() or "application/json"
    if kind not in JSON_BODIES:
        raise left_out(f"a body of type {kind}")
    text, value = parse_json(body)
    rows = value if isinstance(value, list) else [value]
    if any(not isinstance(row, dict) for row in rows):
        raise ApiError("PGRST102", "All object keys must match")
    if uniform and any(row.keys() != rows[0].keys() for row in rows):
        raise ApiError("PGRST102", "All object keys must match")
    keys = tuple(rows[0]) if rows else ()
    return Payload(text if isinstance(value, list) else f"[{text}]", len(rows), keys)


@dataclass(frozen=True)
class Write:
    """One mutation's statement, without its envelope; ``returning`` is its RETURNING list."""

    relation: Relation
    builder: Builder
    returning: str

    @property
    def target(self) -> str:
        """The table's quoted name."""
        return qualified(self.relation.schema, self.relation.name)

    def delete(self) -> str:
        """DELETE what the filters match."""
        where = self._where("DELETE")
        return f"DELETE FROM {self.target}{where} RETURNING {self.returning}"

    def update(self, data: Payload, columns: tuple[str, ...], defaults: bool) -> str:
        """UPDATE what the filters match with the body's one row; a body without columns updates nothing."""
        if not columns:
            self.builder.used.add(())
            return f"SELECT {self.returning} FROM {self.target} WHERE false"
        where = self._where("UPDATE")
        assign = ", ".join(f"{identifier(c)} = pgrst_body.{identifier(c)}" for c in columns)
        body = f"(SELECT * FROM {self._rows(data, columns, defaults)} LIMIT 1) AS pgrst_body"
        return f"UPDATE {self.target} SET {assign} FROM {body}{where} RETURNING {self.returning}"

    def insert(self, data: Payload, columns: tuple[str, ...], defaults: bool, conflict: str) -> str:
        """INSERT the body's rows; ``conflict`` is an ON CONFLICT clause or empty."""
        if columns:
            names = ", ".join(map(identifier, columns))
            rows = f"({names}) SELECT {names} FROM {self._rows(data, columns, defaults)}"
        else:
            rows = " DEFAULT VALUES" if data.rows else f" SELECT * FROM {self.target} WHERE false"
        return f"INSERT INTO {self.target}{rows}{conflict} RETURNING {self.returning}"

    def put_where(self) -> str:
        """`` WHERE …`` that keeps of a PUT's body the row its address names. Raises PGRST105, PGRST114."""
        node, key = self.builder.nodes[()], self.relation.key
        if node.limit is not None or node.offset:
            raise ApiError("PGRST114", "limit/offset querystring parameters are not allowed for PUT")
        named = [f.field for f in node.filters if isinstance(f, Condition) and f.plain_equality]
        if not key or len(named) != len(node.filters) or {f.name for f in named} != set(key):
            needed = "Filters must include all and only primary key columns with 'eq' operators"
            raise ApiError("PGRST105", needed, status=405)
        return self.builder.where(self.relation, identifier(BODY))

    def conflict(self, resolution: str, keys: tuple[str, ...], columns: tuple[str, ...]) -> str:
        """An ON CONFLICT clause over ``keys``, or nothing where the table has none.

        The WHERE of DO UPDATE always holds: it counts updates in a setting, so that the answer can tell created rows
        (201) from merged ones (200), as PostgREST does.
        """
        if not keys:
            return ""
        target = f" ON CONFLICT ({', '.join(map(identifier, keys))}) DO "
        if resolution == "ignore-duplicates" or not columns:
            return target + "NOTHING"
        assign = ", ".join(f"{identifier(c)} = EXCLUDED.{identifier(c)}" for c in columns)
        before = "coalesce(nullif(current_setting('pgrst.updated', true), '')::int, 0)"
        return (
            f"{target}UPDATE SET {assign} WHERE set_config('pgrst.updated', ({before} + 1)::text, true) <> ''"
        )

    def _where(self, verb: str) -> str:
        found = self.builder.where(self.relation, identifier(self.relation.name))
        if not found:
            raise no_where(verb)
        return found

    def check_columns(self, columns: tuple[str, ...]) -> None:
        """Raise PGRST204 for a column that the table has not."""
        for column in columns:
            if column not in self.relation.columns:
                where = f"of '{self.relation.name}' in the schema cache"
                raise ApiError("PGRST204", f"Could not find the '{column}' column {where}")

    def _rows(self, data: Payload, columns: tuple[str, ...], defaults: bool) -> str:
        """The body as a row source; with ``defaults``, a key that a row lacks takes its column's default."""
        typed = ", ".join(f"{identifier(c)} {self.relation.columns[c].declared}" for c in columns)
        bind, known = self.builder.binds.typed, self.relation.columns
        if not defaults:
            return f"json_to_recordset({bind(data.text, 'json')}) AS {BODY}({typed})"
        pairs = ", ".join(f"{bind(c)}, {known[c].default or 'NULL'}" for c in columns)
        rows = f"jsonb_agg(jsonb_build_object({pairs}) || e) FROM jsonb_array_elements({bind(data.text, 'jsonb')}) e"
        return f"jsonb_to_recordset((SELECT {rows})) AS {BODY}({typed})"


def returning(relation: Relation, builder: Builder, select: Select) -> str:
    """The columns that the answer needs, and no others: RETURNING asks for SELECT privilege on each."""
    needed: dict[str, None] = {}
    table = qualified(relation.schema, relation.name)
    for item in select:
        if isinstance(item, Embed):
            link = find(builder.catalog, relation, item)
            if not isinstance(link, Link):
                return f"{table}.*"
            needed.update(dict.fromkeys(pair[0] for pair in link.on))
        elif item.field.name not in relation.columns:  # *, or computed from the whole row
            return f"{table}.*"
        else:
            needed[item.field.name] = None
    return ", ".join(f"{table}.{identifier(c)}" for c in needed) or "1 AS one"
