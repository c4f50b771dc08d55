"""Lists: keys under a prefix, with the part up to the next ``/`` shown as a folder."""

from __future__ import annotations

import base64
import json
from typing import Any

from stack.supabase.storage.errors import bad_request
from stack.supabase.storage.objects import listed, stamp

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


def _sort(body: dict[str, Any], columns: tuple[str, ...]) -> tuple[str, str]:
    given = body.get("sortBy") or {}
    if not isinstance(given, dict):
        raise bad_request("body/sortBy must be object")
    column, order = given.get("column") or "name", given.get("order") or "asc"
    if column not in columns or order not in ("asc", "desc"):
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
    column, order = _sort(body, COLUMNS)
    limit, offset = min(_integer(body, "limit", 100, 1), 1500), _integer(body, "offset", 0, 0)
    by = f"folder desc, {column} {order}, part {order}" if column != "name" else f'part collate "C" {order}'
    sql = f"select * from ({PARTS}) l order by {by} limit $4 offset $5"
    rows = await db.fetch(sql, bucket, prefix + _text(body, "search"), len(prefix) + 1, limit, offset)
    return [listed({**row, "name": row["part"]}) for row in rows]


async def page(db: Any, bucket: str, body: dict[str, Any]) -> dict[str, Any]:
    """POST /object/list-v2: by cursor, whole keys, folders apart."""
    prefix, limit = _text(body, "prefix"), min(_integer(body, "limit", 1000, 1), 1000)
    column, order = _sort(body, ("name", "updated_at", "created_at"))
    after, after_value = "", None
    if cursor := _text(body, "cursor"):
        after, column, order, after_value = _opened(cursor)
    moment = (
        "'epoch'::timestamptz"
        if column == "name"
        else f"date_trunc('milliseconds', coalesce({column}, 'epoch'))"
    )
    rows = await db.fetch(
        f"select * from ({TREE if body.get('with_delimiter') else FLAT}) l where $5 = '' or ({moment}, whole collate \"C\") "
        f"{'>' if order == 'asc' else '<'} (coalesce($6::text::timestamptz, 'epoch'), $5) "
        f'order by {moment} {order}, whole collate "C" {order} limit $4',
        bucket, prefix, len(prefix) + 1, limit + 1, after, after_value,
    )  # fmt: skip
    shown = rows[:limit]
    entries = [
        (r["folder"], {"key": r["whole"].rstrip("/"), **listed({**r, "name": r["whole"]})}) for r in shown
    ]
    out: dict[str, Any] = {
        "hasNext": len(rows) > limit, "folders": [e for folder, e in entries if folder],
        "objects": [e for folder, e in entries if not folder],
    }  # fmt: skip
    if out["hasNext"]:
        last = shown[-1]
        value = stamp(last[column]) if column != "name" else None
        state = json.dumps([last["whole"], column, order, value]).encode()
        out |= {"nextCursor": base64.b64encode(state).decode(), "nextCursorKey": last["whole"]}
    return out


def _opened(cursor: str) -> tuple[str, str, str, str | None]:
    try:
        after, column, order, value = json.loads(base64.b64decode(cursor, validate=True))
    except ValueError as error:
        raise bad_request("Invalid cursor") from error
    known = column in COLUMNS and order in ("asc", "desc")
    if not known or not isinstance(after, str) or not isinstance(value, str | None):
        raise bad_request("Invalid cursor")
    return after, column, order, value
