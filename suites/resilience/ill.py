"""Supabase ill behind a platform: what a person may be told meanwhile, and what nobody may be."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from clients.http_port import ANY_5XX, WireAnswer
from clients.identities import Actor
from clients.service_clients import ServiceClients
from core.clock import eventually
from core.errors import ServiceError
from core.expect import expect
from core.run import Run
from scenarios.adapter import Adapter
from suites.security.attempts import Attempts, said

PLATFORM = "platform"
AWAY = frozenset({502, 503, 504})
"""Statuses that say: somebody behind me is ill, come again (RFC 9110, sections 15.6.3 to 15.6.5)."""
RETURNED = 60.0
"""Seconds within which all must be as before, by itself."""


@dataclass(frozen=True)
class Asked:
    """One route, with the words of the person's own that its answer holds while all are well."""

    path: str
    words: tuple[str, ...]


class Patient:
    """A person with a file of their own, and the described routes by which they see what is theirs."""

    def __init__(self, run: Run, services: ServiceClients, adapter: Adapter, person: Actor) -> None:
        self.services, self.adapter, self.person = services, adapter, person
        self.described = run.target.description.platform
        name = f"{run.tag()}.txt"
        answer = adapter.upload(
            services.platform.port, person.access_token, name=name, data=b"kept", mime="text/plain"
        )
        expect(200 <= answer.status < 300, "a file is stored", saw=said(answer), service=PLATFORM)
        names = (person.id, person.email, name)
        self.routes = tuple(self._well(path, names) for path in self.described.private)

    def _well(self, path: str, names: Iterable[str]) -> Asked:
        answer = self.ask(path)
        expect(
            200 <= answer.status < 300,
            f"GET {path} is answered while all are well (positive control)",
            saw=said(answer),
            service=PLATFORM,
        )
        return Asked(path, tuple(name for name in names if name in answer.text))

    def ask(self, path: str) -> WireAnswer:
        """One route, as the person. Raises ServiceError where no answer comes."""
        headers = self.adapter.platform_headers(self.person.access_token)
        return self.services.platform.call("GET", path, headers=headers, allow=ANY_5XX)

    def ask_all(self) -> list[tuple[Asked, WireAnswer | ServiceError]]:
        """All routes at the same time: one that waits keeps no other."""
        with ThreadPoolExecutor(len(self.routes)) as pool:
            return list(zip(self.routes, pool.map(self._try, self.routes), strict=True))

    def _try(self, asked: Asked) -> WireAnswer | ServiceError:
        try:
            return self.ask(asked.path)
        except ServiceError as error:
            return error

    def judge(self, attempts: Attempts, how: str, *, within: float = 0) -> None:
        """Asks all; each must be answered whole or say that a service is away, `within` seconds where that is stated."""
        for asked, answer in self.ask_all():
            what = f"with {how} GET {asked.path}"
            if isinstance(answer, ServiceError):
                attempts.must_fail(f"{what} is not answered", False, answer.what)
                continue
            took = (answer.done - answer.sent) / 1e9
            attempts.must_fail(
                f"{what} waits over {within:g} s", not within or took <= within, f"{took:.0f} s"
            )
            if 200 <= answer.status < 300:
                lost = [word for word in asked.words if word not in answer.text]
                attempts.must_fail(f"{what} answers {answer.status} without what is there", not lost, lost)
            else:
                attempts.must_fail(
                    f"{what} does not say that a service is away", answer.status in AWAY, said(answer)
                )

    def recovers(self) -> None:
        """Waits until every route answers whole again, with nobody's help. Raises Missed."""
        for asked in self.routes:
            eventually(
                lambda asked=asked: self._try(asked),  # type: ignore[misc]
                until=lambda answer, asked=asked: (  # type: ignore[misc]
                    isinstance(answer, WireAnswer)
                    and 200 <= answer.status < 300
                    and all(word in answer.text for word in asked.words)
                ),
                within=RETURNED,
                claim=f"with Supabase back GET {asked.path} answers as before",
                service=PLATFORM,
            )
