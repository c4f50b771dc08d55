"""Who may read Sentry's Web API, and which organisation and project there is.

Source: Sentry's API reference, "Authentication" (bearer token; 401 with `detail`) and its errors (404
`{"detail": "The requested resource does not exist"}`), "Rate Limits" (the headers; fixed windows for each caller and
endpoint); figures from getsentry/sentry, `ratelimits/config.py` and the endpoints' `rate_limits`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stack.sentry.variables import ORGANISATION, PROJECT, PROJECT_ID
from stack.vendors.limits import Window
from stack.vendors.web import bearer, same

Handler = Callable[[Request], Awaitable[Response]]
BY_RECORDER = {"X-Assay-Engine": "recorder"}


def missing(detail: str = "The requested resource does not exist") -> Response:
    """Return Sentry's 404."""
    return JSONResponse({"detail": detail}, 404, BY_RECORDER)


def too_often(how: str) -> Response:
    """Return Sentry's 429."""
    return JSONResponse({"detail": f"You are attempting to {how}"}, 429, BY_RECORDER)


class Access:
    """The guard before every route of the Web API."""

    def __init__(self, token: str, *, limited: bool = True) -> None:
        self.token, self.limited = token, limited

    def guard(self, handler: Handler, *, limit: int = 40, period: int = 1, concurrent: int = 25) -> Handler:
        """Return `handler` for holders of the token who name the right organisation and project.

        At most `limit` requests in `period` seconds, `concurrent` of them at once; 429 beyond.
        """
        window, running = Window(limit if self.limited else None, period), 0
        most = concurrent if self.limited else 1_000_000

        async def counted(request: Request) -> Response:
            nonlocal running
            if running >= most:
                answer = too_often(
                    f"go above the allowed concurrency for this endpoint. Concurrency limit is {most}"
                )
            elif not window.take():
                answer = too_often(
                    f"use this endpoint too frequently. Limit is {limit} requests in {period} seconds"
                )
            else:
                running += 1
                try:
                    answer = await handler(request)
                finally:
                    running -= 1
            limits = {"Limit": window.limit, "Remaining": window.remaining, "Reset": window.ends,
                    "ConcurrentLimit": most, "ConcurrentRemaining": max(0, most - running)}  # fmt: skip
            answer.headers.update(
                {f"X-Sentry-Rate-Limit-{name}": str(value) for name, value in limits.items()}
            )
            return answer

        async def guarded(request: Request) -> Response:
            if not request.headers.get("authorization"):
                detail = "Authentication credentials were not provided."
                return JSONResponse({"detail": detail}, 401, BY_RECORDER)
            if not same(bearer(request), self.token):
                return JSONResponse({"detail": "Invalid token"}, 401, BY_RECORDER)
            if request.path_params.get("org", ORGANISATION) not in (ORGANISATION, "1"):
                return missing()
            if request.path_params.get("project", PROJECT) not in (PROJECT, str(PROJECT_ID)):
                return missing()
            return await counted(request)

        return guarded
