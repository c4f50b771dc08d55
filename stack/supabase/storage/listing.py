"""Lists: keys under a prefix, the part up to the next ``/`` as a folder (supabase/storage, migrations 0050 and 0063).

By name in descending order, the first object of a folder that follows a file does not count: the real server skips it.
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from typing import Any

from stack.supabase.storage.body import base64_text
from stack.supabase.storage.errors import StorageError
from stack.supabase.storage.objects import Row, escaped, full
from stack.supabase.storage.schema import FLAG, ORDER, TEXT, Schema, count, record

TIMES = ["updated_at", "created_at"]
COLUMNS = "name, id, updated_at, created_at, last_accessed_at, metadata"


def _sort(*columns: str) -> Schema:
    """The schema of a ``sortBy``."""
    return record("column", column={"type": "string", "enum": ["name", *columns]}, order=ORDER)


BY_ANY = _sort(*TIMES, "last_accessed_at")
SEARCH = record("prefix", prefix=TEXT, limit=count(1), offset=count(0), sortBy=BY_ANY, search=TEXT)
PAGE = record(prefix=TEXT, limit=count(1), cursor=TEXT, with_delimiter=FLAG, sortBy=_sort(*TIMES))
# One level by {key}, which orders it: files, and of what stands deeper the part up to the next `/` after {depth} letters.
LEVEL = """
with found as (
  select *, lag(cut) over (order by key {order}) = 0 as after_file from (
    select o.*, {key} collate "C" as key, position('/' in substr(name, {depth} + 1)) as cut
    from storage.objects o where bucket_id = $1 and starts_with({key}, {prefix}) and {begun}) o)
select key as at, name, id::text, updated_at, created_at, last_accessed_at, metadata from found where cut = 0
union all
select left(key, {depth} + cut), rtrim(left((array_agg(name order by key {order}))[1], {depth} + min(cut)), '/'), null,
  null::timestamptz, null::timestamptz, null::timestamptz, null::jsonb
from found where cut > 0 and not ('{order}' = 'desc' and coalesce(after_file, false)) group by 1"""
BY_TIME = """
select * from (select array_to_string(path_tokens[$3:$4], '/') as name, null::text as id, null::timestamptz as updated_at,
    null::timestamptz as created_at, null::timestamptz as last_accessed_at, null::jsonb as metadata
  from storage.objects where bucket_id = $1 and name ilike $2 || '%' and cardinality(path_tokens) <> $4
  group by 1 order by 1 {order}) folders
union all
select * from (select array_to_string(path_tokens[$3:$4], '/'), id::text, updated_at, created_at, last_accessed_at, metadata
  from storage.objects where bucket_id = $1 and name ilike $2 || '%' and cardinality(path_tokens) = $4
  order by {column} {order}) files
