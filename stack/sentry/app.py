"""The recorder's application: ingest and Sentry's Web API on the data source name's host."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route, Router

from stack.sentry.access import Access, missing
from stack.sentry.bugsink import Bugsink
from stack.sentry.discover import Discover
from stack.sentry.organisation import Organisation
from stack.sentry.reading import Reading
from stack.sentry.recorder import Recorder
from stack.sentry.releases import Releases
from stack.sentry.rules import Rules
from stack.vendors.app import OperatorControl
from stack.vendors.faults import Faults
from stack.vendors.store import Store
from stack.vendors.web import cross_origin


async def unknown(_request: Request) -> Response:
    """Answer any path of the Web API that is not served here."""
    return missing()


def make(config: dict[str, Any], bugsink: Bugsink) -> Starlette:
    """Return the application in front of `bugsink`."""
    options: dict[str, Any] = (config.get("options") or {}).get("sentry") or {}
    folder = Path(config["state"]) / "sentry"
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(folder / "recorder.sqlite3")
    faults = Faults()
    control = OperatorControl(store, faults, str(config["secrets"]["control_token"]))
    limited = bool(options.get("reading_limits", True))
    access = Access(config["variables"]["SENTRY_AUTH_TOKEN"], limited=limited)
    recorder = Recorder(store, bugsink, options)
    reading = Reading(store, bugsink, access)
    organisation = Organisation(bugsink, access, config["variables"])
    rules = Rules(store, reading, access)
    recorder.listeners.append(rules.tell_receivers)
    web = [
        *organisation.routes(),
        *Discover(store, reading, access).routes(),
        *Releases(store, reading, access).routes(),
        *rules.routes(),
        *reading.routes(),
        Route("/{rest:path}", access.guard(unknown)),
    ]

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await recorder.close()
        await reading.close()
        await organisation.close()
        store.close()

    ingest = cross_origin(
        faults.wrap(Router(recorder.routes()), "sentry/ingest"),
        exposed="X-Sentry-Error, X-Sentry-Rate-Limits, Retry-After",
    )
    return Starlette(
        routes=[
            Mount("/__control", routes=control.routes()),
            Mount("/api/0", app=faults.wrap(Router(web), "sentry/api")),
            Mount("", app=ingest),
        ],
        lifespan=lifespan,
    )
