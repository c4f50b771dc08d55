"""The one organisation and project, as Sentry's Web API shows them, and what goes straight on to Bugsink.

Source: Sentry's API reference, "Organizations", "Projects", "Client keys"; the requests of sentry-cli 3.8.
"""

from __future__ import annotations

from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stack.sentry.access import Access
from stack.sentry.bugsink import Bugsink
from stack.sentry.recorder import BY_BUGSINK, BY_RECORDER
from stack.sentry.variables import ORGANISATION, PROJECT, PROJECT_ID

SCOPES = ["org:read", "project:read", "project:write", "project:releases", "event:read", "event:write",
          "event:admin", "alerts:read", "alerts:write"]  # fmt: skip
SINCE = "2026-01-01T00:00:00Z"
ORGANISATION_SHOWN = {
    "id": "1",
    "slug": ORGANISATION,
    "name": ORGANISATION,
    "dateCreated": SINCE,
    "status": {"id": "active", "name": "active"},
    "isEarlyAdopter": False,
    "require2FA": False,
    "requireEmailVerification": False,
    "features": [],
}
PROJECT_SHOWN = {
    "id": str(PROJECT_ID),
    "slug": PROJECT,
    "name": PROJECT,
    "dateCreated": SINCE,
    "platform": "javascript",
    "status": "active",
    "isBookmarked": False,
    "isMember": True,
    "hasAccess": True,
    "features": ["releases"],
    "team": {"id": "1", "slug": ORGANISATION, "name": ORGANISATION},
    "teams": [{"id": "1", "slug": ORGANISATION, "name": ORGANISATION}],
    "organization": ORGANISATION_SHOWN,
}


class Organisation:
    """Organisation, project, key, and the upload of source maps."""

    def __init__(self, bugsink: Bugsink, access: Access, variables: dict[str, str]) -> None:
        self.access, self.dsn = access, variables["SENTRY_DSN"]
        self.client = httpx.AsyncClient(
            base_url=bugsink.url,
            timeout=60,
            trust_env=False,
            headers={"Authorization": f"Bearer {bugsink.token}"},
        )

    async def close(self) -> None:
        """Close the connections to Bugsink."""
        await self.client.aclose()

    def routes(self) -> list[Route]:
        """Return the routes of organisation and project."""
        guard = self.access.guard
        organisation, project = "/organizations/{org}", "/projects/{org}/{project}"
        return [
            Route("/", guard(self.root), methods=["GET"]),
            Route("/organizations/", guard(self.organisations), methods=["GET"]),
            Route(f"{organisation}/", guard(self.organisation), methods=["GET"]),
            Route("/projects/", guard(self.projects), methods=["GET"]),
            Route(f"{organisation}/projects/", guard(self.projects), methods=["GET"]),
            Route(f"{organisation}/repos/", guard(self.nothing), methods=["GET"]),
            Route(f"{project}/", guard(self.project), methods=["GET"]),
            Route(f"{project}/keys/", guard(self.keys), methods=["GET"]),
            Route(f"{organisation}/chunk-upload/", guard(self.upload), methods=["GET", "POST"]),
            Route(f"{organisation}/artifactbundle/assemble/", guard(self.upload), methods=["POST"]),
        ]

    async def root(self, request: Request) -> Response:
        """`GET /api/0/`: who the token belongs to."""
        user = {"id": "1", "email": "assay@localhost", "username": "assay", "name": "assay"}
        shown = {"version": "0", "auth": {"scopes": SCOPES}, "user": user}
        return JSONResponse(shown, headers=BY_RECORDER)

    async def organisations(self, request: Request) -> Response:
        """`GET /organizations/`."""
        return JSONResponse([ORGANISATION_SHOWN], headers=BY_RECORDER)

    async def organisation(self, request: Request) -> Response:
        """`GET /organizations/<org>/`."""
        return JSONResponse(ORGANISATION_SHOWN, headers=BY_RECORDER)

    async def projects(self, request: Request) -> Response:
        """`GET /projects/` and `/organizations/<org>/projects/`."""
        return JSONResponse([PROJECT_SHOWN], headers=BY_RECORDER)

    async def nothing(self, request: Request) -> Response:
        """Answer a list of what this organisation has none of."""
        return JSONResponse([], headers=BY_RECORDER)

    async def project(self, request: Request) -> Response:
        """`GET /projects/<org>/<project>/`."""
        return JSONResponse(PROJECT_SHOWN, headers=BY_RECORDER)

    async def keys(self, request: Request) -> Response:
        """`GET /projects/<org>/<project>/keys/`: the data source name."""
        public = self.dsn.split("//")[1].split("@")[0]
        shown: dict[str, Any] = {
            "id": public,
            "name": "Default",
            "label": "Default",
            "public": public,
            "projectId": PROJECT_ID,
            "isActive": True,
            "rateLimit": None,
            "dsn": {"public": self.dsn},
            "dateCreated": SINCE,
        }
        return JSONResponse([shown], headers=BY_RECORDER)

    async def upload(self, request: Request) -> Response:
        """Hand source maps on to Bugsink, which keeps and applies them; the answer is Bugsink's."""
        kept = {
            name: value
            for name, value in request.headers.items()
            if name in ("content-type", "content-encoding", "accept")
        }
        answer = await self.client.request(
            request.method,
            "/api/0" + request.url.path.partition("/api/0")[2],
            params=dict(request.query_params),
            content=await request.body(),
            headers=kept,
        )
        kind = answer.headers.get("content-type", "application/json")
        return Response(answer.content, answer.status_code, BY_BUGSINK, media_type=kind)
