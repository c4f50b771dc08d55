"""``/__control``: health with gauges, and planned faults. Only with the control token; never part of a journey."""

from __future__ import annotations

import asyncio
import hmac
from typing import Any

from stack.supabase.auth.api import Auth
from stack.supabase.gauges import Gauges
from stack.supabase.http import HttpError, Request, Response, json_response

KNOWN = frozenset(("path", "method", "delay_ms", "status", "body", "drop", "times", "auth"))


class Dropped(Exception):
    """A planned fault cuts this request's connection."""


class Control:
    """Planned misbehaviour. A fault has some of KNOWN; ``path`` is a prefix, ``drop`` cuts the connection.

    ``auth`` holds options of Auth that differ while the fault lasts, e.g. {"rate_limits": true}.
    """

    def __init__(self, token: str, gauges: Gauges, auth: Auth) -> None:
        self._token, self._gauges, self._auth = token, gauges, auth
        self._faults: list[dict[str, Any]] = []

    def _plan(self, faults: list[dict[str, Any]]) -> None:
        """Replace what is planned. Raises HttpError 400 for an unknown field."""
        for fault in faults:
            if unknown := set(fault) - KNOWN:
                raise HttpError(400, {"message": f"a fault has no {sorted(unknown)}; it has {sorted(KNOWN)}"})
        self._auth.switch({name: value for f in faults for name, value in f.get("auth", {}).items()})
        self._faults = [dict(f) for f in faults]

    async def fault(self, request: Request) -> Response | None:
        """Do to ``request`` what is planned for it; a response means that it goes no further."""
        for fault in self._faults:
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

    async def handle(self, request: Request) -> Response:
        """GET health; GET, POST (one or a list) and DELETE faults; DELETE limits."""
        if not self._token or not hmac.compare_digest(request.bearer.encode(), self._token.encode()):
            raise HttpError(401, {"message": "the control token is needed"})
        what = f"{request.method} {request.path.removeprefix('/__control/')}"
        if what == "GET health":
            return json_response(self._gauges.report())
        if what == "DELETE limits":
            self._auth.limits.reset()
            return json_response({"reset": True})
        if what not in ("GET faults", "POST faults", "DELETE faults"):
            raise HttpError(404, {"message": "health, faults or limits"})
        if request.method == "DELETE":
            self._plan([])
        elif request.method == "POST":
            try:
                plan = await request.json()
            except ValueError as error:
                raise HttpError(400, {"message": "not JSON"}) from error
            self._plan(plan if isinstance(plan, list) else [plan] if plan else [])
        return json_response({"faults": self._faults})
