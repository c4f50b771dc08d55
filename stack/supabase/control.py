"""``/__control``: health with gauges, and planned faults. Only with the control token; never part of a journey."""

from __future__ import annotations

import asyncio
import hmac
import json
from typing import Any, Protocol

from stack.supabase.gauges import Gauges
from stack.supabase.http import HttpError, Request, Response, json_response


class Dropped(Exception):
    """A planned fault cuts this request's connection."""


class Resettable(Protocol):
    """Something that counts and can forget."""

    def reset(self) -> None:
        """Forget everything counted."""


class Switchable(Protocol):
    """Something whose options may differ while a fault lasts."""

    def switch(self, changed: dict[str, Any]) -> None:
        """Options by name; {} for the project's own."""


class Faults:
    """Planned misbehaviour. A fault has some of KNOWN; ``path`` is a prefix, ``drop`` cuts the connection.

    ``auth`` holds options of Auth that differ while the fault lasts, e.g. {"rate_limits": true}.
    """

    KNOWN = frozenset(("path", "method", "delay_ms", "status", "body", "drop", "times", "auth"))

    def __init__(self, auth: Switchable) -> None:
        self.active: list[dict[str, Any]] = []
        self._auth = auth

    def plan(self, faults: list[dict[str, Any]]) -> None:
        """Replace what is planned. Raises HttpError 400 for an unknown field."""
        for fault in faults:
            if unknown := set(fault) - self.KNOWN:
                raise HttpError(
                    400, {"message": f"a fault has no {sorted(unknown)}; it has {sorted(self.KNOWN)}"}
                )
        self._auth.switch({name: value for f in faults for name, value in f.get("auth", {}).items()})
        self.active = [dict(f) for f in faults]

    async def apply(self, request: Request) -> Response | None:
        """Do to ``request`` what is planned for it; a response means that it goes no further."""
        for fault in self.active:
            if request.path.startswith("/__control") or not request.path.startswith(fault.get("path", "/")):
                continue
            if request.method != fault.get("method", request.method) or fault.get("times") == 0:
                continue
            if "times" in fault:
                fault["times"] -= 1
            await asyncio.sleep(fault.get("delay_ms", 0) / 1000)
            if fault.get("drop"):
                raise Dropped
            if "status" in fault:
                return json_response(fault.get("body", {"message": "planned fault"}), fault["status"])
        return None


async def handle(
    request: Request, token: str, faults: Faults, gauges: Gauges, limits: Resettable
) -> Response:
    """GET health; GET, POST (one or a list) and DELETE faults; DELETE limits."""
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not token or not hmac.compare_digest(given.encode(), token.encode()):
        return json_response({"message": "the control token is needed"}, 401)
    what = request.path.removeprefix("/__control/")
    if what == "health" and request.method == "GET":
        return json_response(gauges.report())
    if what == "limits" and request.method == "DELETE":
        limits.reset()
        return json_response({"reset": True})
    if what != "faults":
        return json_response({"message": "health, faults or limits"}, 404)
    if request.method == "POST":
        try:
            plan = json.loads(await request.body() or b"[]")
        except ValueError:
            return json_response({"message": "not JSON"}, 400)
        faults.plan(plan if isinstance(plan, list) else [plan] if plan else [])
    elif request.method == "DELETE":
        faults.plan([])
    return json_response({"faults": faults.active})
