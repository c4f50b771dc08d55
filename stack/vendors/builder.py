"""Builder.io: the content API that browsers and servers read, and the write API that editors use.

Sources are Builder.io's own pages "Content API", "Querying cheatsheet", "Write API", "Webhooks" and
"Performance and uptime", and the requests of its SDKs (@builder.io/sdk, @builder.io/sdk-react). Which rule
stands on which, and what is a guess, is in this room's README.
"""

from __future__ import annotations

import copy
import time
import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stack.vendors.builder_admin import BuilderAdmin
from stack.vendors.edge import Edge, cache_control
from stack.vendors.query import MISSING, BadQuery, literal, lookup, matches, unflatten
from stack.vendors.store import Store
from stack.vendors.targeting import fits
from stack.vendors.web import Unreadable, bearer, read_json, same
from stack.vendors.webhooks import Webhooks

ENTRY = "builder.entry"
MODEL = "builder.model"
MAX_RESULTS = 100
DEFAULT_RESULTS = 30
STATES = ("published", "draft", "archived")
BUILT_IN_MODELS = {"page": "page", "symbol": "component"}


def failure(status: int, message: str) -> JSONResponse:
    """Return an error in the form of Builder.io's APIs."""
    return JSONResponse({"status": status, "message": message}, status)


def now_ms() -> int:
    """Return the present in milliseconds since the epoch, Builder.io's unit."""
    return time.time_ns() // 1_000_000


