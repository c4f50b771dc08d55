"""DataDog's API keys and rate limits, which stand before every route of api.datadoghq.com.

Source: DataDog's API reference: "Authentication" (DD-API-KEY for writing, DD-APPLICATION-KEY as well for
reading; 403 `{"errors": ["Forbidden"]}`) and "Rate limits" (X-RateLimit-* headers, 429 when spent).
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stack.vendors.web import TooLarge, Unreadable, same

Handler = Callable[[Request], Awaitable[Response]]


def failure(status: int, *messages: str) -> JSONResponse:
    """Return an error in the form of DataDog's API."""
    return JSONResponse({"errors": list(messages)}, status)


class Limiter:
    """Counts requests of one name in windows of `period` seconds; `limit` of None never refuses."""

    def __init__(self, name: str, limit: int | None, period: int) -> None:
        self.name, self.limit, self.period = name, limit or 1_000_000, period
        self._window = 0
        self._used = 0

    def take(self) -> tuple[bool, dict[str, str]]:
        """Count one request; return whether it is within the limit, and the headers to show."""
        now = time.time()
        window = int(now // self.period)
        if window != self._window:
            self._window, self._used = window, 0
        self._used += 1
        headers = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Period": str(self.period),
            "X-RateLimit-Remaining": str(max(0, self.limit - self._used)),
            "X-RateLimit-Reset": str(math.ceil((window + 1) * self.period - now)),
            "X-RateLimit-Name": self.name,
        }
        return self._used <= self.limit, headers


class Keys:
    """The organisation's keys, and the guards made from them."""

    def __init__(self, variables: dict[str, str], options: dict[str, Any]) -> None:
        self.api_key = variables["DATADOG_API_KEY"]
        self.app_key = variables["DATADOG_APP_KEY"]
        self.limit: int | None = options.get("datadog_rate_limit")
        self.period = int(options.get("datadog_rate_period_s", 60))

    def writing(self, handler: Handler) -> Handler:
        """Return `handler` for clients with the API key."""
        return self._guard(handler, None, application=False)

    def reading(self, handler: Handler, limit_name: str | None = None) -> Handler:
        """Return `handler` for clients with both keys, limited under `limit_name`."""
        limiter = Limiter(limit_name, self.limit, self.period) if limit_name else None
        return self._guard(handler, limiter, application=True)

    def _guard(self, handler: Handler, limiter: Limiter | None, *, application: bool) -> Handler:
        async def guarded(request: Request) -> Response:
            if not same(request.headers.get("dd-api-key"), self.api_key):
                return failure(403, "Forbidden")
            if application and not same(request.headers.get("dd-application-key"), self.app_key):
                return failure(403, "Forbidden")
            headers: dict[str, str] = {}
            if limiter is not None:
                within, headers = limiter.take()
                if not within:
                    answer: Response = failure(429, "Too many requests")
                    answer.headers.update(headers)
                    return answer
            try:
                answer = await handler(request)
            except TooLarge:
                answer = failure(413, "Payload too large")
            except Unreadable as error:
                answer = failure(400, f"Bad Request: {error}")
            answer.headers.update(headers)
            return answer

        return guarded
