"""PostgreSQL's part of a backup: rows by COPY, sequences, and the schema's own facts by which a lost policy shows.

Restored as Supabase's documentation says (guides/platform/migrating-within-supabase/backup-restore): the schema comes
from the project's migrations, the rows with `session_replication_role = replica`, so that no trigger acts again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from core.errors import Missed
from core.permit import Permit

SCHEMAS = ("auth", "public", "storage")
SKIPPED = frozenset(
    {
        "auth.schema_migrations",
        "auth.instances",
        "storage.migrations",
        "supabase_migrations.schema_migrations",
    }
)
"""What the platform's own installation fills."""
OBJECTS = "storage.objects"
"""Storage's own list, which it writes again as objects are put back; whose they were comes from the backup."""
_ROWS = sql.SQL("select concat_ws(',', {}) as key, md5(to_jsonb(t)::text) as row from {} t")
_OBJECT_ROWS = sql.Composed(  # ids, versions and times are Storage's, new with each writing
    [
        sql.SQL(
            "select concat_ws('/', bucket_id, name) as key, md5(jsonb_build_array(owner_id, user_metadata)::text) as row "
            "from storage.objects"
        )
    ]
)
_TABLES = """
select n.nspname as schema, c.relname as name,
  array(select a.attname from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    and a.attgenerated = '' order by a.attnum) as columns,
  coalesce((select array_agg(a.attname order by k.place) from pg_index i, unnest(i.indkey) with ordinality k(number, place)
    join pg_attribute a on a.attnum = k.number where i.indrelid = c.oid and i.indisprimary and a.attrelid = c.oid),
    '{}') as key
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and not c.relispartition and n.nspname = any(%s) order by 1, 2"""
_FACTS = {
    "policy": """select format('%%s on %%s.%%s', policyname, schemaname, tablename) as name,
        concat_ws('|', permissive, roles::text, cmd, qual, with_check) as fact from pg_policies
        where schemaname = any(%(schemas)s)""",
    "row-level security": """select format('of %%s.%%s', n.nspname, c.relname) as name,
        concat_ws('|', c.relrowsecurity, c.relforcerowsecurity) as fact
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p') and n.nspname = any(%(schemas)s)""",
    "trigger": """select format('%%s on %%s', t.tgname, t.tgrelid::regclass) as name,
        pg_get_triggerdef(t.oid) || t.tgenabled::text as fact
        from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
        where not t.tgisinternal and n.nspname = any(%(schemas)s)""",
    "function": """select p.oid::regprocedure::text as name, md5(pg_get_functiondef(p.oid)) || coalesce(p.proacl::text, '')
        as fact from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where p.prokind in ('f', 'p') and n.nspname = 'public'
        and not exists (select 1 from pg_depend d where d.objid = p.oid and d.deptype = 'e')""",
    "constraint": """select format('%%s on %%s', o.conname, o.conrelid::regclass) as name,
        pg_get_constraintdef(o.oid) as fact from pg_constraint o join pg_namespace n on n.oid = o.connamespace
        where o.conrelid <> 0 and n.nspname = any(%(schemas)s)""",
    "index": """select format('%%s.%%s', schemaname, indexname) as name, indexdef as fact from pg_indexes
        where schemaname = any(%(schemas)s)""",
    "grant": """select format('on %%s.%%s', n.nspname, c.relname) as name, coalesce(c.relacl::text, '') as fact
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p', 'v') and n.nspname = any(%(schemas)s)""",
}
"""Facts of a schema by kind: what a restoration must not lose beside rows."""


@dataclass(frozen=True)
class Copied:
    """One table's rows in COPY's text format; `columns` are those that hold data of their own."""

    table: str
    columns: tuple[str, ...]
    rows: bytes = field(repr=False)


@dataclass(frozen=True)
class DatabaseBackup:
    """Every table's rows, at one moment, and each sequence's place."""

    tables: tuple[Copied, ...]
    sequences: tuple[tuple[str, int, bool], ...]

    @property
    def size(self) -> int:
        """Bytes of rows."""
        return sum(len(table.rows) for table in self.tables)


@contextmanager
def connected(dsn: str, permit: Permit) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """One transaction of its own, which ends with the block."""
    permit.contact(dsn)
    with psycopg.connect(dsn, row_factory=psycopg.rows.dict_row, connect_timeout=10) as connection:
        yield connection


