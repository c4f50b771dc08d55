"""Rows of schema ``auth`` by the names of their columns, which are ours and never a client's."""

from __future__ import annotations

from typing import Any


async def insert(db: Any, table: str, **values: Any) -> None:
    """One row, made and changed now."""
    slots = ", ".join(f"${n}" for n in range(1, len(values) + 1))
    columns = ", ".join((*values, "created_at", "updated_at"))
    await db.execute(f"insert into auth.{table} ({columns}) values ({slots}, now(), now())", *values.values())


async def update(db: Any, table: str, where: dict[str, Any], **values: Any) -> Any:
    """Change the rows where these columns have these values; the first of them as it then is, or None."""
    assign = "".join(f", {name} = ${n}" for n, name in enumerate(values, len(where) + 1))
    sql = f"update auth.{table} set updated_at = now(){assign} where {_match(where)} returning *"
    return await db.fetchrow(sql, *where.values(), *values.values())


async def delete(db: Any, table: str, **where: Any) -> Any:
    """Delete; the first of the rows that were there, or None."""
    return await db.fetchrow(f"delete from auth.{table} where {_match(where)} returning *", *where.values())


async def locked(db: Any, table: str, **where: Any) -> Any:
    """The row where these columns have these values, nobody else's until the transaction ends; or None."""
    return await db.fetchrow(f"select * from auth.{table} where {_match(where)} for update", *where.values())


def _match(where: dict[str, Any]) -> str:
    return " and ".join(f"{name} = ${n}" for n, name in enumerate(where, 1))