limit $5 offset $6"""
# A folder is as old as its oldest object.
PAGE_BY_TIME = """
select * from (
  select rtrim(left(name, $3 + cut), '/') as name, null::text as id, min(created_at) as updated_at,
    min(created_at) as created_at, null::timestamptz as last_accessed_at, null::jsonb as metadata
  from (select *, position('/' in substr(name, $3 + 1)) as cut from storage.objects
    where bucket_id = $1 and name like $2 || '%') o
  where cut > 0 group by left(name, $3 + cut)
  union all
  select name, id::text, updated_at, created_at, last_accessed_at, metadata from storage.objects
  where bucket_id = $1 and name like $2 || '%' and position('/' in substr(name, $3 + 1)) = 0) l"""
FLAT = """
select name, id::text, updated_at, created_at, last_accessed_at, metadata
from storage.objects where bucket_id = $1 and name like $2 || '%' and $3::int is not null"""


async def search(db: Any, bucket: str, body: dict[str, Any]) -> list[Row]:
    """POST /object/list: one folder, by offset; names begin after the prefix."""
    prefix, sought = body["prefix"], body.get("search", "")
    prefix = prefix + "/" if prefix and not prefix.endswith("/") else prefix
    sort = body.get("sortBy", {})
    column, order = sort.get("column", "name"), sort.get("order", "asc")
    limit, offset = min(body.get("limit", 100), 1500), min(body.get("offset", 0), 2**31 - 1)
    if column == "name":
        level = LEVEL.format(
            key="lower(name)", prefix="lower($2)", depth="length($2)", order=order, begun=True
        )
        sql = (
            f"select substr(name, $3 + 1) as {COLUMNS} from ({level}) l "
            f'order by at collate "C" {order} limit $4 offset $5'
        )
        rows = await db.fetch(sql, bucket, prefix + sought, len(prefix), limit, offset)
    else:
        begin, end = prefix.count("/") + 1, (prefix + sought).count("/") + 1
        sql = BY_TIME.format(column=column, order=order)
        rows = await db.fetch(sql, bucket, escaped(prefix + sought), begin, end, limit, offset)
    return [full(row) for row in rows]


async def page(db: Any, bucket: str, body: dict[str, Any]) -> dict[str, Any]:
    """POST /object/list-v2: by cursor, whole keys, folders apart. The cursor holds the order and the last entry."""
    prefix, limit, delimited = (
        body.get("prefix", ""),
        min(body.get("limit", 1000), 1000),
        body.get("with_delimiter"),
    )
    sort = body.get("sortBy", {})
    cursor = _read_cursor(body["cursor"]) if body.get("cursor") else {}
    column, order = cursor.get("c") or sort.get("column"), cursor.get("o") or sort.get("order", "asc")
    sql, values = _page_sql(column, "desc" if order == "desc" else "asc", bool(delimited), cursor)
    values = (bucket, prefix if delimited else escaped(prefix), len(prefix), limit + 1, *values)
    rows = [full(row) for row in await db.fetch(sql, *values)]
    out: dict[str, Any] = {"hasNext": len(rows) > limit, "folders": [], "objects": []}
    if out["hasNext"]:
        last = rows[limit - 1]
        after = last[column] if column in TIMES else None
        parts = {
            "l": last["name"],
            "o": order if cursor or "order" in sort else None,
            "c": column,
            "a": after,
        }
        token = "\n".join(f"{name}:{value}" for name, value in parts.items() if value)
        out |= {"nextCursor": base64.b64encode(token.encode()).decode(), "nextCursorKey": last["name"]}
    for row in rows[:limit]:
        if delimited:
            row = {"key": "".join(row["name"].split("/")[prefix.count("/") :][:1]), **row}
        if row["id"] is None:
            row["name"] += "/"
        out["objects" if row["id"] else "folders"].append(row)
    return out


def _page_sql(
    column: str | None, order: str, delimited: bool, cursor: dict[str, str]
) -> tuple[str, tuple[Any, ...]]:
    """The statement of a page with its last values. By name, a page with folders goes on where the real server does: beyond
    the cursor's folder, or at the first key that is not below the cursor's name and a ``/``.
    """
    up, last = order == "asc", cursor.get("l", "")
    values: tuple[Any, ...] = (last,) if last else ()
    if delimited and column not in TIMES:
        within = "exists (select from storage.objects where bucket_id = $1 and name like $5 || '/%')"
        sign, after, at = (">=", "'0'", "'/'") if up else ("<", "'/'", "''")
        begun = (
            f'name collate "C" {sign} $5 || case when {within} then {after} else {at} end' if last else True
        )
        level = LEVEL.format(key="name", prefix="$2", depth="$3::int", order=order, begun=begun)
        return f'select {COLUMNS} from ({level}) l order by at collate "C" {order} limit $4', values
    sign, where, by = ">" if up else "<", "true", f'name collate "C" {order}'
    if last:
        where = f'name collate "C" {sign} $5'
    if column in TIMES:
        time = f"date_trunc('milliseconds', {column})"
        if last and "a" in cursor:
            where, values = f'({time}, name collate "C") {sign} ($6, $5)', (last, _moment(cursor["a"]))
        by = f"{time if delimited else column} {order}, {by}"
    source = PAGE_BY_TIME if delimited else FLAT
    return f"select {COLUMNS} from ({source}) l where {where} order by {by} limit $4", values


def _read_cursor(cursor: str) -> dict[str, str]:
    """A cursor's parts: the last name, the order, the column and the last entry's time. Raises StorageError."""
    parts = [re.match(r"([loca]):(.*)", part) for part in base64_text(cursor).split("\n")]
    if not all(parts):
        raise StorageError("InvalidParameter", "Invalid Parameter continuation token")
    return {"o": "asc", **{part[1]: part[2] for part in parts if part}}


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError as error:
        words = f'invalid input syntax for type timestamp with time zone: "{text}"'
        raise StorageError("InvalidParameter", words) from error
