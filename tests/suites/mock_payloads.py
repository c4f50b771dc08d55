"""Plausible answers of each mocked service, made from the request alone; nothing is stored."""

from __future__ import annotations

import hashlib
import json
import re
import time
import uuid
from typing import Any
from urllib.parse import parse_qs, urlsplit

from clients.services.platform import PROBED

NOW = "2026-11-22T12:00:00.000000+00:00"


def plausible_answer(service: str, method: str, path: str, body: bytes) -> tuple[str, bytes]:
    """Content type and body of a plausible answer."""
    parts = urlsplit(path)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    try:
        sent = json.loads(body)
    except ValueError:
        sent = {}
    asked = sent if isinstance(sent, dict) else {}
    match service:
        case "r2":
            return _of_r2(query)
        case "supabase.storage":
            return _of_storage(parts.path, asked)
        case "kv" if "/values/" in parts.path and method == "GET":
            page = {
                "content": {"id": "x", "data": {"title": "A page", "blocks": []}},
                "fetched_at": int(time.time() * 1000),
            }
            return "application/json", json.dumps(page).encode()
        case "mixpanel":
            event = {
                "event": "page_view",
                "properties": {"distinct_id": "somebody", "time": int(time.time())},
            }
            text = json.dumps(event) if "export" in parts.path else '{"status": 1, "error": null}'
            return "text/plain", text.encode()
    made = {
        "supabase.auth": lambda: _of_auth(parts.path, asked),
        "supabase.database": lambda: _of_rest(parts.path, sent, query),
        "kv": lambda: {
            "success": True,
            "errors": [],
            "result": [{"name": query.get("prefix", "k") + "||"}],
            "result_info": {},
        },
        "rooms": lambda: {"messages": [_message()], "last_id": 1, "first_id": 1, "more": False},
        "builder": lambda: _of_builder(asked, query),
        "sentry": lambda: _of_sentry(parts.path),
        "datadog": lambda: _of_datadog(parts.path),
        "ga4": lambda: {
            "rows": [{"metricValues": [{"value": "1"}]}],
            "rowCount": 1,
            "validationMessages": [],
        },
        "platform": lambda: _of_platform(parts.path, asked, query, body),
    }[service]()
    return "application/json", json.dumps(made).encode()


