"""The recorder's application: ingest and Sentry's Web API on the data source name's host."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Mount, Router

from stack.sentry.access import Access
from stack.sentry.bugsink import Bugsink
from stack.sentry.reading import Reading
from stack.sentry.recorder import Recorder
from stack.vendors.app import Control
from stack.vendors.faults import Faults
from stack.vendors.store import Store
from stack.vendors.web import cross_origin


def make(config: dict[str, Any], bugsink: Bugsink) -> Starlette:
    """Return the application in front of `bugsink`."""
    options: dict[str, Any] = (config.get("options") or {}).get("sentry") or {}
    folder = Path(config["state"]) / "sentry"
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(folder / "recorder.sqlite3")
    faults = Faults()
    control = Control(store, faults, str(config["secrets"]["control_token"]))
    access = Access(config["variables"]["SENTRY_AUTH_TOKEN"])
    recorder = Recorder(store, bugsink, options)
    reading = Reading(store, bugsink, access)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await recorder.close()
        await reading.close()
        store.close()

    ingest = cross_origin(
        faults.wrap(Router(recorder.routes()), "sentry/ingest"),
        exposed="X-Sentry-Error, X-Sentry-Rate-Limits, Retry-After",
    )
    return Starlette(
        routes=[
            Mount("/__control", routes=control.routes()),
            Mount("/api/0", app=faults.wrap(Router(reading.routes()), "sentry/api")),
            Mount("", app=ingest),
        ],
        lifespan=lifespan,
    )
