"""Who may read Sentry's Web API, and which organisation and project there is.

Source: Sentry's API reference, "Authentication" (bearer token; 401 with `detail`) and its errors (404
`{"detail": "The requested resource does not exist"}`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stack.sentry.variables import ORGANISATION, PROJECT, PROJECT_ID
from stack.vendors.web import bearer, same

Handler = Callable[[Request], Awaitable[Response]]
BY_RECORDER = {"X-Assay-Engine": "recorder"}


def missing(detail: str = "The requested resource does not exist") -> Response:
    """Return Sentry's 404."""
    return JSONResponse({"detail": detail}, 404, BY_RECORDER)


class Access:
    """The guard before every route of the Web API."""

    def __init__(self, token: str) -> None:
        self.token = token

    def guard(self, handler: Handler) -> Handler:
        """Return `handler` for holders of the token who name the right organisation and project."""

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
            return await handler(request)

        return guarded
