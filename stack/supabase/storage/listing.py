"""Lists: keys under a prefix, with the part up to the next ``/`` shown as a folder."""

from __future__ import annotations

import base64
from typing import Any

from stack.supabase.storage.body import base64_text
from stack.supabase.storage.errors import bad_request, left_out
from stack.supabase.storage.objects import listed

COLUMNS = ("name", "updated_at", "created_at", "last_accessed_at")
# Of every key that begins with the prefix, only its next part: a file if nothing follows, else a folder.
PARTS = """
with entry as (
  select split_part(substr(name, $3), '/', 1) as part, position('/' in substr(name, $3)) > 0 as folder,
    id::text, name, updated_at, created_at, last_accessed_at, metadata
  from storage.objects where bucket_id = $1 and starts_with(lower(name), lower($2)))
(select distinct on (part) part, true as folder, null::text as id, part as name, null::timestamptz as updated_at,
   null::timestamptz as created_at, null::timestamptz as last_accessed_at, null::jsonb as metadata from entry where folder)
union all select part, folder, id, name, updated_at, created_at, last_accessed_at, metadata from entry where not folder"""
TREE = f"select case when folder then $2 || part || '/' else name end as whole, p.* from ({PARTS}) p"
FLAT = """
select name as whole, name as part, false as folder, id::text, name, updated_at, created_at, last_accessed_at, metadata
from storage.objects where bucket_id = $1 and starts_with(name, $2) and $3::int is not null"""


def _integer(body: dict[str, Any], name: str, default: int, least: int) -> int:
    value = body.get(name, default)
    if isinstance(value, bool) or not str(value).isdecimal() or int(value) < least:
        raise bad_request(f"body/{name} must be >= {least}")
    return min(int(value), 2**31)


def _sort(body: dict[str, Any]) -> tuple[str, str]:
    given = body.get("sortBy") or {}
    if not isinstance(given, dict):
        raise bad_request("body/sortBy must be object")
    column, order = given.get("column") or "name", given.get("order") or "asc"
    if column not in COLUMNS or order not in ("asc", "desc"):
        raise bad_request("body/sortBy must name a column and asc or desc")
    return column, order


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name) or ""
    if not isinstance(value, str) or "\0" in value:
        raise bad_request(f"body/{name} must be string")
    return value


async def search(db: Any, bucket: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """POST /object/list: one folder, by offset."""
    prefix = _text(body, "prefix")
    prefix = prefix + "/" if prefix and not prefix.endswith("/") else prefix
    column, order = _sort(body)
    limit, offset = min(_integer(body, "limit", 100, 1), 1500), _integer(body, "offset", 0, 0)
    by = f"folder desc, {column} {order}, part {order}" if column != "name" else f'part collate "C" {order}'
    sql = f"select * from ({PARTS}) l order by {by} limit $4 offset $5"
    rows = await db.fetch(sql, bucket, prefix + _text(body, "search"), len(prefix) + 1, limit, offset)
    return [listed({**row, "name": row["part"]}) for row in rows]


async def page(db: Any, bucket: str, body: dict[str, Any]) -> dict[str, Any]:
    """POST /object/list-v2: by cursor, whole keys, folders apart. The cursor holds the order and the last key."""
    prefix, limit = _text(body, "prefix"), min(_integer(body, "limit", 1000, 1), 1000)
    column, order = _sort(body)
    if column != "name":
        raise left_out("a list by cursor in another order than by name")
    after = ""
    if cursor := _text(body, "cursor"):
        order, _, after = base64_text(cursor).partition(":")
        if order not in ("asc", "desc"):
            raise bad_request("Invalid cursor")
    source, beyond = TREE if body.get("with_delimiter") else FLAT, ">" if order == "asc" else "<"
    sql = (
        f"select * from ({source}) l where $5 = '' or whole collate \"C\" {beyond} $5 "
        f'order by whole collate "C" {order} limit $4'
    )
    rows = await db.fetch(sql, bucket, prefix, len(prefix) + 1, limit + 1, after)
    out: dict[str, Any] = {"hasNext": len(rows) > limit, "folders": [], "objects": []}
    for row in rows[:limit]:
        entry = {"key": row["whole"].rstrip("/"), **listed({**row, "name": row["whole"]})}
        out["folders" if row["folder"] else "objects"].append(entry)
    if out["hasNext"]:
        last = rows[limit - 1]["whole"]
        out |= {"nextCursor": base64.b64encode(f"{order}:{last}".encode()).decode(), "nextCursorKey": last}
    return out
