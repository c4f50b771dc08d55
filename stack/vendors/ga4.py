"""Google Analytics 4: events in by the Measurement Protocol and by gtag, read back by the Data API.

Sources: Google, "Measurement Protocol" (reference, "Validate events": 2xx whatever is sent; limits),
"Data API v1beta" (`runRealtimeReport`, `runReport`, errors in google.rpc form), "Admin API v1alpha"
(`submitUserDeletion`), "Send Measurement Protocol events" (realtime reports need `session_id` and
`engagement_time_msec`; a post body of at most 130 kB).
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from stack.vendors.ga4_report import DIMENSIONS, METRICS, BadReport, needles, report
from stack.vendors.ga4_rules import problems
from stack.vendors.store import Store
from stack.vendors.web import TooLarge, Unreadable, bearer, read, read_json, same

EVENT = "ga4.event"
DROPPED = "ga4.dropped"
OLDEST = 72 * 3600
LARGEST_POST = 130_000
IN_REALTIME = ("session_id", "engagement_time_msec")
"""Parameters without which an event of the Measurement Protocol is in no realtime report."""


def failure(code: int, status: str, message: str) -> JSONResponse:
    """Return an error in the form of Google's APIs (google.rpc.Status)."""
    return JSONResponse({"error": {"code": code, "message": message, "status": status}}, code)


