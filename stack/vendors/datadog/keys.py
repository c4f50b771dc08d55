"""DataDog's API keys and rate limits, which stand before every route of api.datadoghq.com.

Source: DataDog's API reference: "Authentication" (DD-API-KEY for writing, DD-APPLICATION-KEY as well for
reading; 403 `{"errors": ["Forbidden"]}`) and "Rate limits" (X-RateLimit-* headers, 429 when spent).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stack.vendors.limits import Window
from stack.vendors.web import TooLarge, Unreadable, same

Handler = Callable[[Request], Awaitable[Response]]
RATE_LIMIT, RATE_PERIOD_S = 300, 60
"""Requests of each name in seconds: a guess, since DataDog publishes no figures but those in its headers."""


def failure(status: int, *messages: str) -> JSONResponse:
    """Return an error in the form of DataDog's API."""
    return JSONResponse({"errors": list(messages)}, status)


class Keys:
    """The organisation's keys, and the guards made from them."""

    def __init__(self, variables: dict[str, str], options: dict[str, Any]) -> None:
        self.api_key = variables["DATADOG_API_KEY"]
        self.app_key = variables["DATADOG_APP_KEY"]
        limited = options.get("reading_limits", True)
        self.limit: int | None = options.get("datadog_rate_limit", RATE_LIMIT) if limited else None
        self.period = int(options.get("datadog_rate_period_s", RATE_PERIOD_S))
        self._windows: dict[str, Window] = {}

    def writing(self, handler: Handler) -> Handler:
        """Return `handler` for clients with the API key."""
        return self._guard(handler, None, application=False)

    def reading(self, handler: Handler, limit_name: str | None = None) -> Handler:
        """Return `handler` for clients with both keys, limited under `limit_name`."""
        return self._guard(handler, limit_name, application=True)

    def _guard(self, handler: Handler, limit_name: str | None, *, application: bool) -> Handler:
        window = self._windows.setdefault(limit_name or "", Window(self.limit, self.period))

        async def guarded(request: Request) -> Response:
            if not same(request.headers.get("dd-api-key"), self.api_key):
                return failure(403, "Forbidden")
            if application and not same(request.headers.get("dd-application-key"), self.app_key):
                return failure(403, "Forbidden")
            within = limit_name is None or window.take()
            try:
                answer = await handler(request) if within else failure(429, "Too many requests")
            except TooLarge:
                answer = failure(413, "Payload too large")
            except Unreadable as error:
                answer = failure(400, f"Bad Request: {error}")
            if limit_name is not None:
                answer.headers["X-RateLimit-Limit"] = str(window.limit)
                answer.headers["X-RateLimit-Period"] = str(window.period)
                answer.headers["X-RateLimit-Remaining"] = str(window.remaining)
                answer.headers["X-RateLimit-Reset"] = str(window.reset)
                answer.headers["X-RateLimit-Name"] = limit_name
            return answer

        return guarded
