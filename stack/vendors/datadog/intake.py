"""DataDog's browser and server intakes: RUM and logs in, asynchronously indexed.

Sources: the transport of @datadog/browser-sdk 7 (`ddsource`, `dd-api-key`, `dd-evp-encoding`, newline
separated JSON as text/plain, `ddforward` of a proxy given as a text); DataDog's API reference for logs
(limits: 5 MB a payload, 1,000 logs an array; a log over 1 MB is truncated; 202, 400, 401, 403, 413). An
accepted event may still never be indexed: DataDog answers 202 before it reads the events.
"""

from __future__ import annotations

import json
import time
import uuid
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stack.vendors.store import Store
from stack.vendors.web import TooLarge, Unreadable, loads, read, same

RUM = "datadog.rum"
VIEW = "datadog.rum.view"
LOG = "datadog.log"
DROPPED = "datadog.dropped"
PAYLOAD_LIMIT = 5 * 1024 * 1024
LOG_LIMIT = 1024 * 1024
LOGS_LIMIT = 1_000
RUM_TYPES = {"view", "view_update", "action", "error", "resource", "long_task", "vital", "transition"}
OLDEST = 18 * 3600
NEWEST = 2 * 3600
"""Seconds back and ahead that an event's own time may be; outside, it is dropped (logs' documented limit)."""


def refused(status: int, title: str) -> JSONResponse:
    """Return an intake's error."""
    return JSONResponse({"errors": [{"status": str(status), "title": title}]}, status)


