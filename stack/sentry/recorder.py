"""The envelope recorder: what Sentry's SDKs speak to, in front of Bugsink.

Everything is validated as Sentry's Relay does. Errors go on to Bugsink, which is the judge of them; what
Bugsink drops and yet answers 200 (transactions, sessions, attachments, check-ins, feedback, logs) is kept
here. The header X-Assay-Engine says who answered.
"""

from __future__ import annotations

import base64
import json
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stack.sentry.bugsink import Bugsink
from stack.sentry.envelope import Envelope, EnvelopeRefused, Item, check_sizes, credentials, decompress, parse
from stack.sentry.variables import PROJECT_ID
from stack.vendors.store import LOSING, Store
from stack.vendors.web import loads, same

EVENT = "sentry.event"
TRANSACTION = "sentry.transaction"
SESSION = "sentry.session"
ATTACHMENT = "sentry.attachment"
SPAN = "sentry.span"
LOG = "sentry.log"
CHECK_IN = "sentry.check_in"
FEEDBACK = "sentry.feedback"
OTHER = "sentry.other"
BY_BUGSINK = {"X-Assay-Engine": "bugsink"}
BY_RECORDER = {"X-Assay-Engine": "recorder"}

CONTAINERS = {"span": SPAN, "log": LOG}
"""Item types that may hold many records at once (`item_count`, `{"items": [...]}`)."""

Listener = Callable[[str, dict[str, Any]], Awaitable[None]]


