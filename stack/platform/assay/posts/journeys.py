"""The typical queries of perf.database, as the web app asks them through the REST API under row-level security."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from core.port import Answer, Port
from scenarios.api.endpoints import Endpoints

TITLE = "load"
"""First word of every post that a load makes."""
KINDS = ("posts", "profile", "insert")
"""Labels of perf.database: twenty posts with their authors, one profile, an insert with its audit row."""


def latest_posts(port: Port, endpoints: Endpoints, token: str, *, limit: int = 20) -> Answer:
    """The newest published posts with their authors; the body is a list of rows."""
    query = (
        "select=id,title,body,created_at,author:profiles(id,username,display_name)"
        f"&status=eq.published&order=created_at.desc&limit={limit}"
    )
    return port.request(
        "GET", f"{endpoints.supabase}/rest/v1/posts?{query}", headers=endpoints.rest_headers(token)
    )


def profile(port: Port, endpoints: Endpoints, token: str, user: str) -> Answer:
    """One profile by id; the body is a list of one row."""
    return port.request(
        "GET",
        f"{endpoints.supabase}/rest/v1/profiles?select=*&id=eq.{user}",
        headers=endpoints.rest_headers(token),
    )


def write_post(
    port: Port,
    endpoints: Endpoints,
    token: str,
    *,
    title: str,
    body: str,
    status: str = "draft",
    tags: tuple[str, ...] = (),
    identifier: str = "",
) -> Answer:
    """Inserts one post as its author, under an id of one's own if given; the body is a list of the row as stored."""
    row: dict[str, Any] = {"title": title, "body": body, "status": status, "tags": list(tags)}
    if identifier:
        row["id"] = identifier
    headers = endpoints.rest_headers(token) | {
        "Content-Type": "application/json",
        "Prefer": "return=representation",
    }
    return port.request(
        "POST", f"{endpoints.supabase}/rest/v1/posts", headers=headers, body=json.dumps(row).encode()
    )


def search_posts(port: Port, endpoints: Endpoints, token: str, word: str, *, limit: int = 20) -> Answer:
    """Published posts whose title holds a word, as the page of posts searches."""
    query = f"select=id,title,body&title=ilike.*{quote(word)}*&status=eq.published&order=id.asc&limit={limit}"
    return port.request(
        "GET", f"{endpoints.supabase}/rest/v1/posts?{query}", headers=endpoints.rest_headers(token)
    )


def page_of_posts(
    port: Port, endpoints: Endpoints, token: str, start: str, number: int, *, size: int = 20
) -> Answer:
    """Page `number` (0…) of the published posts whose title begins with `start`, with the exact total."""
    query = (
        f"select=id,title,body&title=like.{quote(start)}*&status=eq.published&order=id.asc"
        f"&limit={size}&offset={number * size}"
    )
    headers = endpoints.rest_headers(token) | {"Prefer": "count=exact"}
    return port.request("GET", f"{endpoints.supabase}/rest/v1/posts?{query}", headers=headers)


def drafts(port: Port, endpoints: Endpoints, token: str, *, limit: int = 20) -> Answer:
    """The oldest drafts that one may see: row-level security leaves one's own alone."""
    query = f"select=id,title,body,author_id&status=eq.draft&order=created_at.asc&limit={limit}"
    return port.request(
        "GET", f"{endpoints.supabase}/rest/v1/posts?{query}", headers=endpoints.rest_headers(token)
    )


def audit_of(port: Port, endpoints: Endpoints, token: str, entity: str) -> Answer:
    """The audit entries of one row that its writer may read."""
    query = f"select=actor,action,entity,entity_id&entity_id=eq.{entity}"
    return port.request(
        "GET", f"{endpoints.supabase}/rest/v1/audit_log?{query}", headers=endpoints.rest_headers(token)
    )


def rewrite_post(port: Port, endpoints: Endpoints, token: str, post: str, body: str) -> Answer:
    """Gives one's own post another body; the answer is a list of the row as stored."""
    headers = endpoints.rest_headers(token) | {
        "Content-Type": "application/json",
        "Prefer": "return=representation",
    }
    return port.request(
        "PATCH",
        f"{endpoints.supabase}/rest/v1/posts?id=eq.{post}&select=id,body,version",
        headers=headers,
        body=json.dumps({"body": body}).encode(),
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
