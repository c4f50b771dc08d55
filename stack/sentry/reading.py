"""Sentry's Web API for errors and issues, answered from what Bugsink holds.

Source: Sentry's API reference, "Events & Issues": list a project's error events, retrieve an event, list
issues, retrieve, update and delete an issue, resolve an event id, attachments of an event.
"""

from __future__ import annotations

import base64
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stack.sentry.access import Access, missing
from stack.sentry.bugsink import Bugsink
from stack.sentry.recorder import ATTACHMENT, BY_BUGSINK, BY_RECORDER, TRANSACTION
from stack.sentry.schema import errors_of
from stack.sentry.search import BadSearch, Search
from stack.sentry.shapes import error_shape, issue_shape, search_fields, title_of, transaction_shape
from stack.sentry.variables import ORGANISATION, PROJECT
from stack.vendors.store import Store
from stack.vendors.web import Unreadable, read_json

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def period(parameters: dict[str, str]) -> tuple[float, float]:
    """Return since and until (epoch seconds) of `statsPeriod`, or `start` and `end`; 90 days otherwise."""
    text = parameters.get("statsPeriod", "")
    if text and text[:-1].isdigit() and text[-1] in UNITS:
        return time.time() - int(text[:-1]) * UNITS[text[-1]], time.time() + 60

    def moment(name: str, default: float) -> float:
        if name not in parameters:
            return default
        found = datetime.fromisoformat(parameters[name])
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()

    return moment("start", time.time() - 90 * 86_400), moment("end", time.time() + 60)