def seconds(value: Any) -> float:
    """Return epoch seconds of a Sentry timestamp (number or RFC 3339); now when absent or unreadable."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value).timestamp()
        except ValueError:
            return time.time()
    return time.time()


class Recorder:
    """The ingest surface of one project."""

    def __init__(self, store: Store, bugsink: Bugsink, options: dict[str, Any]) -> None:
        self.store = store
        self.bugsink = bugsink
        self.rate_limit: int | None = options.get("events_per_minute")
        self._window, self._taken = 0, 0
        self._client = httpx.AsyncClient(
            base_url=bugsink.url, timeout=30, trust_env=False, limits=httpx.Limits(max_connections=16)
        )
        self.listeners: list[Listener] = []
        """Called with each accepted error's id and payload (alert rules listen here)."""

    def routes(self) -> list[Route]:
        """Return the routes of the data source name's host."""
        return [
            Route("/api/{project:int}/envelope/", self.envelope, methods=["POST"]),
            Route("/api/{project:int}/store/", self.stored, methods=["POST"]),
        ]

    async def close(self) -> None:
        """Close the connections to Bugsink."""
        await self._client.aclose()

    # -- ingest

    async def envelope(self, request: Request) -> Response:
        """`POST /api/<project>/envelope/`."""
        try:
            envelope = parse(await self._clear(request), await self._compressed(request))
            self._authenticate(request, envelope.headers)
            self._throttle()
            return await self._take(envelope)
        except EnvelopeRefused as refused:
            return self._refusal(refused)

    async def stored(self, request: Request) -> Response:
        """`POST /api/<project>/store/`: one error event, without an envelope (older SDKs)."""
        try:
            self._authenticate(request, None)
            self._throttle()
            body = await self._clear(request)
            try:
                event = loads(body)
            except ValueError as error:
                raise EnvelopeRefused(400, f"invalid JSON data: {error}") from error
            if not isinstance(event, dict):
                raise EnvelopeRefused(400, "invalid JSON data: expected an object")
            event_id = str(event.setdefault("event_id", uuid.uuid4().hex))
            try:
                headers = {"event_id": uuid.UUID(event_id).hex}
            except ValueError as error:
                raise EnvelopeRefused(400, "invalid event id") from error
            item = Item({"type": "event", "content_type": "application/json"}, json.dumps(event).encode())
            check_sizes([item], await self._compressed(request))
            return await self._take(Envelope(headers, [item]))
        except EnvelopeRefused as refused:
            return self._refusal(refused)

    @staticmethod
    async def _clear(request: Request) -> bytes:
        return decompress(await request.body(), request.headers.get("content-encoding", ""))

    @staticmethod
    async def _compressed(request: Request) -> int:
        """Return how many bytes of a compressed body came, 0 when it came in the clear."""
        return (
            len(await request.body())
            if request.headers.get("content-encoding", "identity") != "identity"
            else 0
        )

    @staticmethod
    def _refusal(refused: EnvelopeRefused) -> Response:
        headers = dict(BY_RECORDER)
        if refused.status == 429:
            headers |= {"Retry-After": "60", "X-Sentry-Rate-Limits": "60::organization"}
        return JSONResponse(refused.body(), refused.status, headers)

    def _authenticate(self, request: Request, envelope: dict[str, Any] | None) -> None:
        given = credentials(dict(request.headers), dict(request.query_params), envelope)
        if not same(given.lower(), self.bugsink.key) or request.path_params["project"] != PROJECT_ID:
            raise EnvelopeRefused(403, "event submission rejected with_reason: ProjectId")

    def _throttle(self) -> None:
        if self.rate_limit is None:
            return
        window = int(time.time() // 60)
        if window != self._window:
            self._window, self._taken = window, 0
        self._taken += 1
        if self._taken > self.rate_limit:
            raise EnvelopeRefused(
                429, "Sentry dropped data due to a quota or internal rate limit being reached."
            )

    async def _take(self, envelope: Envelope) -> Response:
        errors = [item for item in envelope.items if item.type == "event"]
        others = [item for item in envelope.items if item.type != "event"]
        event_id = envelope.event_id
        payload: dict[str, Any] = {}
        if errors:
            found = errors[0].json()
            if not isinstance(found, dict):
                raise EnvelopeRefused(400, "invalid event envelope", "the event is not an object")
            payload = found
            try:
                event_id = event_id or uuid.UUID(str(payload["event_id"])).hex
            except (KeyError, ValueError) as error:
                raise EnvelopeRefused(400, "invalid event id") from error
        elif any(item.type in ("transaction", "attachment", "feedback") for item in others):
            event_id = event_id or uuid.uuid4().hex
        with self.store.together():
            for item in others:
                self._keep(item, event_id, envelope.headers)
        if errors and not LOSING.get():
            await self._forward(envelope, errors[0], payload, event_id or "")
        answer = {"id": event_id} if event_id else {}
        return JSONResponse(answer, headers=BY_BUGSINK if errors else BY_RECORDER)

    async def _forward(self, envelope: Envelope, item: Item, payload: dict[str, Any], event_id: str) -> None:
        """Hand an error on to Bugsink; raises Refused with what it says."""
        headers = {name: value for name, value in envelope.headers.items() if name in ("event_id", "sent_at")}
        clean = Item(
            item.headers, json.dumps(payload, ensure_ascii=False).encode()
        )  # no half pairs of surrogates
        body = Envelope({**headers, "event_id": event_id}, []).serialize([clean])
        try:
            answer = await self._client.post(
                f"/api/{PROJECT_ID}/envelope/",
                params={"sentry_key": self.bugsink.key},
                content=body,
                headers={"Content-Type": "application/x-sentry-envelope"},
            )
        except httpx.HTTPError as error:
            print(f"sentry: Bugsink did not take an event: {error!r}", file=sys.stderr)
            raise EnvelopeRefused(503, "could not schedule event processing") from error
        if not answer.is_success:
            print(f"sentry: Bugsink answered {answer.status_code}: {answer.text[:300]}", file=sys.stderr)
            detail = "could not schedule event processing" if answer.status_code >= 500 else answer.text[:300]
            raise EnvelopeRefused(503 if answer.status_code >= 500 else answer.status_code, detail)
        self.store.append(
            EVENT,
            {"event_id": event_id, "sdk": envelope.headers.get("sdk") or payload.get("sdk")},
            at=seconds(payload.get("timestamp")),
            key=event_id,
        )
        for tell in self.listeners:
            await tell(event_id, payload)

    def _keep(self, item: Item, event_id: str | None, headers: dict[str, Any]) -> None:
        """Keep one item that is not an error; raises Refused where its payload cannot be read."""
        kind = item.type
        if kind == "transaction":
            body = self._object(item)
            body.setdefault("event_id", event_id)
            self.store.append(TRANSACTION, body, at=seconds(body.get("timestamp")), key=body["event_id"])
        elif kind in CONTAINERS:
            self._keep_container(kind, self._object(item), item.headers)
        elif kind in ("session", "sessions"):
            self._keep_sessions(kind, self._object(item))
        elif kind == "attachment":
            body = {
                "id": uuid.uuid4().hex,
                "event_id": event_id,
                "name": str(item.headers.get("filename", "unnamed")),
                "mimetype": item.headers.get("content_type", "application/octet-stream"),
                "type": item.headers.get("attachment_type", "event.attachment"),
                "size": len(item.payload),
                "content": base64.b64encode(item.payload).decode(),
            }
            self.store.append(ATTACHMENT, body, key=body["id"])
        elif kind == "check_in":
            body = self._object(item)
            if body.get("status") not in ("ok", "error", "in_progress"):
                raise EnvelopeRefused(400, "invalid event envelope", "unknown check-in status")
            self.store.append(CHECK_IN, body)
        elif kind in ("feedback", "user_report"):
            self.store.append(FEEDBACK, {**self._object(item), "event_id": event_id})
        else:
            shown = item.payload[:20_000].decode(errors="replace")
            self.store.append(OTHER, {"type": kind, "headers": item.headers, "payload": shown})

    def _keep_container(self, kind: str, body: dict[str, Any], headers: dict[str, Any]) -> None:
        """Keep spans or logs that an SDK streams, many in one item; raises Refused where they are not."""
        items = body.get("items") if "item_count" in headers else [body]
        if not isinstance(items, list) or headers.get("item_count", len(items)) != len(items):
            raise EnvelopeRefused(
                400, "invalid event envelope", f"item_count of the {kind} container is wrong"
            )
        for one in items:
            if not isinstance(one, dict) or not one.get("trace_id"):
                raise EnvelopeRefused(400, "invalid event envelope", f"a {kind} has no trace_id")
            ended = one.get("end_timestamp") or one.get("timestamp")
            self.store.append(CONTAINERS[kind], one, at=seconds(ended))

    @staticmethod
    def _object(item: Item) -> dict[str, Any]:
        body = item.json()
        if not isinstance(body, dict):
            raise EnvelopeRefused(400, "invalid event envelope", f"the {item.type} is not an object")
        return body

    def _keep_sessions(self, kind: str, body: dict[str, Any]) -> None:
        attributes = body.get("attrs") or body.get("attributes") or {}
        if not attributes.get("release"):
            return  # Sentry drops a session without a release
        release, environment = attributes["release"], attributes.get("environment", "production")
        if kind == "sessions":
            for aggregate in body.get("aggregates", []):
                shown = {**aggregate, "release": release, "environment": environment, "aggregate": True}
                self.store.append(SESSION, shown, at=seconds(aggregate.get("started")))
            return
        sid = str(body.get("sid", uuid.uuid4().hex))
        shown = {**body, "release": release, "environment": environment, "aggregate": False}
        at = seconds(body.get("started"))
        self.store.replace_event(SESSION, shown, key=sid, at=at, delay=0)
