"""``/__control``: health with gauges, and planned faults. Only with the control token; never part of a journey."""

from __future__ import annotations

import asyncio
import hmac
from typing import Any

from pydantic import BaseModel, TypeAdapter

from stack.supabase.auth.api import Auth
from stack.supabase.gauges import Gauges
from stack.supabase.http import HttpError, Request, Response, json_response


class Dropped(Exception):
    """A planned fault cuts this request's connection."""


class Fault(BaseModel, extra="forbid"):
    """Planned misbehaviour of requests whose path begins with ``path``; ``drop`` cuts the connection.

    ``auth`` holds options of Auth that differ while the fault lasts, e.g. {"rate_limits": true}.
    """

    path: str = "/"
    method: str | None = None
    delay_ms: float = 0
    status: int | None = None
    body: Any = {"message": "planned fault"}
    drop: bool = False
    times: int | None = None
    auth: dict[str, Any] = {}

    def meets(self, request: Request) -> bool:
        """Whether ``request`` is to suffer; counts it."""
        here = request.path.startswith(self.path) and self.method in (None, request.method)
        if not here or self.times == 0 or request.path.startswith("/__control"):
            return False
        if self.times:
            self.times -= 1
        return True


PLAN = TypeAdapter(list[Fault])


class FaultControl:
    """The control address, and the faults that are planned."""

    def __init__(self, token: str, gauges: Gauges, auth: Auth) -> None:
        self._token, self._gauges, self._auth = token, gauges, auth
        self._faults: list[Fault] = []

    async def fault(self, request: Request) -> Response | None:
        """Do to ``request`` what is planned for it; a response means that it goes no further."""
        for fault in self._faults:
            if fault.meets(request):
                await asyncio.sleep(fault.delay_ms / 1000)
                if fault.drop:
                    raise Dropped
                if fault.status:
                    return json_response(fault.body, fault.status)
        return None

    async def handle(self, request: Request) -> Response:
        """GET health; GET, POST (one or a list) and DELETE faults; DELETE limits. Raises HttpError."""
        if not self._token or not hmac.compare_digest(request.bearer.encode(), self._token.encode()):
            raise HttpError(401, {"message": "the control token is needed"})
        match request.method, request.path.removeprefix("/__control/"):
            case "GET", "health":
                return json_response(self._gauges.report())
            case "DELETE", "limits":
                self._auth.limits.reset()
                return json_response({"reset": True})
            case ("POST" | "DELETE") as method, "faults":
                await self._plan(request if method == "POST" else None)
            case method, what if (method, what) != ("GET", "faults"):
                raise HttpError(404, {"message": "health, faults or limits"})
        return json_response({"faults": PLAN.dump_python(self._faults, exclude_unset=True)})

    async def _plan(self, request: Request | None) -> None:
        """Replace what is planned by what ``request`` holds. Raises HttpError 400 for an unknown or mistyped field."""
        try:
            given = await request.json() if request else []
            faults = PLAN.validate_python(given if isinstance(given, list) else [given] if given else [])
            self._auth.switch({name: value for fault in faults for name, value in fault.auth.items()})
        except ValueError as error:
            raise HttpError(400, {"message": str(error)}) from error
        self._faults = faults
