"""Releases, their deploys, and sessions, as Sentry's Web API and sentry-cli know them.

Source: Sentry's API reference, "Releases" (create, list, retrieve, update, delete, deploys) and "Sessions"
(`GET /organizations/<org>/sessions/` with `field`, `groupBy`, `query`, `statsPeriod`).
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stack.sentry.access import Access, missing
from stack.sentry.reading import Reading, period
from stack.sentry.recorder import BY_RECORDER, SESSION
from stack.sentry.search import BadSearch, Search
from stack.sentry.variables import PROJECT, PROJECT_ID
from stack.vendors.store import Store
from stack.vendors.web import Unreadable, read_json

RELEASE = "sentry.release"
DEPLOY = "sentry.deploy"
FIELD = re.compile(r"(sum|count_unique|crash_rate|crash_free_rate)\((session|user)\)")
GROUPS = ("release", "environment", "session.status", "project")
BAD_VERSION = re.compile(r"^$|^\.{1,2}$|^latest$|[\n\t\f\\/]")


def now() -> str:
    """Return the present as Sentry writes it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


class Releases:
    """The project's releases."""

    def __init__(self, store: Store, reading: Reading, access: Access) -> None:
        self.store, self.reading, self.access = store, reading, access

    def routes(self) -> list[Route]:
        """Return the routes of releases, deploys and sessions, below organisation and project."""
        guard = self.access.guard
        made = [Route("/organizations/{org}/sessions/", guard(self.sessions), methods=["GET"])]
        for base in ("/organizations/{org}", "/projects/{org}/{project}"):
            one = f"{base}/releases/{{version}}/"
            made += [
                Route(f"{base}/releases/", guard(self.releases), methods=["GET", "POST"]),
                Route(one, guard(self.release), methods=["GET", "PUT", "DELETE"]),
                Route(f"{one}deploys/", guard(self.deploys), methods=["GET", "POST"]),
                Route(f"{one}commits/", guard(self.commits), methods=["GET"]),
                Route(f"{one}previous-with-commits/", guard(self.previous), methods=["GET"]),
            ]
        return made

    async def _known(self) -> dict[str, dict[str, Any]]:
        """Return every release: those of events, from Bugsink, and those created by the API."""
        answer = await self.reading.client.get("/recorder/releases/")
        answer.raise_for_status()
        found = {
            one["version"]: self._shape({"version": one["version"], "dateCreated": one["released"]})
            for one in answer.json()["releases"]
            if one["version"]
        }
        found |= {one["version"]: self._shape(one) for one in self.store.all(RELEASE)}
        return dict(sorted(found.items(), key=lambda item: item[1]["dateCreated"], reverse=True))

    def _deploys(self, version: str) -> list[dict[str, Any]]:
        kept = [one for one in self.store.all(DEPLOY) if one["version"] == version]
        return [{name: value for name, value in one.items() if name != "version"} for one in kept]

    def _shape(self, release: dict[str, Any]) -> dict[str, Any]:
        deploys = self._deploys(release["version"])
        package, _, short = release["version"].rpartition("@")
        return {
            "id": 1,
            "shortVersion": short or release["version"],
            "status": "open",
            "ref": None,
            "url": None,
            "dateReleased": None,
            "dateStarted": None,
            "commitCount": len(release.get("commits", [])),
            "lastCommit": None,
            "deployCount": len(deploys),
            "lastDeploy": deploys[-1] if deploys else None,
            "authors": [],
            "data": {},
            "newGroups": 0,
            "projects": [{"id": PROJECT_ID, "slug": PROJECT, "name": PROJECT, "platform": None}],
            "versionInfo": {"package": package or None, "version": {"raw": short}, "description": short},
            **{key: value for key, value in release.items() if key != "commits"},
        }

    async def releases(self, request: Request) -> Response:
        """`GET` lists (`query` narrows by the version's text), `POST` creates: 201, or 208 if known."""
        known = await self._known()
        if request.method == "GET":
            query = request.query_params.get("query", "")
            return JSONResponse(
                [one for version, one in known.items() if query in version], headers=BY_RECORDER
            )
        try:
            body = await read_json(request)
        except Unreadable:
            return JSONResponse({"detail": "JSON parse error"}, 400, BY_RECORDER)
        version = str(body.get("version", ""))
        if BAD_VERSION.search(version) or len(version) > 250:
            return JSONResponse({"version": ["Release name is not valid"]}, 400, BY_RECORDER)
        if set(body.get("projects", [PROJECT])) - {PROJECT, str(PROJECT_ID), PROJECT_ID}:
            return JSONResponse({"projects": ["Invalid project slugs"]}, 400, BY_RECORDER)
        kept = self._kept(body, version, known.get(version))
        self.store.put(RELEASE, version, kept)
        return JSONResponse(self._shape(kept), 208 if version in known else 201, BY_RECORDER)

    def _kept(self, body: dict[str, Any], version: str, old: dict[str, Any] | None) -> dict[str, Any]:
        names = ("ref", "url", "dateStarted", "dateReleased", "commits", "refs", "status")
        before = self.store.get(RELEASE, version) or {}
        given = {name: body[name] for name in names if name in body}
        created = before.get("dateCreated") or (old or {}).get("dateCreated") or now()
        return {**before, **given, "version": version, "dateCreated": created}

    async def release(self, request: Request) -> Response:
        """`GET`, `PUT` or `DELETE` one release."""
        version = unquote(request.path_params["version"])
        known = await self._known()
        if version not in known and request.method != "PUT":
            return missing()
        if request.method == "GET":
            return JSONResponse(known[version], headers=BY_RECORDER)
        if request.method == "DELETE":
            self.store.delete(RELEASE, version)
            return Response(status_code=204, headers=BY_RECORDER)
        kept = self._kept(await read_json(request), version, known.get(version))
        self.store.put(RELEASE, version, kept)
        return JSONResponse(self._shape(kept), headers=BY_RECORDER)

    async def deploys(self, request: Request) -> Response:
        """`GET` lists, `POST` creates a deploy of a release."""
        version = unquote(request.path_params["version"])
        if version not in await self._known():
            return missing()
        if request.method == "GET":
            found = self._deploys(version)
            return JSONResponse(list(reversed(found)), headers=BY_RECORDER)
        body = await read_json(request)
        if not body.get("environment"):
            return JSONResponse({"environment": ["This field is required."]}, 400, BY_RECORDER)
        key = str(len(self.store.all(DEPLOY)) + 1)
        deploy = {
            "id": key,
            "environment": body["environment"],
            "name": body.get("name"),
            "url": body.get("url"),
            "dateStarted": body.get("dateStarted"),
            "dateFinished": body.get("dateFinished") or now(),
        }
        self.store.put(DEPLOY, key, {**deploy, "version": version})
        return JSONResponse(deploy, 201, BY_RECORDER)

    async def commits(self, request: Request) -> Response:
        """`GET .../commits/`."""
        kept = self.store.get(RELEASE, unquote(request.path_params["version"]))
        return JSONResponse(kept.get("commits", []), headers=BY_RECORDER) if kept else missing()

    async def previous(self, request: Request) -> Response:
        """`GET .../previous-with-commits/`: the release before with commits; none is an empty object."""
        return JSONResponse({}, headers=BY_RECORDER)

    # -- sessions

    @staticmethod
    def _outcomes(body: dict[str, Any]) -> dict[str, int]:
        """Return how many sessions a kept record stands for, by status."""
        if body["aggregate"]:
            counted = {name: int(body.get(name, 0)) for name in ("exited", "errored", "crashed", "abnormal")}
            return {"healthy": counted.pop("exited"), **counted}
        status = body.get("status", "ok")
        if status in ("crashed", "abnormal"):
            return {status: 1}
        return {"errored" if int(body.get("errors") or 0) > 0 or status == "errored" else "healthy": 1}

    async def sessions(self, request: Request) -> Response:
        """`GET /organizations/<org>/sessions/`."""
        asked = request.query_params
        fields, by = asked.getlist("field"), asked.getlist("groupBy")
        if not fields or not all(FIELD.fullmatch(field) for field in fields):
            return JSONResponse({"detail": "Invalid field"}, 400, BY_RECORDER)
        if not set(by) <= set(GROUPS):
            return JSONResponse({"detail": "Invalid groupBy"}, 400, BY_RECORDER)
        try:
            search = Search(asked.get("query", ""))
        except BadSearch as error:
            return JSONResponse({"detail": str(error)}, 400, BY_RECORDER)
        since, until = period(dict(asked))
        groups: dict[tuple[str, ...], dict[str, Any]] = defaultdict(
            lambda: {"outcomes": defaultdict(int), "users": defaultdict(set)}
        )
        for _, _, body in self.store.events(SESSION, since=since, until=until):
            facts = {"release": body["release"], "environment": body["environment"]}
            if not search.matches(facts, ""):
                continue
            for status, count in self._outcomes(body).items():
                facts |= {"session.status": status, "project": str(PROJECT_ID)}
                group = groups[tuple(facts[name] for name in by)]
                group["outcomes"][status] += count
                if body.get("did"):
                    group["users"][status].add(body["did"])
        shown = [
            {
                "by": dict(zip(by, key, strict=True)),
                "totals": {field: self._number(field, group) for field in fields},
                "series": {field: [self._number(field, group)] for field in fields},
            }
            for key, group in sorted(groups.items())
        ]
        start, end = (datetime.fromtimestamp(at, UTC).isoformat() for at in (since, min(until, time.time())))
        answer = {"start": start, "end": end, "query": asked.get("query", ""), "intervals": [start]}
        return JSONResponse({**answer, "groups": shown}, headers=BY_RECORDER)

    @staticmethod
    def _number(field: str, group: dict[str, Any]) -> float | int | None:
        match = FIELD.fullmatch(field)
        assert match is not None
        name, subject = match.groups()
        if subject == "user":
            counts = {status: len(users) for status, users in group["users"].items()}
            total = len(set().union(*group["users"].values()))
        else:
            counts = dict(group["outcomes"])
            total = sum(counts.values())
        if name in ("sum", "count_unique"):
            return total
        if not total:
            return None
        rate = counts.get("crashed", 0) / total
        return rate if name == "crash_rate" else 1 - rate
