"""P6.3: knowing an identifier opens nothing: every described route that takes one, in a stranger's hands and in nobody's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from clients.identities import Actor
from clients.made_files import MadeFile, sha256
from clients.service_clients import ServiceClients
from core.description import Route
from core.description.platform import Files
from core.errors import ServiceError
from core.expect import expect
from core.passport import check
from core.port import Answer
from core.run import Run
from scenarios.adapter import Adapter, Stored
from suites.security.attempts import Attempts, HostilePort, said
from suites.types import NewActor, NewFile, Witness

PLATFORM = "platform"
SMALL = 3000
SINGLE = ("read", "show", "link", "direct", "change", "restore", "remove")
"""Routes of one file, in an order in which the owner's own use of one leaves the next something to do."""


@dataclass(frozen=True)
class Kept:
    """A file of the owner's, with what each described route needs to name it."""

    services: ServiceClients
    adapter: Adapter
    owner: Actor
    file: MadeFile
    stored: Stored
    described: Files
    kind: str

    @property
    def routes(self) -> Iterator[tuple[str, Route]]:
        """Each described route that takes the identifier."""
        for name in SINGLE:
            route: Route | None = getattr(self.described, name)
            if route is not None and "id" in route.names:
                yield name, route

    def send(self, route: Route, token: str | None) -> Answer:
        """One request for the owner's file, by whoever has this token."""
        values: dict[str, Any] = {
            "id": self.stored.id,
            "name": f"taken-{self.file.name}",
            "folder": "/",
            "version": 1,
        }
        return self.adapter.ask(HostilePort(self.services.platform.port), route, token, **values)

    def state(self) -> dict[str, str]:
        """What the owner sees of it: its description where there is a route for it, and its bytes.

        Of a large file with a description the bytes are looked at by `bytes` alone, at the end.
        """
        seen: dict[str, str] = {}
        if (route := self.described.show) is not None:
            seen["description"] = self.send(route, self.owner.access_token).text
        return seen if seen and self.file.size > SMALL else {**seen, **self.bytes()}

    def bytes(self) -> dict[str, str]:
        """Status and SHA-256 of the bytes as the owner reads them; nothing where there is no route for it."""
        if (route := self.described.read) is None:
            return {}
        answer = self.adapter.ask(
            self.services.platform.port, route, self.owner.access_token, id=self.stored.id
        )
        return {"bytes": f"{answer.status} {sha256(answer.content)}"}


def kept(run: Run, services: ServiceClients, adapter: Adapter, owner: Actor, made: NewFile) -> Iterator[Kept]:
    """A file of each described kind, for each of the stores that it may lie in."""
    for kind, described in run.target.description.platform.files.items():
        for above in [rule.above for rule in described.rules] or [None]:
            file = made(SMALL if above is None else above + 1, described.type)
            answer = adapter.upload(
                services.platform.port,
                owner.access_token,
                name=file.name,
                data=file.data,
                mime=file.mime,
                kind=kind,
            )
            if answer.status != described.upload.answers:
                raise ServiceError(PLATFORM, f"preparing a file failed: {answer.status} {answer.text[:200]}")
            yield Kept(services, adapter, owner, file, adapter.stored(answer, kind), described, kind)


def pretending(owner: Actor) -> dict[str, Mapping[str, str]]:
    """Headers by which a careless platform believes that somebody is the owner."""
    return {
        "": {},
        "saying to be the owner": {
            "X-User-Id": owner.id,
            "X-Forwarded-User": owner.id,
            "X-Authenticated-User": owner.id,
            "X-Auth-Request-Email": owner.email,
            "Cookie": f"user_id={owner.id}; uid={owner.id}; role=admin",
        },
    }