class Analytics:
    """One GA4 property with one web stream."""

    def __init__(self, store: Store, variables: dict[str, str], options: dict[str, Any]) -> None:
        self.store = store
        self.measurement_id = variables["GA4_MEASUREMENT_ID"]
        self.secret = variables["GA4_API_SECRET"]
        self.property = variables["GA4_PROPERTY_ID"]
        self.token = variables["GA4_ACCESS_TOKEN"]
        self.delay = float(options.get("ga4_delay_ms", 200)) / 1000

    def routes_collect(self) -> list[Route]:
        """Return the routes of www.google-analytics.com."""
        return [
            Route("/mp/collect", self.collect, methods=["POST"]),
            Route("/debug/mp/collect", self.debug, methods=["POST"]),
            Route("/g/collect", self.gtag, methods=["GET", "POST"]),
        ]

    async def collect(self, request: Request) -> Response:
        """`POST /mp/collect`: always 204; what is wrong with the payload is dropped in silence."""
        try:
            payload = await read_json(request, LARGEST_POST)
        except (Unreadable, TooLarge):
            payload = None
        asked = request.query_params
        known = same(asked.get("measurement_id"), self.measurement_id) and same(
            asked.get("api_secret"), self.secret
        )
        if not known or not isinstance(payload, dict) or problems(payload):
            why = "unknown measurement_id or api_secret" if not known else "invalid payload"
            self.store.append(DROPPED, {"why": why, "payload": payload})
            return Response(status_code=204)
        now = time.time()
        with self.store.together():
            for event in payload["events"]:
                micros = event.get("timestamp_micros", payload.get("timestamp_micros"))
                at = int(micros) / 1e6 if micros is not None else now
                if not now - OLDEST <= at <= now + 60:
                    self.store.append(DROPPED, {"why": "timestamp out of range", "payload": event})
                    continue
                self._keep(event["name"], event.get("params", {}), payload, at)
        return Response(status_code=204)

    def _keep(self, name: str, params: dict[str, Any], payload: dict[str, Any], at: float) -> None:
        body = {
            "name": name,
            "params": params,
            "client_id": payload.get("client_id"),
            "user_id": payload.get("user_id"),
            "user_properties": payload.get("user_properties", {}),
            "consent": payload.get("consent", {}),
        }
        self.store.append(EVENT, body, at=at, delay=self.delay)

    async def debug(self, request: Request) -> Response:
        """`POST /debug/mp/collect`: says what is wrong, records nothing; keys are not checked."""
        try:
            payload = await read_json(request, LARGEST_POST)
        except (Unreadable, TooLarge):
            message = "Unable to parse Measurement Protocol JSON payload."
            found = [{"fieldPath": "", "description": message, "validationCode": "VALUE_INVALID"}]
        else:
            found = problems(payload)
        return JSONResponse({"validationMessages": found})

    async def gtag(self, request: Request) -> Response:
        """`/g/collect`: what gtag.js sends; one event in the query, more as lines of the body."""
        asked = dict(request.query_params)
        lines = (await read(request)).decode(errors="replace").splitlines() or [""]
        if same(asked.get("tid"), self.measurement_id):
            for line in lines:
                fields = {**asked, **dict(pair.split("=", 1) for pair in line.split("&") if "=" in pair)}
                if name := fields.get("en"):
                    own = {"sid": "session_id", "_et": "engagement_time_msec"}  # gtag.js sends them unasked
                    params: dict[str, Any] = {own[key]: fields.get(key, "1") for key in own} | {
                        key[3:]: value for key, value in fields.items() if key.startswith("ep.")
                    }
                    params["page_location"] = fields.get("dl", "")
                    payload = {"client_id": fields.get("cid"), "user_id": fields.get("uid")}
                    self._keep(name, params, payload, time.time())
        return Response(status_code=204)

    # -- the Admin API

    def routes_admin(self) -> list[Route]:
        """Return the routes of analyticsadmin.googleapis.com."""
        return [
            Route("/v1alpha/properties/{call}", self.admin, methods=["POST"]),
            Route("/{rest:path}", self.unknown),
        ]

    async def admin(self, request: Request) -> Response:
        """`POST /v1alpha/properties/<id>:submitUserDeletion`: forget a user's events."""
        wanted, _, method = request.path_params["call"].partition(":")
        if refusal := self._refuse(request, wanted):
            return refusal
        if method != "submitUserDeletion":
            return PlainTextResponse("Not Found", 404)
        try:
            asked = await read_json(request)
        except Unreadable as error:
            return failure(400, "INVALID_ARGUMENT", f"Invalid JSON payload received: {error}")
        fields = {"userId": "user_id", "clientId": "client_id"}
        given = [name for name in fields if isinstance(asked, dict) and asked.get(name)]
        if len(given) != 1:
            return failure(400, "INVALID_ARGUMENT", "Exactly one user identifier is required.")
        field, value = fields[given[0]], asked[given[0]]
        doomed = [seq for seq, _, body in self.store.events(EVENT) if body.get(field) == value]
        self.store.forget_events(EVENT, doomed)
        return JSONResponse({"deletionRequestTime": datetime.now(UTC).isoformat()})

    # -- the Data API

    def routes_data(self) -> list[Route]:
        """Return the routes of analyticsdata.googleapis.com."""
        return [
            Route("/v1beta/properties/{call}", self.data, methods=["POST"]),
            Route("/v1beta/properties/{property}/metadata", self.metadata, methods=["GET"]),
            Route("/{rest:path}", self.unknown),
        ]

    async def unknown(self, request: Request) -> Response:
        """Answer any other path as Google's front end does: 404 and no JSON."""
        return PlainTextResponse("Not Found", 404)

    def _refuse(self, request: Request, wanted: str) -> Response | None:
        if not same(bearer(request), self.token):
            message = "Request had invalid authentication credentials. Expected OAuth 2 access token."
            return failure(401, "UNAUTHENTICATED", message)
        if wanted != self.property:
            return failure(
                403, "PERMISSION_DENIED", "User does not have sufficient permissions for this property."
            )
        return None

    async def data(self, request: Request) -> Response:
        """`POST /v1beta/properties/<id>:<method>`."""
        wanted, _, method = request.path_params["call"].partition(":")
        if refusal := self._refuse(request, wanted):
            return refusal
        if method not in ("runRealtimeReport", "runReport"):
            return PlainTextResponse("Not Found", 404)
        try:
            asked = await read_json(request) if await request.body() else {}
        except Unreadable as error:
            return failure(400, "INVALID_ARGUMENT", f"Invalid JSON payload received: {error}")
        realtime = method == "runRealtimeReport"
        since = time.time() - 30 * 60 if realtime else 0
        fitting = needles(asked.get("dimensionFilter")) if isinstance(asked, dict) else ()
        kept = self.store.events(EVENT, since=since, containing=fitting)
        events = [
            (at, body)
            for _, at, body in kept
            if not realtime or all(body["params"].get(name) for name in IN_REALTIME)
        ]
        try:
            return JSONResponse(report(asked, events, realtime=realtime))
        except BadReport as error:
            return failure(400, "INVALID_ARGUMENT", str(error))

    async def metadata(self, request: Request) -> Response:
        """`GET /v1beta/properties/<id>/metadata`: which dimensions and metrics there are."""
        wanted = request.path_params["property"]
        if refusal := self._refuse(request, wanted):
            return refusal
        return JSONResponse(
            {
                "name": f"properties/{wanted}/metadata",
                "dimensions": [{"apiName": name, "uiName": name} for name in DIMENSIONS],
                "metrics": [{"apiName": name, "uiName": name, "type": "TYPE_INTEGER"} for name in METRICS],
            }
        )
