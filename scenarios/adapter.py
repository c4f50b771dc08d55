"""The adapter: what people do with a platform, as methods whose defaults follow its description.

Checks, flows and loads call only this. Where a platform does something in a way that data cannot say, its project
subclasses `Adapter`, overrides that one method, and names the class: `[settings] adapter = "adapter:Todos"`.
Each method that sends takes the port first, so that pytest and Locust run the same ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import quote, urlencode

from core.description import Description, Route, fill, fill_path, names_in, pick
from core.description.base import MISSING
from core.description.platform import Files, Parts
from core.description.services import Content
from core.errors import BrokenError, NotDescribed
from core.port import Answer, Port
from core.project import own_class
from core.room_wire import RoomWire
from core.target import Target
from scenarios.api.endpoints import Endpoints

if TYPE_CHECKING:
    from clients.service_clients import ServiceClients

T = TypeVar("T")
BINARY = "application/octet-stream"


@dataclass(frozen=True)
class Stored:
    """What an upload's answer tells of the file. `''` and None: it does not tell."""

    id: str
    key: str
    name: str = ""
    size: int | None = None
    sha256: str = ""
    store: str = ""
    whole: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class PreparedRequest:
    """A request without its body."""

    method: str
    address: str
    headers: dict[str, str]


@dataclass(frozen=True)
class StartedUpload:
    """An upload in parts: its id, and the size of each part but the last."""

    id: str
    part_size: int


class LoadPerson(Protocol):
    """A test person of a load."""

    @property
    def id(self) -> str:
        """Their id."""

    @property
    def username(self) -> str:
        """Their name."""

    @property
    def token(self) -> str:
        """Their access token."""