class Builder:
    """One Builder.io space: its models, entries, webhooks and keys."""

    def __init__(self, store: Store, variables: dict[str, str], options: dict[str, Any]) -> None:
        self.store = store
        self.public_key = variables["BUILDER_PUBLIC_KEY"]
        self.private_key = variables["BUILDER_PRIVATE_KEY"]
        self._entries: list[dict[str, Any]] | None = None
        self._latest = max((entry["lastUpdated"] for entry in store.all(ENTRY)), default=0)
        self.edge = Edge(float(options.get("builder_delay_ms", 100)) / 1000)
        self.webhooks = Webhooks(store, variables, options)
        self.admin = BuilderAdmin(store, variables, MODEL)
        for name, kind in BUILT_IN_MODELS.items():
            if store.get(MODEL, name) is None:
                store.put(MODEL, name, {"id": uuid.uuid4().hex, "name": name, "kind": kind, "fields": []})

    # -- reading (cdn.builder.io)

    def routes_cdn(self) -> list[Route]:
        """Return the routes of cdn.builder.io."""
        return [
            Route("/api/v3/content/{model}", self.content, methods=["GET"]),
            Route("/api/v3/content/{model}/{entry}", self.content_entry, methods=["GET"]),
            Route("/api/v3/query/{key}/{models}", self.query, methods=["GET"]),
            Route("/api/v1/track", self.track, methods=["POST"]),
            *self.admin.routes(),
        ]

    async def content(self, request: Request) -> Response:
        """`GET /api/v3/content/<model>`: entries that fit query and targeting."""
        parameters = dict(request.query_params)
        if refusal := self._refuse_reader(parameters.get("apiKey"), request, parameters):
            return refusal
        model = request.path_params["model"]
        if self.store.get(MODEL, model) is None:
            return failure(404, f"No model named {model} was found for this API key")
        try:
            answer = self.edge.serve(request, parameters, lambda: self._search(model, parameters))
        except BadQuery as error:
            return failure(400, str(error))
        return JSONResponse(answer, headers={"Cache-Control": cache_control(parameters)})

    async def content_entry(self, request: Request) -> Response:
        """`GET /api/v3/content/<model>/<id>`: one entry."""
        parameters = dict(request.query_params)
        if refusal := self._refuse_reader(parameters.get("apiKey"), request, parameters):
            return refusal
        model, key = request.path_params["model"], request.path_params["entry"]

        def find() -> Any:
            entry = self.store.get(ENTRY, key)
            if entry is None or entry["modelName"] != model or not self._readable(entry, parameters):
                return None
            return self._shaped(entry, parameters)

        answer = self.edge.serve(request, parameters, find)
        if answer is None:
            return failure(404, f"No entry {key} of model {model} was found")
        return JSONResponse(answer, headers={"Cache-Control": cache_control(parameters)})

    async def query(self, request: Request) -> Response:
        """`GET /api/v3/query/<key>/<name,name>`: what the first-generation SDK asks, several models at once."""
        parameters = dict(request.query_params)
        if refusal := self._refuse_reader(request.path_params["key"], request, parameters):
            return refusal
        answer: dict[str, Any] = {}
        try:
            for name in request.path_params["models"].split(","):
                own = {
                    key.removeprefix(f"options.{name}."): str(literal(value))
                    if key.split(".")[-1] in ("model", "entry", "limit", "offset")
                    else value
                    for key, value in parameters.items()
                }
                own.setdefault("limit", "1")
                answer[name] = self._search(own.get("model", name), own)["results"]
        except BadQuery as error:
            return failure(400, str(error))
        return JSONResponse(answer, headers={"Cache-Control": cache_control(parameters)})

    async def track(self, request: Request) -> Response:
        """`POST /api/v1/track`: impressions and conversions of the SDKs, kept where `ownerId` is this space."""
        try:
            body = await read_json(request)
        except Unreadable as error:
            return failure(400, str(error))
        for event in body.get("events", []) if isinstance(body, dict) else []:
            owner = (event.get("data") or {}).get("ownerId") if isinstance(event, dict) else None
            if same(owner if isinstance(owner, str) else None, self.public_key):
                self.store.append("builder.track", event)
        return JSONResponse({"message": "Success"})

    def _refuse_reader(
        self, key: str | None, request: Request, parameters: dict[str, str]
    ) -> JSONResponse | None:
        if not key:
            return failure(401, "Missing apiKey: a public API key is required")
        if not same(key, self.public_key):
            return failure(401, "Invalid API key")
        token = bearer(request)
        if token and not same(token, self.private_key):
            return failure(401, "Invalid private key")
        return None

    @staticmethod
    def _readable(entry: dict[str, Any], parameters: dict[str, str]) -> bool:
        if parameters.get("includeUnpublished") == "true" or parameters.get("preview") == "true":
            return bool(entry["published"] != "archived")
        if entry["published"] != "published":
            return False
        now = now_ms()
        start, end = entry.get("startDate"), entry.get("endDate")
        return (not start or start <= now) and (not end or now < end)

    def _search(self, model: str, parameters: dict[str, str]) -> dict[str, Any]:
        raw = parameters.get("query")
        query = literal(raw) if raw else {}
        if not isinstance(query, dict):
            raise BadQuery("query is not a JSON object")
        query |= unflatten(
            (name.removeprefix("query."), text)
            for name, text in parameters.items()
            if name.startswith("query.")
        )
        attributes = literal(parameters.get("userAttributes", "{}"))
        attributes = attributes if isinstance(attributes, dict) else {}
        attributes |= {
            name.removeprefix("userAttributes."): literal(text)
            for name, text in parameters.items()
            if name.startswith("userAttributes.")
        }
        if parameters.get("entry"):
            query["id"] = parameters["entry"]
        matches({}, query)  # an operator that does not exist is refused, whatever entries there are
        limit = self._count(parameters, "limit", DEFAULT_RESULTS, MAX_RESULTS)
        offset = self._count(parameters, "offset", 0, 10**9)
        found = [
            entry
            for entry in self._all()
            if entry["modelName"] == model
            and self._readable(entry, parameters)
            and (parameters.get("noTargeting") == "true" or fits(entry.get("query") or [], attributes))
            and matches(entry, query)
        ]
        found.sort(key=lambda entry: (entry.get("priority", 0), -entry["lastUpdated"]))
        for name, text in reversed(parameters.items()):
            if name.startswith("sort."):
                path = name.removeprefix("sort.")
                known = [entry for entry in found if lookup(entry, path) is not MISSING]
                unknown = [entry for entry in found if lookup(entry, path) is MISSING]
                known.sort(key=lambda entry: lookup(entry, path), reverse=literal(text) == -1)
                found = known + unknown
        answer: dict[str, Any] = {
            "results": [self._shaped(entry, parameters) for entry in found[offset : offset + limit]]
        }
        if literal(parameters.get("fetchTotalCount", "false")) is True:
            answer["totalCount"] = len(found)
        return answer

    def _all(self) -> list[dict[str, Any]]:
        """Return every entry, decoded once between two changes; nobody may change them."""
        if self._entries is None:
            self._entries = self.store.all(ENTRY)
        return self._entries

    @staticmethod
    def _count(parameters: dict[str, str], name: str, default: int, most: int) -> int:
        value = literal(parameters.get(name, str(default)))
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise BadQuery(f"{name} must be a whole number, not negative")
        return min(value, most)

    @staticmethod
    def _shaped(entry: dict[str, Any], parameters: dict[str, str]) -> dict[str, Any]:
        """Return an entry with `fields` kept and `omit` dropped, dotted paths both."""
        shown = copy.deepcopy({key: value for key, value in entry.items() if key != "modelName"})
        if fields := [name for name in parameters.get("fields", "").split(",") if name]:
            kept: dict[str, Any] = {}
            for path in ["id", *fields]:
                value = lookup(shown, path)
                if value is MISSING:
                    continue
                place = kept
                *parents, last = path.split(".")
                for part in parents:
                    place = place.setdefault(part, {})
                place[last] = value
            shown = kept
        for path in parameters.get("omit", "").split(","):
            *parents, last = path.split(".")
            holder: Any = shown
            for part in parents:
                holder = holder.get(part) if isinstance(holder, dict) else None
            if isinstance(holder, dict):
                holder.pop(last, None)
        return shown

    # -- writing (builder.io)

    def routes_api(self) -> list[Route]:
        """Return the routes of builder.io."""
        return [
            Route("/api/v1/write/{model}", self.create, methods=["POST"]),
            Route("/api/v1/write/{model}/{entry}", self.change, methods=["PATCH", "PUT", "DELETE"]),
            *self.admin.routes(),
        ]

    def _writable(self, request: Request) -> dict[str, Any] | JSONResponse:
        """Return the model of the path, or the refusal of a writer."""
        if not same(bearer(request), self.private_key):
            return failure(401, "Unauthorized: a private key of this space is required")
        model = self.store.get(MODEL, request.path_params["model"])
        if not isinstance(model, dict):
            return failure(404, f"No model named {request.path_params['model']} was found")
        return model

    async def create(self, request: Request) -> Response:
        """`POST /api/v1/write/<model>`: a new entry each time."""
        model = self._writable(request)
        if isinstance(model, JSONResponse):
            return model
        try:
            body = self._checked(await read_json(request))
        except (Unreadable, BadQuery) as error:
            return failure(400, str(error))
        now = self._moment()
        entry = {
            "createdBy": "api",
            "createdDate": now,
            "lastUpdatedBy": "api",
            "folders": [],
            "meta": {"kind": model["kind"]},
            "query": [],
            "testRatio": 1,
            "variations": {},
            "published": "draft",
            "name": "",
            "data": {},
            **body,
            "id": uuid.uuid4().hex,
            "modelId": model["id"],
            "modelName": model["name"],
            "lastUpdated": now,
            "rev": uuid.uuid4().hex[:16],
        }
        if entry["published"] == "published":
            entry["firstPublished"] = now
        return self._written(request, entry, None)

    async def change(self, request: Request) -> Response:
        """`PATCH` merges, `PUT` replaces, `DELETE` deletes the entry of the path."""
        model = self._writable(request)
        if isinstance(model, JSONResponse):
            return model
        key = request.path_params["entry"]
        old = self.store.get(ENTRY, key)
        if old is None or old["modelName"] != request.path_params["model"]:
            return failure(404, f"No entry {key} was found")
        if request.method == "DELETE":
            self.store.delete(ENTRY, key)
            self._entries = None
            self.edge.changed()
            self._tell(request, "delete", None, old)
            return JSONResponse({"status": 200, "message": "Success"})
        try:
            body = self._checked(await read_json(request))
        except (Unreadable, BadQuery) as error:
            return failure(400, str(error))
        fixed = {name: old[name] for name in ("id", "modelId", "modelName", "createdBy", "createdDate")}
        base = old if request.method == "PATCH" else {"folders": [], "query": [], "published": "draft"}
        entry = {**base, **body, **fixed, "lastUpdated": self._moment()}
        if request.method == "PATCH" and isinstance(body.get("data"), dict):
            entry["data"] = {**old.get("data", {}), **body["data"]}
        entry["rev"] = uuid.uuid4().hex[:16]
        if entry["published"] == "published":
            entry.setdefault("firstPublished", entry["lastUpdated"])
        return self._written(request, entry, old)

    def _moment(self) -> int:
        """Return now, but later than every change before: of two in one millisecond the second is still the newer."""
        self._latest = max(now_ms(), self._latest + 1)
        return self._latest

    @staticmethod
    def _checked(body: Any) -> dict[str, Any]:
        if not isinstance(body, dict):
            raise BadQuery("the body must be a JSON object")
        if "published" in body and body["published"] not in STATES:
            raise BadQuery(f"published must be one of {', '.join(STATES)}")
        data = body.get("data", {})
        if not isinstance(data, dict):
            raise BadQuery("data must be an object")
        if not isinstance(data.get("blocks", []), list | str):
            raise BadQuery("data.blocks must be an array of blocks")
        return body

    def _written(self, request: Request, entry: dict[str, Any], old: dict[str, Any] | None) -> Response:
        self.store.put(ENTRY, entry["id"], entry)
        self._entries = None
        self.edge.changed()
        operation = {"published": "publish", "archived": "archive", "draft": "unpublish"}[entry["published"]]
        if operation == "publish" or (old and old["published"] != entry["published"]):
            self._tell(request, operation, entry, old)
        return JSONResponse({key: value for key, value in entry.items() if key != "modelName"})

    def _tell(
        self, request: Request, operation: str, new: dict[str, Any] | None, old: dict[str, Any] | None
    ) -> None:
        if request.query_params.get("triggerWebhooks", "true") != "false":
            model = (new or old or {})["modelName"]
            own = (self.store.get(MODEL, model) or {}).get("webhooks") or []
            self.webhooks.deliver(operation, model, new, old, own)