def _of_auth(path: str, asked: dict[str, Any]) -> dict[str, Any]:
    user = {
        "id": str(uuid.uuid4()),
        "aud": "authenticated",
        "role": "authenticated",
        "email": asked.get("email", "somebody@assay.example"),
        "email_confirmed_at": NOW,
        "created_at": NOW,
        "updated_at": NOW,
        "app_metadata": {"provider": "email"},
        "user_metadata": asked.get("data") or asked.get("user_metadata") or {},
        "identities": [],
        "is_anonymous": False,
    }
    if path.endswith("/admin/users") and not asked:
        return {"users": [user], "aud": "authenticated"}
    if path.endswith(("/token", "/verify")):
        session = {"access_token": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.", "refresh_token": "r" * 12}
        return {**session, "expires_in": 3600, "token_type": "bearer", "user": user}
    return {**user, "keys": [], "users": [user], "action_link": "http://127.0.0.1/", "hashed_token": "x"}


def _of_rest(path: str, sent: Any, query: dict[str, str]) -> Any:
    if "/rpc/" in path:
        return len(sent.get("ids", [])) if "publish" in path else {"now": NOW}
    base = {
        "id": str(uuid.uuid4()),
        "version": 1,
        "created_at": NOW,
        "updated_at": NOW,
        "status": "draft",
        "body": "",
    }
    base |= {name: value.removeprefix("eq.") for name, value in query.items() if value.startswith("eq.")}
    base |= {
        "author": {"id": base["id"], "username": "somebody"},
        "title": "A post",
        "tags": [],
        "username": "somebody",
    }
    given = sent if isinstance(sent, list) else [sent]
    return [{**base, "id": str(uuid.uuid4()), **(row if isinstance(row, dict) else {})} for row in given]


def _of_storage(path: str, asked: dict[str, Any]) -> tuple[str, bytes]:
    if "/list/" in path:
        return "application/json", b"[]"
    if re.search(r"/object/(public/|sign/)?(files|avatars)/", path) and not asked:
        return "application/octet-stream", b"x" * 1000
    return "application/json", json.dumps({"Key": path, "Id": str(uuid.uuid4())}).encode()


def _of_r2(query: dict[str, str]) -> tuple[str, bytes]:
    if "list-type" in query or "prefix" in query:
        return "application/xml", (
            b'<?xml version="1.0"?><ListBucketResult><Name>b</Name><KeyCount>0</KeyCount>'
            b"<IsTruncated>false</IsTruncated></ListBucketResult>"
        )
    return "application/octet-stream", b"x" * 1000


def _of_builder(asked: dict[str, Any], query: dict[str, str]) -> dict[str, Any]:
    entry = {
        "id": uuid.uuid4().hex,
        "name": "A page",
        "published": "published",
        "lastUpdated": int(time.time() * 1000),
    }
    entry |= {"data": {"title": "A page", "blocks": []}, "query": []}
    return {**entry, **asked, "results": [entry]} if not query.get("userAttributes") else {"results": [entry]}


def _of_sentry(path: str) -> Any:
    event = {
        "id": uuid.uuid4().hex,
        "eventID": uuid.uuid4().hex,
        "title": "Error: something",
        "tags": [{"key": "environment", "value": "production"}],
        "user": {"id": "1"},
        "release": {"version": "1.0.0"},
    }
    if path.endswith(("/sessions/",)):
        return {"groups": [{"by": {}, "totals": {"sum(session)": 7}}]}
    if "/organizations/" in path and path.endswith("/events/"):
        return {
            "data": [{"title": "GET /", "trace": "b" * 32, "transaction.duration": 5, "release": "1.0.0"}]
        }
    return [event] if path.endswith(("/events/", "/rules/")) else event


def _of_datadog(path: str) -> dict[str, Any]:
    if "/dashboard" in path:
        return {**_dashboard(), "dashboards": [_dashboard()]}
    if path.endswith("/aggregate"):
        return {"data": {"buckets": [{"by": {}, "computes": {"c0": 7}}]}, "meta": {"status": "done"}}
    inner = {"type": "view", "view": {"id": "v", "name": "/"}, "session": {"id": "s"}}
    points = [[time.time() * 1000, 5.0]]
    return {
        "data": [{"attributes": {"attributes": inner}}],
        "series": [{"pointlist": points}],
        "request_id": "x",
    }


def _dashboard() -> dict[str, Any]:
    """A dashboard that knows neither the application nor what was sent."""
    requests = [
        {"queries": [{"data_source": "metrics", "name": "a", "query": "avg:platform.upload.duration{*}"}]}
    ]
    definition = {"type": "timeseries", "title": "Uploads", "requests": requests}
    return {
        "id": "abc-def-ghi",
        "title": "Platform",
        "layout_type": "ordered",
        "widgets": [{"id": 1, "definition": definition}],
    }


def _message() -> dict[str, Any]:
    return {
        "id": 1,
        "client_id": "c1",
        "user": {"id": "x", "name": "x"},
        "body": "hello",
        "at": 1,
        "type": "message",
    }


def _of_platform(path: str, asked: dict[str, Any], query: dict[str, str], body: bytes) -> dict[str, Any]:
    store = "r2" if len(body) > 5 * 1024 * 1024 else "supabase"
    file = {
        "id": str(uuid.uuid4()),
        "name": asked.get("name") or query.get("name", "a.bin"),
        "folder": asked.get("folder") or query.get("folder", "/"),
        "size": len(body),
        "mime": "application/octet-stream",
        "sha256": hashlib.sha256(body).hexdigest(),
        "store": store,
        "object_key": f"{uuid.uuid4()}/{uuid.uuid4()}",
        "status": "ready",
        "version": 1,
        "created_at": NOW,
        "updated_at": NOW,
    }
    upload = {
        "id": str(uuid.uuid4()),
        "part_size": 8 * 1024 * 1024,
        "parts": 2,
        "store": "r2",
        "received": [1, 2],
    }
    services = {name: {"ok": True, "ms": 1, "core": True} for name in PROBED}
    return {
        "file": file,
        "files": [file],
        "total": 1,
        "versions": [file],
        "upload": upload,
        "results": [{"id": o.get("id"), "ok": True} for o in asked.get("ops", []) if isinstance(o, dict)],
        "path": query.get("path", "/"),
        "html": "<p>Welcome</p>",
        "title": "A page",
        "accepted": True,
        "version": "1.0.0",
        "environment": "production",
        "status": "ok",
        "services": services,
        "id": str(uuid.uuid4()),
        "url": f"/api/files/{file['id']}/content?version=1&exp=9999999999&sig=abc",
        "refreshed": [query.get("path", "/")],
        "messages": [_message()],
        "more": False,
        "last_id": 1,
        "part": 1,
        "etag": "abc",
    }