@dataclass(frozen=True)
class Adapter(Endpoints):
    """One platform. `platform` and `supabase` are its origins, `key` Supabase's public key."""

    description: Description = field(default_factory=Description, repr=False)

    # -- people ----------------------------------------------------------------------------------------------

    def sign_in(self, port: Port, email: str, password: str) -> Answer:
        """Signs in by password: a session (`access_token`, `refresh_token`, `expires_at`, `user`)."""
        return self._token(port, "password", email=email, password=password)

    def refresh(self, port: Port, refresh_token: str) -> Answer:
        """Exchanges a refresh token, which is good once, for a new session."""
        return self._token(port, "refresh_token", refresh_token=refresh_token)

    def whoami(self, port: Port, token: str | None) -> Answer:
        """Whom the platform takes a token's holder for; `person_of` reads the answer."""
        asked = self._described(self.description.platform.whoami, "platform.whoami")
        return self.get(port, asked.path, token)

    def person_of(self, answer: Answer) -> str:
        """The person's id that `whoami` told; '' when it tells none."""
        asked = self._described(self.description.platform.whoami, "platform.whoami")
        return str(pick(answer.json(), asked.id, ""))

    def get(self, port: Port, path: str, token: str | None = None) -> Answer:
        """Any route of the platform's by GET, as this person or as nobody."""
        return port.request("GET", self.platform + path, headers=self.platform_headers(token))

    def refusal(self, answer: Answer) -> dict[str, Any]:
        """The platform's words for a refused request (`code`, `message`, `details`); '' where it tells none."""
        try:
            body = answer.json()
        except (ValueError, BrokenError):  # not every refusal is JSON
            return {}
        where = self.description.platform.refusal
        places = {"code": (where.code, ""), "message": (where.message, ""), "details": (where.details, {})}
        return {name: pick(body, place, none) for name, (place, none) in places.items() if place}

    # -- the platform itself ---------------------------------------------------------------------------------

    def version(self, port: Port) -> str:
        """The deployed version, '' when the platform tells none."""
        asked = self._described(self.description.platform.version, "platform.version")
        answer = self.get(port, asked.path)
        return str(pick(answer.json(), asked.field, "")) if answer.status == 200 else ""

    def health(self, port: Port) -> Answer:
        """How the platform says it is; `is_well` reads the answer."""
        return self.get(port, self._described(self.description.platform.health, "platform.health").path)

    def serves(self, answer: Answer) -> bool:
        """Whether the platform says that people are served: all is well, or only what is bearable is not."""
        health = self._described(self.description.platform.health, "platform.health")
        if self.is_well(answer) or not health.bearable or answer.status != 200:
            return self.is_well(answer)
        body = answer.json()
        return all(pick(body, where) == value for where, value in health.bearable.items())

    def is_well(self, answer: Answer) -> bool:
        """Whether the health route says that all is well: status 200, and the values that the project names."""
        health = self._described(self.description.platform.health, "platform.health")
        if answer.status != 200:
            return False
        body = answer.json() if health.well else {}
        return all(pick(body, where) == value for where, value in health.well.items())

    @property
    def failure(self) -> Route:
        """The route that fails on purpose."""
        return self._described(self.description.platform.error, "platform.error")

    def fail(self, port: Port, token: str | None, tag: str) -> Answer:
        """Provokes an error of the platform's own, for error tracking to tell of."""
        return self._send(port, self.failure, token, tag=tag)

    # -- files -----------------------------------------------------------------------------------------------

    def files(self, kind: str = "") -> Files:
        """How one kind of file is described; the first kind when none is named."""
        return self._described(self.description.files(kind), f"platform.files.{kind or '*'}")

    def upload(
        self,
        port: Port,
        token: str | None,
        *,
        name: str,
        data: bytes,
        mime: str = BINARY,
        folder: str = "/",
        sha256: str | None = None,
        kind: str = "",
    ) -> Answer:
        """Uploads a file in one request; `stored` reads the answer."""
        values = {
            "name": name,
            "folder": folder,
            "size": len(data),
            "type": mime,
            "sha256": sha256,
            "tag": name,
        }
        return self._send(port, self.files(kind).upload, token, data, values=values)

    def stored(self, answer: Answer, kind: str = "") -> Stored:
        """The file that an upload's answer tells of. Raises Missed, by the answer, for an id that is not there."""
        asked = self.files(kind).upload
        whole = pick(answer.json(), asked.file)
        size = pick(whole, asked.size, None) if asked.size else None

        def text(where: str) -> str:
            return str(pick(whole, where, "")) if where else ""

        where = text(asked.stored_in)

        return Stored(
            id=text(asked.id),
            key=text(asked.key),
            name=text(asked.name),
            size=size if isinstance(size, int) else None,
            sha256=text(asked.sha256),
            store=next((ours for ours, theirs in asked.stores.items() if theirs == where), where),
            whole=whole if isinstance(whole, Mapping) else {},
        )

    def start_upload(
        self,
        port: Port,
        token: str | None,
        *,
        name: str,
        size: int,
        mime: str = BINARY,
        folder: str = "/",
        sha256: str | None = None,
        kind: str = "",
    ) -> Answer:
        """Begins an upload in parts."""
        values = {"name": name, "folder": folder, "size": size, "type": mime, "sha256": sha256, "tag": name}
        return self._send(port, self._parts(kind).start, token, values=values)

    def upload_of(self, answer: Answer, kind: str = "") -> str:
        """The identifier of the upload in parts that `start_upload` began."""
        described = self._parts(kind)
        return str(pick(pick(answer.json(), described.upload), described.id, ""))

    def put_part(
        self, port: Port, token: str | None, upload: str, number: int, data: bytes, kind: str = ""
    ) -> Answer:
        """Sends part `number` (1…)."""
        return self._send(port, self._parts(kind).part, token, data, upload=upload, number=number)

    def complete_upload(
        self, port: Port, token: str | None, upload: str, *, sha256: str | None = None, kind: str = ""
    ) -> Answer:
        """Ends an upload in parts; the answer is the one of an upload."""
        return self._send(port, self._parts(kind).complete, token, upload=upload, sha256=sha256)

    def abort_upload(self, port: Port, token: str | None, upload: str, kind: str = "") -> Answer:
        """Gives an upload in parts up: nothing of it remains."""
        route = self._described(self._parts(kind).abort, "platform.files.*.parts.abort")
        return self._send(port, route, token, upload=upload)

    @staticmethod
    def parts_of(data: bytes, size: int) -> Iterator[tuple[int, bytes]]:
        """(number, bytes) of each part; all but the last exactly `size` long."""
        for number, begin in enumerate(range(0, len(data), size), 1):
            yield number, data[begin : begin + size]

    def read_file(
        self, port: Port, token: str | None, file: str, *, version: int | None = None, kind: str = ""
    ) -> Answer:
        """A file's bytes."""
        route = self._described(self.files(kind).read, "platform.files.*.read")
        return self._send(port, route, token, id=file, version=version)

    def list_files(self, port: Port, token: str | None, kind: str = "") -> Answer:
        """A person's files; `listed` reads the answer."""
        return self._send(port, self._described(self.files(kind).listing, "platform.files.*.list"), token)

    def listed(self, answer: Answer, kind: str = "") -> list[Any]:
        """The files that a list tells; a list that is none tells nothing."""
        found = pick(answer.json(), self.files(kind).listed, [])
        return found if isinstance(found, list) else []

    def upload_request(
        self,
        token: str | None,
        *,
        name: str,
        size: int,
        mime: str = BINARY,
        sha256: str | None = None,
        kind: str = "",
    ) -> PreparedRequest:
        """The request of an upload without its bytes, for who streams them."""
        values = {"name": name, "folder": "/", "size": size, "type": mime, "sha256": sha256, "tag": name}
        return self._prepared(self.files(kind).upload, token, values)

    def part_request(self, token: str | None, upload: str, number: int, kind: str = "") -> PreparedRequest:
        """The request of a part without its bytes, for who streams them."""
        return self._prepared(self._parts(kind).part, token, {"upload": upload, "number": number})

    def started(self, answer: Answer, kind: str = "") -> StartedUpload:
        """The upload in parts that an answer tells of. Raises KeyError for what it does not tell."""
        parts = self._parts(kind)
        document = answer.json()
        inside = pick(document, parts.upload)
        found = {"id": pick(inside, parts.id), "size": pick(inside, parts.size)}
        if lacking := [name for name, value in found.items() if value is MISSING]:
            raise KeyError(lacking[0])
        return StartedUpload(str(found["id"]), int(found["size"]))

    def remove_file(self, port: Port, token: str | None, file: str, kind: str = "") -> Answer:
        """Removes a file, all its versions and their objects."""
        route = self._described(self.files(kind).remove, "platform.files.*.remove")
        return self._send(port, route, token, id=file)

    def ask(
        self, port: Port, route: Route, token: str | None, data: bytes | None = None, **values: Any
    ) -> Answer:
        """Any described route with its names' values, as this person or as nobody."""
        return self._send(port, route, token, data, values=values)

    # -- content ---------------------------------------------------------------------------------------------

    def page(self, port: Port, path: str, **targeting: str) -> Answer:
        """The rendered content of a path; `cache_state` reads the answer. Targeting: locale, device, audience."""
        return self._send(port, self._content().page, None, query=targeting, path=path)

    def cache_state(self, answer: Answer) -> str:
        """`hit`, `miss`, `stale`, or what else the header says."""
        return str(answer.headers.get(self._content().cache, ""))

    # -- rooms -----------------------------------------------------------------------------------------------

    def room_wire(self) -> RoomWire:
        """How its rooms are spoken to; checks, flows and loads say and hear by this alone."""
        return RoomWire(self._described(self.description.rooms, "rooms"))

    # -- telemetry -------------------------------------------------------------------------------------------

    def report_error(self, port: Port, envelope: bytes) -> Answer:
        """An error as @sentry/browser tunnels it: the intake answers with the event's id."""
        return self._relay(port, "relay.sentry", envelope, "text/plain;charset=UTF-8")

    def report_view(self, port: Port, intake: str, lines: bytes) -> Answer:
        """RUM events as @datadog/browser-rum proxies them; `intake` is the intake's own path and query."""
        return self._relay(port, "relay.datadog", lines, "text/plain", f"?{urlencode({'ddforward': intake})}")

    def report_event(self, port: Port, event: Mapping[str, Any]) -> Answer:
        """A consented event as mixpanel-browser sends it."""
        body = urlencode({"data": json.dumps([event])}).encode()
        form = "application/x-www-form-urlencoded"
        return self._relay(port, "relay.mixpanel", body, form, "/track/?verbose=1", Cookie="consent=granted")

    def track(self, port: Port, name: str, client_id: str, **params: Any) -> Answer:
        """One event of a visitor who is not signed in and has consented, told to the platform's own route."""
        body = {"name": name, "params": params, "client_id": client_id, "consent": "granted"}
        return self._relay(port, "track", json.dumps(body).encode(), "application/json")

    # -- what a load reads -----------------------------------------------------------------------------------

    def make_posts(self, services: ServiceClients, people: Sequence[LoadPerson], each: int) -> dict[str, Any]:
        """What the loads of a project that say `posts=…` read, made before them; a project that has such overrides this."""
        raise NotDescribed("load.posts")

    # -- privacy ---------------------------------------------------------------------------------------------

    def export(self, port: Port, token: str | None) -> Answer:
        """Everything about a person as one document."""
        return self._send(port, self._described(self.description.privacy.export, "privacy.export"), token)

    def erase(self, port: Port, token: str | None, email: str) -> Answer:
        """The erasure of the person whose address this is."""
        route = self._described(self.description.privacy.erase, "privacy.erase")
        return self._send(port, route, token, email=email)

    # -- how it is sent --------------------------------------------------------------------------------------

    def _prepared(self, route: Route, token: str | None, values: Mapping[str, Any]) -> PreparedRequest:
        asked = _filled(route.query, values)
        address = self.platform + fill_path(route.path, values) + (f"?{urlencode(asked)}" if asked else "")
        headers = self.platform_headers(token)
        if route.body == "raw":
            headers["Content-Type"] = str(values.get("type", BINARY))
        headers |= {name: str(value) for name, value in _filled(route.headers, values).items()}
        return PreparedRequest(route.method, address, headers)

    def _send(
        self,
        port: Port,
        route: Route,
        token: str | None,
        data: bytes | None = None,
        *,
        query: Mapping[str, str] | None = None,
        values: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Answer:
        """One request by its template. A header, a query or a field of which a name has no value is left out."""
        values = {**(values or {}), **more}
        asked = {**_filled(route.query, values), **(query or {})}
        address = self.platform + fill_path(route.path, values) + (f"?{urlencode(asked)}" if asked else "")
        headers = self.platform_headers(token)
        body = b"" if data is None and route.method in ("POST", "PUT", "PATCH") else data
        if route.body == "raw":
            headers["Content-Type"] = str(values.get("type", BINARY))
        elif route.body == "json":
            headers["Content-Type"] = "application/json"
            body = json.dumps(_filled(route.fields, values)).encode()
        headers |= {name: str(value) for name, value in _filled(route.headers, values).items()}
        return port.request(route.method, address, headers=headers, body=body)

    def _relay(self, port: Port, name: str, body: bytes, mime: str, more: str = "", **headers: str) -> Answer:
        path = self._described(self.description.find(f"telemetry.{name}"), f"telemetry.{name}")
        sent = {"Content-Type": mime, **headers}
        return port.request("POST", self.platform + path + more, headers=sent, body=body)

    def _token(self, port: Port, kind: str, **body: str) -> Answer:
        headers = self.rest_headers() | {
            "Content-Type": "application/json",
            "X-Supabase-Api-Version": "2024-01-01",
        }
        address = f"{self.supabase}/auth/v1/token?grant_type={quote(kind)}"
        return port.request("POST", address, headers=headers, body=json.dumps(body).encode())

    def _parts(self, kind: str) -> Parts:
        return self._described(self.files(kind).parts, "platform.files.*.parts")

    def _content(self) -> Content:
        return self._described(self.description.content, "content")

    @staticmethod
    def _described(found: T | None, path: str) -> T:
        if found is None:
            raise NotDescribed(path)
        return found


def adapter_of(target: Target) -> Adapter:
    """The target's adapter: the class that its project names in its settings, else ours.

    Raises ConfigError when the name leads nowhere.
    """
    named, description = target.description.settings.adapter, target.description
    made = own_class(named, description.folder, Adapter, "adapter") if named else Adapter
    return made(
        platform=(target.find("PLATFORM_URL") or "").rstrip("/"),
        supabase=(target.find("VITE_SUPABASE_URL") or "").rstrip("/"),
        key=target.find("VITE_SUPABASE_ANON_KEY") or "",
        description=description,
    )


def _filled(template: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A table of templates filled; entries of which a name has no value are left out."""
    known = {name: value for name, value in values.items() if value is not None}
    return {key: fill(item, known) for key, item in template.items() if names_in(item) <= set(known)}