class Reading:
    """Errors and issues."""

    def __init__(self, store: Store, bugsink: Bugsink, access: Access) -> None:
        self.store, self.bugsink, self.access = store, bugsink, access
        self.client = httpx.AsyncClient(
            base_url=bugsink.url,
            timeout=30,
            trust_env=False,
            headers={"Authorization": f"Bearer {bugsink.token}"},
        )

    async def close(self) -> None:
        """Close the connections to Bugsink."""
        await self.client.aclose()

    def routes(self) -> list[Route]:
        """Return the routes of events and issues."""
        project, organisation = "/projects/{org}/{project}", "/organizations/{org}"
        guard = self.access.guard
        return [
            Route(
                f"{project}/events/", guard(self.events, limit=60, period=60, concurrent=1), methods=["GET"]
            ),
            Route(f"{project}/events/{{event}}/", guard(self.event, limit=5), methods=["GET"]),
            Route(f"{project}/events/{{event}}/attachments/", guard(self.attachments), methods=["GET"]),
            Route(f"{project}/events/{{event}}/attachments/{{id}}/", guard(self.attachment), methods=["GET"]),
            Route(f"{project}/issues/", guard(self.issues), methods=["GET"]),
            Route(f"{organisation}/issues/", guard(self.issues), methods=["GET"]),
            Route(f"{organisation}/issues/{{issue}}/", guard(self.issue), methods=["GET", "PUT", "DELETE"]),
            Route("/issues/{issue}/", guard(self.issue), methods=["GET", "PUT", "DELETE"]),
            Route(f"{organisation}/issues/{{issue}}/events/", guard(self.issue_events), methods=["GET"]),
            Route(f"{organisation}/eventids/{{event}}/", guard(self.resolve, limit=1), methods=["GET"]),
        ]

    # -- Bugsink

    async def newest(self, limit: int = 100, **narrow: str) -> list[dict[str, Any]]:
        """Return Bugsink's newest events, at most `limit`."""
        answer = await self.client.get("/recorder/events/", params={"limit": str(limit), **narrow})
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()["events"]
        return found

    async def look_up(self, event_id: str) -> dict[str, Any] | None:
        """Return one event as Bugsink holds it, its frames mapped; None when it has none of this id."""
        try:
            known = uuid.UUID(event_id)
        except ValueError:
            return None
        answer = await self.client.get(f"/recorder/events/{known}/")
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    # -- events

    async def events(self, request: Request) -> Response:
        """`GET /projects/<org>/<project>/events/`: newest first; `full=true` with the whole payload."""
        since, until = period(dict(request.query_params))
        full = request.query_params.get("full") in ("true", "1")
        found = await self.newest(100, since=datetime.fromtimestamp(since, UTC).isoformat())
        shown = [
            error_shape(event, full=full)
            for event in found
            if datetime.fromisoformat(event["received"]).timestamp() <= until
        ]
        return JSONResponse(shown, headers=BY_BUGSINK)

    async def event(self, request: Request) -> Response:
        """`GET /projects/<org>/<project>/events/<id>/`: an error from Bugsink, or a kept transaction."""
        event_id = request.path_params["event"].replace("-", "").lower()
        found = await self.look_up(event_id)
        if found is not None:
            shown = error_shape(found, full=True) | {"errors": errors_of(found["data"])}
            return JSONResponse(shown, headers=BY_BUGSINK)
        for _, at, body in self.store.events(TRANSACTION, containing=(event_id,), limit=10):
            if body.get("event_id") == event_id:
                shown = transaction_shape(body, at) | {"errors": errors_of(body)}
                return JSONResponse(shown, headers=BY_RECORDER)
        return missing("Event not found")

    async def resolve(self, request: Request) -> Response:
        """`GET /organizations/<org>/eventids/<id>/`: which issue an event belongs to."""
        found = await self.look_up(request.path_params["event"])
        if found is None:
            return missing("No event found with that ID")
        shown = {
            "organizationSlug": ORGANISATION,
            "projectSlug": PROJECT,
            "groupId": str(found["issue"]["id"]),
            "eventId": found["event_id"],
            "event": error_shape(found, full=True),
        }
        return JSONResponse(shown, headers=BY_BUGSINK)

    def _attachments(self, event_id: str) -> list[dict[str, Any]]:
        kept = self.store.events(ATTACHMENT, containing=(event_id,), newest_first=False)
        return [body for _, _, body in kept if body["event_id"] == event_id]

    async def attachments(self, request: Request) -> Response:
        """`GET .../events/<id>/attachments/`."""
        event_id = request.path_params["event"].replace("-", "").lower()
        shown = [
            {key: value for key, value in body.items() if key != "content"}
            for body in self._attachments(event_id)
        ]
        return JSONResponse(shown, headers=BY_RECORDER)

    async def attachment(self, request: Request) -> Response:
        """`GET .../events/<id>/attachments/<id>/`: about one, or with `?download=1` its bytes."""
        event_id = request.path_params["event"].replace("-", "").lower()
        for body in self._attachments(event_id):
            if body["id"] == request.path_params["id"]:
                if "download" in request.query_params:
                    content = base64.b64decode(body["content"])
                    return Response(content, media_type=body["mimetype"], headers=BY_RECORDER)
                shown = {key: value for key, value in body.items() if key != "content"}
                return JSONResponse(shown, headers=BY_RECORDER)
        return missing("The requested resource does not exist")

    # -- issues

    async def _issues(self, limit: int = 1000) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
        """Return issues with their newest events, the one seen last first."""
        by_issue: dict[int, list[dict[str, Any]]] = {}
        for event in await self.newest(limit):
            by_issue.setdefault(event["issue"]["id"], []).append(event)
        return [(events[0]["issue"], events) for events in by_issue.values()]

    async def issues(self, request: Request) -> Response:
        """`GET /organizations/<org>/issues/?query=`: unresolved ones unless the query says otherwise."""
        try:
            search = Search(request.query_params.get("query", "is:unresolved"))
        except BadSearch as error:
            return JSONResponse({"detail": f"Error parsing search query: {error}"}, 400, BY_RECORDER)
        shown = []
        for issue, events in await self._issues():
            state = {"is": ["resolved" if issue["resolved"] else "unresolved"]}
            if any(search.matches(search_fields(e) | state, title_of(e)) for e in events):
                shown.append(issue_shape(issue, events[0]))
        limit = int(request.query_params.get("limit", "100"))
        return JSONResponse(shown[:limit], headers=BY_BUGSINK)

    async def issue(self, request: Request) -> Response:
        """`GET`, `PUT` (`status`) or `DELETE` one issue by its number."""
        events = await self._of_issue(request.path_params["issue"])
        if not events:
            return missing("The requested resource does not exist")
        issue, path = events[0]["issue"], f"/api/canonical/0/issues/{events[0]['issue']['uuid']}/"
        if request.method == "DELETE":
            (await self.client.delete(path)).raise_for_status()
            return Response(status_code=202, headers=BY_BUGSINK)
        if request.method == "PUT":
            try:
                status = (await read_json(request)).get("status")
            except (Unreadable, AttributeError):
                return JSONResponse({"detail": "JSON parse error"}, 400, BY_RECORDER)
            verbs = {"resolved": "resolve", "unresolved": "reopen"}
            if status not in verbs:
                return JSONResponse({"status": ["not a valid choice"]}, 400, BY_RECORDER)
            if (status == "resolved") != issue["resolved"]:
                (await self.client.post(f"{path}{verbs[status]}/")).raise_for_status()
            events = await self._of_issue(request.path_params["issue"])
            issue = events[0]["issue"]
        return JSONResponse(issue_shape(issue, events[0]), headers=BY_BUGSINK)

    async def _of_issue(self, number: str, limit: int = 1) -> list[dict[str, Any]]:
        return await self.newest(limit, issue=number) if number.isdigit() else []

    async def issue_events(self, request: Request) -> Response:
        """`GET /organizations/<org>/issues/<id>/events/`."""
        events = await self._of_issue(request.path_params["issue"], 100)
        if not events:
            return missing("The requested resource does not exist")
        full = request.query_params.get("full") in ("true", "1")
        return JSONResponse([error_shape(event, full=full) for event in events], headers=BY_BUGSINK)