def merged(old: Any, new: Any) -> Any:
    """Return a view with a partial update laid over it."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {key: merged(old.get(key), new.get(key, old.get(key))) for key in {**old, **new}}
    return new


class Intake:
    """The hosts browser-intake-datadoghq.com and http-intake.logs.datadoghq.com."""

    def __init__(self, store: Store, variables: dict[str, str], delay: float) -> None:
        self.store = store
        self.client_token = variables["DATADOG_CLIENT_TOKEN"]
        self.api_key = variables["DATADOG_API_KEY"]
        self.application = variables["DATADOG_APPLICATION_ID"]
        self.delay = delay

    def routes(self) -> list[Route]:
        """Return the routes of the intake hosts."""
        return [
            Route("/", self.forwarded, methods=["POST"]),
            Route("/api/v2/rum", self.rum, methods=["POST"]),
            Route("/api/v2/logs", self.logs, methods=["POST"]),
            Route("/api/v2/replay", self.discard, methods=["POST"]),
            Route("/api/v2/profile", self.discard, methods=["POST"]),
        ]

    async def forwarded(self, request: Request) -> Response:
        """`POST /?ddforward=<path and query>`: what the SDK sends to a proxy given as a text."""
        target = urlsplit(request.query_params.get("ddforward", ""))
        surface = {"/api/v2/rum": self.rum, "/api/v2/logs": self.logs}.get(target.path, self.discard)
        if not target.path.startswith("/api/v2/"):
            return refused(404, "Not found")
        request.scope["query_string"] = target.query.encode()
        return await surface(Request(request.scope, request.receive))

    async def rum(self, request: Request) -> Response:
        """`POST /api/v2/rum`: a batch of RUM events of the browser SDK."""
        body = await self._body(request)
        if isinstance(body, Response):
            return body
        with self.store.together():
            for line in body.split(b"\n"):
                if line.strip():
                    self._index_rum(line, dict(request.query_params))
        return self._accepted(request)

    async def logs(self, request: Request) -> Response:
        """`POST /api/v2/logs`: logs of the browser SDK (lines) or of a server (an array or one object)."""
        if not (request.query_params.get("dd-api-key") or request.headers.get("dd-api-key")):
            return refused(401, "Unauthorized")
        body = await self._body(request)
        if isinstance(body, Response):
            return body
        browser = "dd-evp-origin" in request.query_params
        if not browser:
            if len(body) > PAYLOAD_LIMIT:
                return refused(413, "Payload too large")
            try:
                whole = loads(body)
            except ValueError:
                return refused(400, "Bad Request: the body is not JSON")
            items = whole if isinstance(whole, list) else [whole]
            if len(items) > LOGS_LIMIT:
                return refused(413, "Payload too large: more than 1000 logs")
            lines = [json.dumps(item).encode() for item in items]
        else:
            lines = [line for line in body.split(b"\n") if line.strip()]
        with self.store.together():
            for line in lines:
                self._index_log(line, dict(request.query_params))
        return self._accepted(request)

    async def discard(self, request: Request) -> Response:
        """Session replay and profiles: accepted with a good token, counted, not kept."""
        if not self._known(request):
            return refused(403, "Forbidden")
        self.store.append("datadog.discarded", {"path": request.url.path})
        return self._accepted(request)

    # -- shared

    def _known(self, request: Request) -> bool:
        given = request.query_params.get("dd-api-key") or request.headers.get("dd-api-key")
        return same(given, self.client_token) or same(given, self.api_key)

    async def _body(self, request: Request) -> bytes | JSONResponse:
        if not self._known(request):
            return refused(403, "Forbidden")
        encoding = request.query_params.get("dd-evp-encoding") or request.headers.get("content-encoding", "")
        try:
            return await read(request, 4 * PAYLOAD_LIMIT, encoding)
        except TooLarge:
            return refused(413, "Payload too large")
        except Unreadable as error:
            return refused(400, f"Bad Request: {error}")

    def _accepted(self, request: Request) -> JSONResponse:
        if "dd-evp-origin" in request.query_params:
            request_id = request.query_params.get("dd-request-id", str(uuid.uuid4()))
            return JSONResponse({"request_id": request_id}, 202)
        return JSONResponse({}, 202)

    def _drop(self, why: str, line: bytes) -> None:
        self.store.append(DROPPED, {"why": why, "event": line[:500].decode(errors="replace")})

    @staticmethod
    def _tags(*texts: str | None) -> list[str]:
        return list(dict.fromkeys(tag.strip() for text in texts if text for tag in text.split(",") if tag))

    def _index_rum(self, line: bytes, parameters: dict[str, str]) -> None:
        try:
            event = loads(line)
        except ValueError:
            self._drop("not JSON", line)
            return
        if not isinstance(event, dict) or event.get("type") not in RUM_TYPES:
            if not (isinstance(event, dict) and event.get("type") == "telemetry"):
                self._drop("not a RUM event", line)
            return
        application = event.get("application")
        if not isinstance(application, dict) or not same(application.get("id"), self.application):
            self._drop("application.id is not an application of this client token", line)
            return
        date = event.get("date")
        if isinstance(date, bool) or not isinstance(date, int | float):
            self._drop("date is not a number of milliseconds", line)
            return
        at, now = date / 1000, time.time()
        if not now - OLDEST <= at <= now + NEWEST:
            self._drop("too old or too new", line)
            return
        missing = [part for part in ("session", "view") if not isinstance(event.get(part), dict)]
        if any("id" not in event[part] for part in ("session", "view") if part not in missing) or missing:
            self._drop("session.id or view.id is missing", line)
            return
        tags = self._tags(parameters.get("ddtags"), event.get("ddtags"))
        if event["type"] in ("view", "view_update"):
            event = self._latest_view(event)
        body = {"attributes": event, "service": event.get("service", ""), "tags": tags}
        if event["type"] == "view":
            self.store.put(VIEW, event["view"]["id"], event)
            self.store.replace_event(RUM, body, key=f"view:{event['view']['id']}", at=at, delay=self.delay)
        else:
            self.store.append(RUM, body, at=at, delay=self.delay)

    def _latest_view(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return the view as it stands with this update, which may be an older one arriving late."""
        old = self.store.get(VIEW, str(event["view"]["id"]))
        if old is None:
            return {**event, "type": "view"}

        def version(view: dict[str, Any]) -> float:
            return float((view.get("_dd") or {}).get("document_version", 0))

        if version(event) < version(old):
            return dict(old)
        if event["type"] == "view_update":
            return {**merged(old, event), "type": "view"}
        return event

    def _index_log(self, line: bytes, parameters: dict[str, str]) -> None:
        try:
            log = loads(line)
        except ValueError:
            self._drop("not JSON", line)
            return
        if not isinstance(log, dict):
            self._drop("not a log", line)
            return
        message = str(log.get("message", ""))
        if (over := len(line) - LOG_LIMIT) > 0:
            raw = message.encode()
            message = raw[: max(0, len(raw) - over)].decode(errors="ignore")
        date = log.get("date", log.get("timestamp"))
        at = date / 1000 if isinstance(date, int | float) and not isinstance(date, bool) else time.time()
        if not time.time() - OLDEST <= at <= time.time() + NEWEST:
            self._drop("too old or too new", line)
            return
        reserved = ("message", "service", "hostname", "host", "status", "ddtags", "ddsource")
        body = {
            "attributes": {key: value for key, value in log.items() if key not in reserved},
            "message": message,
            "service": log.get("service") or parameters.get("service", ""),
            "host": log.get("hostname") or log.get("host") or parameters.get("hostname", ""),
            "status": log.get("status", "info"),
            "source": log.get("ddsource") or parameters.get("ddsource", ""),
            "tags": self._tags(log.get("ddtags"), parameters.get("ddtags")),
        }
        self.store.append(LOG, body, at=at, delay=self.delay)
