"""Whether the REST API and SQL speak of one database, told by reading alone."""

from __future__ import annotations

from psycopg import sql as words

from clients.service_clients import ServiceClients
from clients.sql import Sql
from core.clock import eventually
from core.description import Description

DATABASE = "supabase.database"


def expect_same_database(sql: Sql, services: ServiceClients, described: Description) -> str:
    """What both show, in words. Missed where the REST API does not show what SQL holds.

    One row of the first described table that has any, by its primary key; where none holds a row, REST must show none.
    Tried again for a while, since people and other checks remove rows meanwhile.
    """
    keys = _keys(sql, described)
    found = {}

    def agree() -> bool:
        for table, column in keys.items():
            query = words.SQL("select {}::text from public.{} limit 1").format(
                words.Identifier(column), words.Identifier(table)
            )
            if (key := sql.value(query.as_string())) is not None:
                found["shown"] = f"a row of {table}"
                return len(services.database.rows_past_policies(table, **{column: key})) == 1
        found["shown"] = f"{len(keys)} empty tables"
        return not any(services.database.rows_past_policies(table) for table in keys)

    eventually(
        agree, within=10, claim="the REST API shows a row that SQL holds in this database", service=DATABASE
    )
    return found["shown"]


def _keys(sql: Sql, described: Description) -> dict[str, str]:
    """The primary key's only column, by described table that is there; fitting for a filter of REST."""
    there = sql.rows(
        "select c.relname as name, min(a.attname) as key from pg_index i join pg_class c on c.oid = i.indrelid "
        "join pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey) "
        "where i.indisprimary and c.relnamespace = 'public'::regnamespace "
        "group by c.relname having count(*) = 1 order by c.relname"
    )
    return {row["name"]: row["key"] for row in there if row["name"] in described.database.described}
