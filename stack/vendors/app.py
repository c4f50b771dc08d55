"""The vendors' application: every vendor host mounted under its prefix, and the operator's control surface.

`/__control/state` (GET) shows what is kept, `/__control/faults` (GET, POST) the faults in force; both need
the stack's control token as a bearer token. Nothing here knows what will be checked.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stack.vendors.builder import Builder
from stack.vendors.datadog.documents import Documents
from stack.vendors.datadog.events import Events
from stack.vendors.datadog.intake import Intake
from stack.vendors.datadog.keys import Keys
from stack.vendors.datadog.metrics import Metrics
from stack.vendors.datadog.monitors import Monitors
from stack.vendors.faults import Faults
from stack.vendors.ga4 import Analytics
from stack.vendors.mixpanel import Mixpanel
from stack.vendors.store import Store
from stack.vendors.variables import PREFIXES
from stack.vendors.web import Unreadable, bearer, cross_origin, read_json, same

BARE = set(PREFIXES.values())
SHOWN = 200
"""Records that the state surface shows of one kind at most."""


def labelled(app: ASGIApp) -> ASGIApp:
    """Return `app` saying in every answer that a stand-in gave it."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {
                    **message,
                    "headers": [*message.get("headers", []), (b"x-assay-engine", b"stand-in")],
                }
            await send(message)

        await app(scope, receive, sending if scope["type"] == "http" else send)

    return answer


class BareHosts:
    """Takes a vendor's bare address, without the slash that a real host's root path has."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve `/datadog/intake` as `/datadog/intake/`."""
        if scope["type"] == "http" and scope["path"] in BARE:
            scope = {**scope, "path": scope["path"] + "/"}
        await self.app(scope, receive, send)


class OperatorControl:
    """What an operator may see and switch."""

    def __init__(self, store: Store, faults: Faults, token: str) -> None:
        self.store, self.faults, self.token = store, faults, token

    def routes(self) -> list[Route]:
        """Return the control surface's routes."""
        return [
            Route("/state", self.state, methods=["GET"]),
            Route("/state/{kind}", self.records, methods=["GET"]),
            Route("/faults", self.switch, methods=["GET", "POST"]),
        ]

    def _refuse(self, request: Request) -> Response | None:
        if same(bearer(request), self.token):
            return None
        return JSONResponse({"error": "the control token is required"}, 401)

    async def state(self, request: Request) -> Response:
        """Show how much of each kind is kept."""
        return self._refuse(request) or JSONResponse(
            {"counts": self.store.counts(), "faults": [vars(rule) for rule in self.faults.rules]}
        )

    async def records(self, request: Request) -> Response:
        """Show the documents and the newest events of one kind, visible ones."""
        if refusal := self._refuse(request):
            return refusal
        kind = request.path_params["kind"]
        events = [
            {"seq": seq, "at": at, "body": body} for seq, at, body in self.store.events(kind, limit=SHOWN)
        ]
        return JSONResponse({"documents": self.store.all(kind)[-SHOWN:], "events": events})

    async def switch(self, request: Request) -> Response:
        """Show, or replace, the faults in force."""
        if refusal := self._refuse(request):
            return refusal
        if request.method == "POST":
            try:
                given = await read_json(request)
                self.faults.replace(given["rules"])
            except (Unreadable, ValueError, KeyError, TypeError) as error:
                return JSONResponse({"error": f"send {{'rules': [...]}}: {error}"}, 400)
        return JSONResponse({"rules": [vars(rule) for rule in self.faults.rules]})


def make(config: dict[str, Any]) -> Starlette:
    """Return the application of a stack's configuration (see `stack/vendors/README.md`)."""
    variables: dict[str, str] = config["variables"]
    options: dict[str, Any] = (config.get("options") or {}).get("vendors") or {}
    state = Path(config["state"]) / "vendors"
    state.mkdir(parents=True, exist_ok=True)
    store = Store(state / "vendors.sqlite3")
    faults = Faults()
    control = OperatorControl(store, faults, str(config["secrets"]["control_token"]))

    builder = Builder(store, variables, options)
    keys = Keys(variables, options)
    delay = float(options.get("datadog_delay_ms", 200)) / 1000
    intake = Intake(store, variables, delay)
    events = Events(store, keys, variables)
    metrics = Metrics(store, keys, delay)
    documents = Documents(store, keys, delay)
    monitors = Monitors(store, keys, metrics, events, float(options.get("datadog_monitor_ms", 500)) / 1000)
    datadog = [*events.routes(), *metrics.routes(), *documents.routes(), *monitors.routes()]
    analytics = Analytics(store, variables, options)
    mixpanel = Mixpanel(store, variables, options)

    def mount(surface: str, routes: list[Route], **cors: Any) -> BaseRoute:
        app: ASGIApp = faults.wrap(Router(routes), surface)
        if cors.pop("browsers", False):
            app = cross_origin(app, **cors)
        return Mount("/" + surface, app=labelled(app))

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        watching = asyncio.create_task(monitors.watch())
        yield
        watching.cancel()
        store.close()

    return Starlette(
        routes=[
            mount("builder/cdn", builder.routes_cdn(), browsers=True),
            mount("builder/api", builder.routes_api()),
            mount("datadog/intake", intake.routes(), browsers=True),
            mount("datadog/api", datadog),
            mount("ga4/collect", analytics.routes_collect(), browsers=True, credentials=True),
            mount("ga4/data", analytics.routes_data()),
            mount("ga4/admin", analytics.routes_admin()),
            mount("mixpanel/api", mixpanel.routes_api(), browsers=True, credentials=True),
            mount("mixpanel/data", mixpanel.routes_data()),
            mount("mixpanel/app", mixpanel.routes_app()),
            Mount("/__control", routes=control.routes()),
        ],
        middleware=[Middleware(BareHosts)],
        lifespan=lifespan,
    )