@check(
    "security.direct_references",
    "Who knows a file's identifier, and no more, neither reads nor changes nor removes it, by any route",
    requirement=("P2.3", "P6.3"),
    service=PLATFORM,
    needs=("platform.api", "auth.email", "platform.files"),
    timeout=60,
    why_slow="every route of a file in each store, by two people and nobody",
    threat="Identifiers leak in links, logs and lists: whoever has one would have the file.",
    references=("ASVS 8.2.2", "ASVS 8.3.1", "API1:2023 Broken Object Level Authorization"),
    fix="Look each object up by its identifier and its owner together, in the same query; never by the identifier alone.",
)
def test_direct_references(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """After each attempt the owner's file is looked at again: an answer alone proves nothing. Then the owner does it all."""
    owner, stranger = actor(), actor()
    attempts = Attempts(PLATFORM)
    for own in kept(run, services, adapter, owner, made):
        before, again = own.state(), own.state()
        steady = {name for name in before if before[name] == again[name]}
        for _, route in own.routes:
            for who, token in (("a stranger", stranger.access_token), ("nobody", None)):
                for what, headers in pretending(owner).items():
                    asked = replace_headers(route, headers)
                    answer = own.send(asked, token)
                    stated = f"{who} uses {route.method} {route.path} of a {own.kind}" + (
                        f", {what}" if what else ""
                    )
                    attempts.must_be_refused(stated, answer, own.stored.key)
                    attempts.must_fail(f"{stated}: its bytes come", own.file.data not in answer.content)
                    now = own.state()
                    changed = sorted(part for part in steady if now[part] != before[part])
                    attempts.must_fail(f"{stated}: it changes the {' and the '.join(changed)}", not changed)
        untouched = own.bytes().get("bytes", f"200 {own.file.sha256}") == f"200 {own.file.sha256}"
        attempts.must_fail(f"strangers' attempts change the bytes of a {own.kind}", untouched)
        _parts(own, stranger, attempts)
        attempts.judge(
            "a file is its owner's alone, whoever knows its identifier", "refused, and nothing changed"
        )
        witness(PLATFORM, f"the owner's {own.kind} of {own.file.size} bytes, unchanged after each attempt")
        _owner_does_it_all(own)
    expect(attempts.tried, "the project describes routes that take an identifier", service=PLATFORM)


def replace_headers(route: Route, headers: Mapping[str, str]) -> Route:
    """The same route with further headers."""
    return route.model_copy(update={"headers": {**route.headers, **headers}})


def _parts(own: Kept, stranger: Actor, attempts: Attempts) -> None:
    """An upload under way: its identifier is no key either."""
    described = own.described.parts
    above = max((rule.above for rule in own.described.rules if rule.above is not None), default=None)
    if described is None or above is None or own.file.size <= above:
        return
    port, token = own.services.platform.port, own.owner.access_token
    begun = own.adapter.start_upload(
        port, token, name=f"begun-{own.file.name}", size=above + 1, kind=own.kind
    )
    if begun.status != described.start.answers:
        raise ServiceError(PLATFORM, f"preparing an upload in parts: {begun.status} {begun.text[:200]}")
    upload = own.adapter.upload_of(begun, own.kind)
    routes = {
        name: route for name in ("state", "part", "complete", "abort") if (route := getattr(described, name))
    }
    for route in routes.values():
        for who, other in (("a stranger", stranger.access_token), ("nobody", None)):
            data = b"stolen" if route.body == "raw" else None
            answer = own.adapter.ask(port, route, other, data, upload=upload, number=1)
            attempts.must_be_refused(f"{who} uses {route.method} {route.path} of an upload under way", answer)
    if described.state is not None:
        alive = own.adapter.ask(port, described.state, token, upload=upload)
        attempts.must_fail(
            "an upload under way is gone after a stranger's attempts", alive.status == 200, alive.status
        )
    if described.abort is not None:
        own.adapter.abort_upload(port, token, upload, own.kind)


def _owner_does_it_all(own: Kept) -> None:
    """The positive control: each route is the owner's to use, so that a refusal said something."""
    for name, route in own.routes:
        answer = own.send(route, own.owner.access_token)
        # What a file in one store has, one in another may lack: refused to its owner by a conflict, not by the door.
        there = 200 <= answer.status < 300 or (name == "direct" and answer.status == 409)
        expect(
            there,
            f"the owner uses {route.method} {route.path} of their own {own.kind} (positive control)",
            expected=route.answers,
            saw=said(answer),
            service=PLATFORM,
        )
