"""Mixpanel: events and profiles in, raw export and profile query back, and deletion requests.

Sources: Mixpanel's API reference and the OpenAPI descriptions behind it (mixpanel/docs, `openapi/`), "Track
events" (`verbose`; 1 or 0; events of the last five days), "Import events" (strict: 400 with `failed_records`;
2,000 events a batch; NDJSON; service account), "Rate limits" (429), "User profiles" (/engage
operations), "Raw event export" (lines of JSON) and "GDPR API" (`data-deletions/v3.0`); and the clients mixpanel (Python),
mixpanel-browser.
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from stack.vendors.limits import Window
from stack.vendors.mixpanel_rules import (
    change,
    epoch,
    oversized,
    truncated,
    where,
    wrong_event,
    wrong_group,
    wrong_import,
    wrong_profile,
)
from stack.vendors.store import Store, needle
from stack.vendors.web import TooLarge, Unreadable, bearer, loads, read, same

EVENT = "mixpanel.event"
PROFILE = "mixpanel.profile"
GROUP = "mixpanel.group"
DELETION = "mixpanel.deletion"
DROPPED = "mixpanel.dropped"
TRACK_LIMIT = 2_000
IMPORT_LIMIT = 2_000
IMPORT_BYTES = 10 * 1024 * 1024
OLDEST_TRACKED = 5 * 86_400
EXPORT_LIMIT = 100_000
EXPORTS = ((3, 1), (60, 3600))
QUERIES = ((60, 3600),)
"""Raw exports, and queries of profiles, that a project may ask for, each in so many seconds."""


class RecordRefused(Exception):
    """The request gets this answer instead of another."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


