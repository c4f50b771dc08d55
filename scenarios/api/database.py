"""The typical queries of perf.database, as the web app asks them through the REST API under row-level security."""

from __future__ import annotations

import json
from typing import Any

from core.port import Answer, Port
from scenarios.api.place import Place

KINDS = ("posts", "profile", "insert")
"""Labels of perf.database: twenty posts with their authors, one profile, an insert with its audit row."""


def latest_posts(port: Port, place: Place, token: str, *, limit: int = 20) -> Answer:
    """The newest published posts with their authors; the body is a list of rows."""
    query = (
        "select=id,title,body,created_at,author:profiles(id,username,display_name)"
        f"&status=eq.published&order=created_at.desc&limit={limit}"
    )
    return port.request("GET", f"{place.supabase}/rest/v1/posts?{query}", headers=place.rest_headers(token))


def profile(port: Port, place: Place, token: str, user: str) -> Answer:
    """One profile by id; the body is a list of one row."""
    return port.request(
        "GET", f"{place.supabase}/rest/v1/profiles?select=*&id=eq.{user}", headers=place.rest_headers(token)
    )


def write_post(
    port: Port,
    place: Place,
    token: str,
    *,
    title: str,
    body: str,
    status: str = "draft",
    tags: tuple[str, ...] = (),
) -> Answer:
    """Inserts one post as its author; the body is a list of the row as stored."""
    row: dict[str, Any] = {"title": title, "body": body, "status": status, "tags": list(tags)}
    headers = place.rest_headers(token) | {
        "Content-Type": "application/json",
        "Prefer": "return=representation",
    }
    return port.request(
        "POST", f"{place.supabase}/rest/v1/posts", headers=headers, body=json.dumps(row).encode()
    )


def is_right(kind: str, answer: Answer, *, user: str = "", title: str = "") -> bool:
    """Whether a query's answer holds what was asked for, beyond its status."""
    if answer.status not in (200, 201):
        return False
    rows = answer.json()
    if not isinstance(rows, list):
        return False
    match kind:
        case "posts":
            return all("title" in row and row.get("author") for row in rows)
        case "profile":
            return len(rows) == 1 and rows[0].get("id") == user
        case "insert":
            return len(rows) == 1 and rows[0].get("title") == title
    raise ValueError(f"no typical query is called '{kind}'; known are {', '.join(KINDS)}")