def back_up(dsn: str, permit: Permit) -> DatabaseBackup:
    """Reads everything in one snapshot, so that rows of different tables belong together."""
    with connected(dsn, permit) as db:
        db.execute("set transaction isolation level repeatable read, read only")
        tables = []
        for table in _tables(db):
            query = sql.SQL("copy (select {} from {}) to stdout").format(_columns(table), _name(table))
            with db.cursor().copy(query) as copy:
                rows = b"".join(bytes(block) for block in copy)
            tables.append(Copied(f"{table['schema']}.{table['name']}", tuple(table["columns"]), rows))
        sequences = db.execute(
            "select format('%%I.%%I', schemaname, sequencename) as name, last_value from pg_sequences "
            "where schemaname = any(%s) and last_value is not null",
            (list(SCHEMAS),),
        ).fetchall()
    return DatabaseBackup(tuple(tables), tuple((s["name"], s["last_value"], True) for s in sequences))


def restore(backup: DatabaseBackup, dsn: str, permit: Permit) -> None:
    """Puts the rows into an empty project in one transaction: all of them, or none.

    Raises Missed for rows that the project does not take: what stands in no migration is lost with a restoration.
    """
    with connected(dsn, permit) as db:
        db.execute("set session_replication_role = replica")
        kept = {f"{t['schema']}.{t['name']}" for t in _tables(db)}
        for table in backup.tables:
            if table.table not in kept:
                raise _not_taken(table.table, "there is no such table: no migration makes it")
            schema, name = table.table.split(".", 1)
            target = sql.Identifier(schema, name)
            if table.table == OBJECTS:
                _owners(db, table)
                continue
            db.execute(
                sql.SQL("delete from {}").format(target)
            )  # what migrations put there comes back with the rows
            columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
            try:
                with db.cursor().copy(sql.SQL("copy {} ({}) from stdin").format(target, columns)) as copy:
                    copy.write(table.rows)
            except (psycopg.ProgrammingError, psycopg.IntegrityError, psycopg.DataError) as error:
                raise _not_taken(table.table, str(error).partition("\n")[0]) from error
        for sequence, value, called in backup.sequences:
            db.execute("select setval(%s::regclass, %s, %s)", (sequence, value, called))


def _not_taken(table: str, why: str) -> Missed:
    return Missed(
        f"an empty project takes back the rows of {table}",
        expected="the table, with its columns and rules, from the project's migrations",
        saw=why,
        service="supabase.database",
    )


def _owners(db: psycopg.Connection[dict[str, Any]], objects: Copied) -> None:
    """Gives each object that was put back its owner and its own metadata again."""
    columns = sql.SQL(", ").join(map(sql.Identifier, objects.columns))
    db.execute("create temporary table backed_up on commit drop as select * from storage.objects limit 0")
    with db.cursor().copy(sql.SQL("copy backed_up ({}) from stdin").format(columns)) as copy:
        copy.write(objects.rows)
    db.execute(
        "update storage.objects o set owner = b.owner, owner_id = b.owner_id, user_metadata = b.user_metadata "
        "from backed_up b where (b.bucket_id, b.name) = (o.bucket_id, o.name)"
    )


def rows_and_facts(dsn: str, permit: Permit) -> dict[str, str]:
    """Each row by its table and key, and each fact of the schema, with a digest of what it says."""
    found: dict[str, str] = {}
    with connected(dsn, permit) as db:
        db.execute("set transaction isolation level repeatable read, read only")
        for table in _tables(db):
            full = f"{table['schema']}.{table['name']}"
            key = sql.SQL(", ").join(
                sql.SQL("t.{}").format(sql.Identifier(c)) for c in table["key"] or table["columns"]
            )
            query = _OBJECT_ROWS if full == OBJECTS else _ROWS.format(key, _name(table))
            for row in db.execute(query):
                found[f"row {row['key']} of {full}"] = row["row"]
        for kind, query_text in _FACTS.items():
            for fact in db.execute(query_text.encode(), {"schemas": list(SCHEMAS)}):
                found[f"{kind} {fact['name']}"] = hashlib.sha256(str(fact["fact"]).encode()).hexdigest()
    return found


def _tables(db: psycopg.Connection[dict[str, Any]]) -> list[dict[str, Any]]:
    found = db.execute(_TABLES.encode(), (list(SCHEMAS),)).fetchall()
    return [table for table in found if f"{table['schema']}.{table['name']}" not in SKIPPED]


def _name(table: dict[str, Any]) -> sql.Identifier:
    return sql.Identifier(table["schema"], table["name"])


def _columns(table: dict[str, Any]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, table["columns"]))