class Mixpanel:
    """One Mixpanel project."""

    def __init__(self, store: Store, variables: dict[str, str], options: dict[str, Any]) -> None:
        self.store = store
        self.token = variables["MIXPANEL_TOKEN"]
        self.secret = variables["MIXPANEL_API_SECRET"]
        self.oauth = variables["MIXPANEL_GDPR_TOKEN"]
        self.project = variables["MIXPANEL_PROJECT_ID"]
        self.delay = float(options.get("mixpanel_delay_ms", 200)) / 1000
        limited = options.get("reading_limits", True)
        self._exports = [Window(limit if limited else None, period) for limit, period in EXPORTS]
        self._queries = [Window(limit if limited else None, period) for limit, period in QUERIES]

    # -- api.mixpanel.com

    def routes_api(self) -> list[Route]:
        """Return the routes of api.mixpanel.com."""
        both = ["GET", "POST"]
        return [
            Route("/track", self.track, methods=both),
            Route("/track/", self.track, methods=both),
            Route("/import", self.import_events, methods=["POST"]),
            Route("/engage", self.engage, methods=both),
            Route("/engage/", self.engage, methods=both),
            Route("/groups", self.groups, methods=both),
            Route("/groups/", self.groups, methods=both),
        ]

    async def _items(self, request: Request) -> tuple[list[Any], dict[str, str]]:
        """Return the records sent (JSON body, or `data` as JSON or base64) and the parameters."""
        parameters = dict(request.query_params)
        body = await read(request) if request.method == "POST" else b""
        kind = request.headers.get("content-type", "")
        if "ndjson" in kind:
            return [loads(line) for line in body.decode().splitlines() if line.strip()], parameters
        if "json" in kind or body[:1] in (b"[", b"{"):
            text = body.decode()
        else:
            parameters |= dict(parse_qsl(body.decode(), keep_blank_values=True))
            text = parameters.get("data", "")
            if text[:1] not in ("[", "{"):
                padded = text.replace("-", "+").replace("_", "/")
                text = base64.b64decode(padded + "=" * (-len(padded) % 4)).decode()
        found = loads(text)
        return (found if isinstance(found, list) else [found]), parameters

    async def _received(self, request: Request, *, token: Any, judge: Any, keep: Any) -> Response:
        """Answer `track`, `engage` and `groups`, which share their forms.

        1 means that at least one record is valid and "does not signify a valid project token"; a record with a
        token of nobody's, or of another project's, is taken and shown nowhere in this one.
        """
        parameters = dict(request.query_params)
        try:
            items, parameters = await self._items(request)
        except TooLarge:
            return JSONResponse({"status": 0, "error": "request exceeds max limit"}, 413)
        except (Unreadable, ValueError):
            items = []
        wrong: list[str | None] = ["data, missing or empty"]
        if len(items) > TRACK_LIMIT:
            wrong = [f"request contains more than {TRACK_LIMIT} records"]
        elif items:
            wrong = [judge(item) for item in items]
        error = None if None in wrong else wrong[0]
        with self.store.together():
            for item, why in zip(items, wrong, strict=False):
                why = why or (None if same(str(token(item)), self.token) else "a token of another project")
                if why is None:
                    keep(item)
                else:
                    self.store.append(DROPPED, {"why": why, "path": request.url.path})
        if parameters.get("verbose") == "1":
            return JSONResponse({"error": error, "status": 0 if error else 1})
        return PlainTextResponse("0" if error else "1")

    async def track(self, request: Request) -> Response:
        """`/track`: one or more events; an old one is taken and not kept."""
        return await self._received(
            request,
            token=lambda event: event["properties"]["token"],
            judge=wrong_event,
            keep=self._keep_tracked,
        )

    def _keep_tracked(self, event: dict[str, Any]) -> None:
        if event["event"] == "$create_alias":
            return
        at = epoch(event["properties"].get("time"))
        why = "time, not a number" if at is None else oversized(event)
        if at is None or why or at < time.time() - OLDEST_TRACKED:
            why = why or "time, older than five days"
            self.store.append(DROPPED, {"why": why, "event": event["event"]})
            return
        self._keep(event, at)

    def _keep(self, event: dict[str, Any], at: float) -> bool:
        properties = truncated(event["properties"])
        properties.pop("token", None)
        distinct = str(properties.get("distinct_id", ""))
        insert_id = str(properties.setdefault("$insert_id", uuid.uuid4().hex[:16]))
        properties["time"] = int(at)
        properties["mp_processing_time_ms"] = int(time.time() * 1000)
        key = json.dumps([event["event"], distinct, insert_id, int(at)])
        body = {"event": event["event"], "properties": properties}
        return self.store.append(EVENT, body, at=at, delay=self.delay, key=key)

    # -- import

    def _authenticate(self, request: Request, *, by_token: bool = False) -> None:
        """Refuse a request without the project's secret (or service account) in basic authentication.

        `by_token`: the project's token is enough, as user name with an empty password (import alone).
        """
        scheme, _, coded = request.headers.get("authorization", "").partition(" ")
        try:
            name, _, password = base64.b64decode(coded).decode().partition(":")
        except ValueError:
            name, password = "", ""
        known = same(name, self.secret) or (bool(name) and same(password, self.secret))
        known = known or (by_token and not password and same(name, self.token))
        if scheme.lower() != "basic" or not known:
            error = {"code": 401, "error": "Invalid credentials", "status": "Unauthorized"}
            raise RecordRefused(JSONResponse(error, 401))
        wanted = request.query_params.get("project_id")
        if wanted is not None and not same(wanted, self.project):
            error = {"code": 403, "error": "No access to this project", "status": "Forbidden"}
            raise RecordRefused(JSONResponse(error, 403))

    @staticmethod
    def _throttle(windows: list[Window]) -> None:
        """Refuse a reader who asks too often; Mixpanel does not say when to come back."""
        for window in windows:
            if not window.take():
                error = f"rate limit exceeded: {window.limit} queries in {window.period} s"
                raise RecordRefused(JSONResponse({"error": error, "request": "/api/2.0"}, 429))

    async def import_events(self, request: Request) -> Response:
        """`POST /import`: a batch of events; strict (the default) says which are wrong."""
        try:
            self._authenticate(request, by_token=True)
            items, parameters = await self._items(request)
        except RecordRefused as refused:
            return refused.response
        except TooLarge:
            return self._import_error(413, "request exceeds max limit of 10485760 bytes")
        except (Unreadable, ValueError):
            return self._import_error(400, "invalid JSON")
        if len(items) > IMPORT_LIMIT:
            return self._import_error(413, f"request contains more than {IMPORT_LIMIT} events")
        failed, kept = [], 0
        with self.store.together():
            for index, item in enumerate(items):
                wrong = wrong_import(item)
                if wrong is None:
                    self._keep(item, epoch(item["properties"]["time"]) or 0)
                    kept += 1
                else:
                    field, message = wrong
                    properties = item.get("properties") if isinstance(item, dict) else {}
                    insert_id = properties.get("$insert_id", "") if isinstance(properties, dict) else ""
                    failed.append(
                        {"index": index, "insert_id": insert_id, "field": field, "message": message}
                    )
        strict = parameters.get("strict", "1") != "0"
        if parameters.get("verbose") == "1" and "data" in parameters:
            error = failed[0]["message"] if failed else None
            return JSONResponse({"error": error, "status": 0 if failed else 1}, 400 if failed else 200)
        if failed and strict:
            body = {
                "code": 400,
                "error": "some data points in the request failed validation",
                "failed_records": failed,
                "num_records_imported": kept,
                "status": "Bad Request",
            }
            return JSONResponse(body, 400)
        return JSONResponse({"code": 200, "num_records_imported": kept, "status": "OK"})

    @staticmethod
    def _import_error(code: int, error: str) -> JSONResponse:
        status = {400: "Bad Request", 413: "Request Entity Too Large"}[code]
        return JSONResponse({"code": code, "error": error, "status": status}, code)

    # -- profiles

    async def engage(self, request: Request) -> Response:
        """`/engage`: profile operations."""
        return await self._received(
            request, token=itemgetter("$token"), judge=wrong_profile, keep=self._update_profile
        )

    def _update_profile(self, update: dict[str, Any]) -> None:
        distinct = str(update["$distinct_id"])
        if "$delete" in update:
            self.store.delete(PROFILE, distinct)
            return
        profile = self.store.get(PROFILE, distinct) or {"$distinct_id": distinct, "$properties": {}}
        change(profile["$properties"], update)
        self.store.put(PROFILE, distinct, profile)

    async def groups(self, request: Request) -> Response:
        """`/groups`: group profiles, kept as sent."""

        def keep(update: dict[str, Any]) -> None:
            self.store.put(GROUP, json.dumps([update["$group_key"], update.get("$group_id")]), update)

        return await self._received(request, token=itemgetter("$token"), judge=wrong_group, keep=keep)

    # -- data.mixpanel.com

    def routes_data(self) -> list[Route]:
        """Return the routes of data.mixpanel.com."""
        return [Route("/api/2.0/export", self.export, methods=["GET"])]

    async def export(self, request: Request) -> Response:
        """`GET /api/2.0/export`: visible events of whole days, oldest first, one JSON object a line."""
        try:
            self._authenticate(request)
            self._throttle(self._exports)
        except RecordRefused as refused:
            return refused.response
        asked = request.query_params
        try:
            first = datetime.strptime(asked["from_date"], "%Y-%m-%d").replace(tzinfo=UTC)
            last = datetime.strptime(asked["to_date"], "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=1)
            names = loads(asked["event"]) if asked.get("event") else None
            names = [names] if isinstance(names, str) else names
            condition = where(asked.get("where", ""))
            limit = int(asked.get("limit", EXPORT_LIMIT))
            if not 0 < limit <= EXPORT_LIMIT:
                raise ValueError("limit")
        except KeyError as error:
            return JSONResponse({"error": f"{error.args[0]} is a required parameter"}, 400)
        except ValueError as error:
            return JSONResponse({"error": f"Invalid parameter: {error}"}, 400)
        self._settle()
        events = self.store.events(
            EVENT,
            since=first.timestamp(),
            until=last.timestamp() - 1e-6,
            containing=(needle(names[0]),) if names is not None and len(names) == 1 else (),
            newest_first=False,
        )
        chosen = [
            body
            for _, _, body in events
            if (names is None or body["event"] in names) and condition(body["properties"])
        ]
        lines = "".join(json.dumps(body) + "\n" for body in chosen[:limit])
        return PlainTextResponse(lines, media_type="text/plain")

    # -- mixpanel.com

    def routes_app(self) -> list[Route]:
        """Return the routes of mixpanel.com: profile query and GDPR requests."""
        return [
            Route("/api/query/engage", self.query_profiles, methods=["GET", "POST"]),
            Route("/api/2.0/engage", self.query_profiles, methods=["GET", "POST"]),
            Route("/api/app/data-deletions/v3.0/", self.request_deletion, methods=["POST"]),
            Route("/api/app/data-deletions/v3.0", self.request_deletion, methods=["POST"]),
            Route("/api/app/data-deletions/v3.0/{task}", self.deletion, methods=["GET"]),
        ]

    async def query_profiles(self, request: Request) -> Response:
        """`/api/query/engage`: the profile of one distinct id, or all."""
        try:
            self._authenticate(request)
            self._throttle(self._queries)
        except RecordRefused as refused:
            return refused.response
        asked = {**request.query_params, **dict(parse_qsl((await request.body()).decode()))}
        self._settle()
        profiles = self.store.all(PROFILE)
        wanted = asked.get("distinct_id")
        if asked.get("distinct_ids"):
            chosen = loads(asked["distinct_ids"])
            profiles = [profile for profile in profiles if profile["$distinct_id"] in chosen]
        elif wanted is not None:
            profiles = [profile for profile in profiles if profile["$distinct_id"] == wanted]
        return JSONResponse(
            {
                "page": 0,
                "page_size": 1000,
                "session_id": "local",
                "status": "ok",
                "total": len(profiles),
                "results": profiles[:1000],
            }
        )

    def _refuse_deletion(self, request: Request) -> Response | None:
        """Refuse without the GDPR API's OAuth token, which is not the project's secret, or with another's token."""
        if not same(bearer(request), self.oauth):
            return JSONResponse({"status": "error", "error": "Authentication required"}, 401)
        if not same(request.query_params.get("token"), self.token):
            return JSONResponse({"status": "error", "error": "Invalid project token"}, 403)
        return None

    async def request_deletion(self, request: Request) -> Response:
        """`POST /api/app/data-deletions/v3.0/`: delete everything of some distinct ids."""
        if refusal := self._refuse_deletion(request):
            return refusal
        try:
            body = loads(await read(request))
            wanted = body["distinct_ids"]
        except (Unreadable, ValueError, KeyError, TypeError):
            return JSONResponse({"status": "error", "error": "distinct_ids is required"}, 400)
        if not isinstance(wanted, list) or not 0 < len(wanted) <= 1999:
            error = "distinct_ids must hold 1 to 1999 ids"
            return JSONResponse({"status": "error", "error": error}, 400)
        task = {
            "tracking_id": str(uuid.uuid4()),
            "distinct_ids": [str(one) for one in wanted],
            "compliance_type": body.get("compliance_type", "GDPR"),
            "requested": time.time(),
        }
        self.store.put(DELETION, task["tracking_id"], task)
        return JSONResponse({"status": "ok", "results": {"task_id": task["tracking_id"]}}, 201)

    def _settle(self) -> None:
        """Do the deletions that are due."""
        due = [task for task in self.store.all(DELETION) if time.time() >= task["requested"] + self.delay]
        for task in due:
            if not task.get("done"):
                self._erase(set(task["distinct_ids"]))
                self.store.put(DELETION, task["tracking_id"], {**task, "done": True})

    async def deletion(self, request: Request) -> Response:
        """`GET /api/app/data-deletions/v3.0/<task>`: PENDING, then SUCCESS once it is done."""
        if refusal := self._refuse_deletion(request):
            return refusal
        task = self.store.get(DELETION, request.path_params["task"])
        if task is None:
            return JSONResponse({"status": "error", "error": "No such deletion"}, 404)
        self._settle()
        task = self.store.get(DELETION, request.path_params["task"]) or task
        state = "SUCCESS" if task.get("done") else "PENDING"
        results = {
            "status": state,
            "distinct_ids": task["distinct_ids"],
            "compliance_type": task["compliance_type"],
            "tracking_id": task["tracking_id"],
            "requesting_user": "assay@localhost",
            "project_id": int(self.project),
            "date_requested": datetime.fromtimestamp(task["requested"], UTC).isoformat(),
        }
        return JSONResponse({"status": "ok", "results": results})

    def _erase(self, distinct_ids: set[str]) -> None:
        doomed = [
            seq
            for seq, _, body in self.store.events(EVENT)
            if str(body["properties"].get("distinct_id")) in distinct_ids
        ]
        with self.store.together():
            self.store.forget_events(EVENT, doomed)
            for one in distinct_ids:
                self.store.delete(PROFILE, one)
