"""A mock of each service that always answers 200 with something plausible, and keeps nothing.

The liar stands before the real services as a proxy; requests to the one service that it plays are answered
by a lie, all others reach the truth. A lie is made from the request alone: names, sizes and sums that were
sent come back as if stored, identifiers are made up, lists hold one likely entry.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
import uuid
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

NOW = "2026-11-22T12:00:00.000000+00:00"
VARIABLES = {
    "supabase.auth": ("VITE_SUPABASE_URL",),
    "supabase.database": ("VITE_SUPABASE_URL",),
    "supabase.storage": ("VITE_SUPABASE_URL",),
    "r2": ("R2_ENDPOINT",),
    "kv": ("CLOUDFLARE_API_URL",),
    "rooms": ("PLATFORM_URL",),
    "builder": ("BUILDER_API_URL", "BUILDER_WRITE_URL"),
    "sentry": ("SENTRY_URL",),
    "datadog": ("DATADOG_API_URL", "DATADOG_INTAKE_URL"),
    "ga4": ("GA4_DATA_URL", "GA4_COLLECT_URL"),
    "mixpanel": ("MIXPANEL_DATA_URL", "MIXPANEL_API_URL"),
    "platform": ("PLATFORM_URL",),
}
"""The addresses of each service that lead to the liar."""
PATHS = {
    "supabase.auth": "/auth/v1/",
    "supabase.database": "/rest/v1/",
    "supabase.storage": "/storage/v1/",
    "rooms": "/api/rooms/",
}
"""Services that share an address with others: the liar plays these paths alone."""


class Liar:
    """Plays one service. `environment` is that of the real target, its addresses of the service led here."""

    def __init__(self, service: str, environment: Mapping[str, str]) -> None:
        self.service = service
        self.told = 0
        self._truth = {name: environment[name] for name in VARIABLES[service]}
        self._client = httpx.Client(trust_env=False, timeout=30)
        liar = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length) if length else b""
                status, headers, content = liar.answer(self.command, self.path, dict(self.headers), body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _any

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{self._server.server_port}"
        self.environment = {
            **environment,
            **{name: f"{base}/{name}{urlsplit(url).path}".rstrip("/") for name, url in self._truth.items()},
        }
        if service in ("platform", "rooms", "supabase.auth", "supabase.database", "supabase.storage"):
            self.environment[VARIABLES[service][0]] = base  # these services own their address's whole path

    def answer(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """A lie, or the truth where another service is asked."""
        name, rest = self._led(path)
        playing = self.service not in PATHS or rest.startswith(PATHS[self.service])
        if not playing:
            return self._forward(method, self._truth[name] + rest, headers, body)
        self.told += 1
        if headers.get("Upgrade"):
            return 200, {"Content-Type": "text/plain"}, b"OK"
        kind, content = lie(self.service, method, rest, body)
        return 200, {"Content-Type": kind, "ETag": '"abc"', "X-Cache": "hit", "X-Trace": "a" * 32}, content

    def _led(self, path: str) -> tuple[str, str]:
        first, _, rest = path.lstrip("/").partition("/")
        if first in self._truth and len(self._truth) + (self.service in PATHS) >= 1 and first.isupper():
            prefix = urlsplit(self._truth[first]).path
            return first, "/" + rest.removeprefix(prefix.lstrip("/")).lstrip("/")
        return next(iter(self._truth)), path

    def _forward(
        self, method: str, url: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        kept = {k: v for k, v in headers.items() if k.lower() not in ("host", "content-length", "connection")}
        answer = self._client.request(method, url, headers=kept, content=body)
        drop = ("content-length", "transfer-encoding", "connection", "content-encoding")
        back = {k: v for k, v in answer.headers.items() if k.lower() not in drop}
        return answer.status_code, back, answer.content

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._client.close()


def lie(service: str, method: str, path: str, body: bytes) -> tuple[str, bytes]:
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
        "datadog": lambda: _of_datadog(),
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


def _of_datadog() -> dict[str, Any]:
    inner = {"type": "view", "view": {"id": "v", "name": "/"}, "session": {"id": "s"}}
    points = [[time.time() * 1000, 5.0]]
    return {
        "data": [{"attributes": {"attributes": inner}}],
        "series": [{"pointlist": points}],
        "request_id": "x",
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
    services = {name: {"ok": True, "ms": 1, "core": True} for name in VARIABLES}
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
