"""Where a database holds somebody: every column of every table, by the catalog, so that no table is forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from clients.sql import Sql

LARGE = 100_000
"""Rows over which a table is not read through: on a live database that costs too much. It is told as untried."""
VENDORS = frozenset(
    {"auth.audit_log_entries", "auth.flow_state", "auth.schema_migrations", "storage.migrations"}
)
"""What Supabase keeps for itself, which no platform can empty (Auth's own audit among it)."""
_COLUMNS = """
select n.nspname as schema, c.relname as table, a.attname as column, c.reltuples::bigint as rows
from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
join pg_type t on t.oid = a.atttypid
where c.relkind in ('r', 'p') and not c.relispartition and a.attnum > 0 and not a.attisdropped
  and n.nspname !~ '^(pg_|information_schema$|extensions$|supabase_|vault$|graphql|realtime$|net$|cron$)'
  and t.typname in ('text', 'varchar', 'bpchar', 'citext', 'uuid', 'json', 'jsonb', '_text', '_varchar', '_uuid')
order by 1, 2, 3"""


class Places:
    """Looks for words in a whole database. `untried` are the tables that were too large to be read."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql
        self._columns = [c for c in sql.rows(_COLUMNS) if f"{c['schema']}.{c['table']}" not in VENDORS]
        self.untried = sorted({f"{c['schema']}.{c['table']}" for c in self._columns if c["rows"] > LARGE})
        self.columns = sum(c["rows"] <= LARGE for c in self._columns)

    def of(self, words: Iterable[str]) -> list[str]:
        """`schema.table.column` of each place that holds one of these words, with the number of its rows."""
        return list(self._of([f"%{word}%" for word in words]))

    def _of(self, patterns: list[str]) -> Iterator[str]:
        tables: dict[str, list[str]] = {}
        for c in self._columns:
            if c["rows"] <= LARGE:
                tables.setdefault(f'"{c["schema"]}"."{c["table"]}"', []).append(c["column"])
        for table, columns in tables.items():
            counts = ", ".join(
                f'count(*) filter (where "{c}"::text ilike any(%(words)s)) as "{c}"' for c in columns
            )
            found = self._sql.one(f"select {counts} from {table}", {"words": patterns}) or {}  # noqa: S608
            for column, number in found.items():
                if number:
                    yield f"{table.replace(chr(34), '')}.{column} ({number})"
