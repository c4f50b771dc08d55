"""Faults that an operator switches on from outside: errors, delays, silence, cut connections, lost data.

The rules arrive at the control address as one list that replaces the last: `{"rules": [...]}`. A rule:

    {"where": "datadog/intake",  # vendor, or vendor/surface; "*" is every vendor
     "path": "/api/v2/rum",      # optional: only paths that start so, below the surface
     "methods": ["POST"],        # optional
     "times": 3,                 # optional: only the next three requests
     # what happens, any of:
     "delay_ms": 2000, "status": 503, "body": {"errors": ["..."]}, "headers": {"Retry-After": "1"},
     "lose": true,               # answered as if accepted, nothing kept
     "hang": true,               # never answered
     "cut": true}                # connection closed after the first byte of the answer
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from stack.vendors.store import LOSING

KNOWN = {"where", "path", "methods", "times", "delay_ms", "status", "body", "headers", "lose", "hang", "cut"}


@dataclass
class Rule:
    """One fault, as the module's text describes it."""

    where: str
    path: str = ""
    methods: list[str] = field(default_factory=list)
    times: int | None = None
    delay_ms: float = 0
    status: int | None = None
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    lose: bool = False
    hang: bool = False
    cut: bool = False

    def covers(self, surface: str, path: str, method: str) -> bool:
        """Return whether a request to `surface` ("datadog/intake") is hit by this rule."""
        if self.times is not None and self.times <= 0:
            return False
        if self.where not in ("*", surface, surface.split("/")[0]):
            return False
        return path.startswith(self.path) and (not self.methods or method in self.methods)


class Faults:
    """The rules now in force, and the middleware that applies them."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def replace(self, rules: list[dict[str, Any]]) -> None:
        """Put `rules` in the place of those in force; raises ValueError on one that is not understood."""
        made = []
        for rule in rules:
            if unknown := set(rule) - KNOWN:
                raise ValueError(f"a fault rule has no {sorted(unknown)}; it has {sorted(KNOWN)}")
            if not isinstance(rule.get("where"), str):
                raise ValueError("a fault rule needs where: a vendor, a vendor/surface or *")
            made.append(Rule(**rule))
        self.rules = made

    def wrap(self, app: ASGIApp, surface: str) -> ASGIApp:
        """Return `app` (mounted as `surface`) with the faults in front."""

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["method"] == "OPTIONS":
                await app(scope, receive, send)
                return
            path = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
            rule = next((r for r in self.rules if r.covers(surface, path, scope["method"])), None)
            if rule is None:
                await app(scope, receive, send)
                return
            if rule.times is not None:
                rule.times -= 1
            if rule.delay_ms:
                await asyncio.sleep(rule.delay_ms / 1000)
            if rule.hang:
                while (await receive())["type"] != "http.disconnect":
                    continue
                return
            if rule.cut:
                promised = [(b"content-length", b"1000000")]
                await send({"type": "http.response.start", "status": 200, "headers": promised})
                await send({"type": "http.response.body", "body": b"{", "more_body": True})
                raise ConnectionAbortedError("a fault rule cuts this connection")
            if rule.status is not None:
                await self._answer(rule)(scope, receive, send)
                return
            token = LOSING.set(rule.lose)
            try:
                await app(scope, receive, send)
            finally:
                LOSING.reset(token)

        return guarded

    @staticmethod
    def _answer(rule: Rule) -> Response:
        status = rule.status or 500
        if isinstance(rule.body, str):
            return Response(rule.body, status, rule.headers, media_type="text/html")
        body = {"errors": ["Service unavailable"]} if rule.body is None else rule.body
        return JSONResponse(json.loads(json.dumps(body)), status, rule.headers)
