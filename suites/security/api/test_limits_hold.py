"""P6.3: a rate limit is no riddle: neither other headers nor another spelling of the path go round it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from clients.identities import Actor
from clients.service_clients import ServiceClients
from core.description import Route
from core.errors import ServiceError
from core.expect import expect
from core.passport import check
from core.port import Answer
from core.run import Run
from scenarios.adapter import Adapter
from suites.security.attempts import Attempts, HostilePort, said
from suites.types import NewActor, Witness

PLATFORM = "platform"
ROUNDS = 3
ADDRESSES = (
    "X-Forwarded-For",
    "X-Real-IP",
    "X-Client-IP",
    "CF-Connecting-IP",
    "True-Client-IP",
    "X-Originating-IP",
    "X-Remote-Addr",
)
"""Headers that name the sender's address where a proxy sets them."""


def spellings(path: str) -> dict[str, str]:
    """Other ways to write a path, which some servers read as the same."""
    last = path.rpartition("/")[2]
    return {
        "a slash at its end": f"{path}/",
        "two slashes": f"/{path}",
        "a dot in it": f"/.{path}",
        "dots that lead back": f"/x/..{path}",
        "capital letters": path.upper(),
        "a letter encoded": path[: -len(last)] + f"%{ord(last[0]):02x}" + last[1:],
        "a blank at its end": f"{path}%20",
        "NUL at its end": f"{path}%00",
        "a semicolon at its end": f"{path};x=1",
        "an end of a file": f"{path}.json",
        "a question": f"{path}?x=1",
    }


def ways(route: Route) -> dict[str, tuple[str, Mapping[str, str]]]:
    """(path, headers) of each way round a limit."""
    guest = "203.0.113.77"
    found: dict[str, tuple[str, Mapping[str, str]]] = {
        f"with {name}": (route.path, {name: guest}) for name in ADDRESSES
    }
    found["with Forwarded"] = (route.path, {"Forwarded": f"for={guest}"})
    found["as another browser"] = (route.path, {"User-Agent": "assay/2", "Accept-Language": "tlh"})
    found["by another address in a header"] = (
        "/",
        {"X-Original-URL": route.path, "X-Rewrite-URL": route.path},
    )
    return found | {f"written with {what}": (path, {}) for what, path in spellings(route.path).items()}


@check(
    "security.limits_hold",
    "Who is held up by a rate limit stays so, whatever the headers say and however the path is written",
    requirement="P6.3",
    service=PLATFORM,
    needs=("platform.api", "auth.email", "platform.limits.exports", "privacy.export"),
    timeout=90,
    why_slow="a limit is used up, and again where its window ends meanwhile",
    threat="A limit that a header goes round stops nobody who guesses, scrapes or runs up costs.",
    references=("ASVS 2.4.1", "ASVS 15.3.4", "API4:2023 Unrestricted Resource Consumption"),
    fix="Count by who is signed in, or by the address that your edge saw; never by what a client says. Count after routing.",
)
def test_limits_hold(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, witness: Witness
) -> None:
    """After 429 each way is tried; what gets through counts only if the plain request is still held up right after it."""
    person, route = actor(), run.target.description.privacy.export
    assert route is not None  # its passport needs it
    limit = run.target.description.platform.limits["exports"]
    headers = adapter.platform_headers(person.access_token) | {"Accept": "*/*"}
    port = HostilePort(services.platform.port)

    def ask(path: str = route.path, more: Mapping[str, str] | None = None) -> Answer:
        return port.request(route.method, adapter.platform + path, headers={**headers, **(more or {})})

    def exported(answer: Answer) -> bool:
        """Whether it is the export: many a platform answers any other address with its first page."""
        return 200 <= answer.status < 300 and person.email in answer.text

    first = ask()
    expect(
        exported(first), "the first export is answered (positive control)", saw=said(first), service=PLATFORM
    )
    attempts = Attempts(PLATFORM)
    _use_up(ask, limit)
    for what, (path, more) in ways(route).items():
        attempts.must_fail(
            f"{route.method} {route.path} {what} goes round the limit",
            _held(ask, exported, path, more, limit),
        )
    plain = ask()
    other = _other(adapter, services, actor(), route)
    expect(
        other.status == route.answers,
        "another person is not held up (positive control)",
        saw=said(other),
        service=PLATFORM,
    )
    witness(
        PLATFORM, f"{attempts.tried} ways round a limit of {limit}; the plain request answered {plain.status}"
    )
    attempts.judge("a limit holds", "429, or no such address")


def _use_up(ask: Callable[[], Answer], limit: int) -> None:
    for _ in range(2 * limit + 5):
        if ask().status == 429:
            return
    raise ServiceError(
        PLATFORM, f"{2 * limit + 5} exports in a row are answered; `platform.limits` says {limit} a minute"
    )


def _held(
    ask: Callable[..., Answer],
    exported: Callable[[Answer], bool],
    path: str,
    more: Mapping[str, str],
    limit: int,
) -> bool:
    """Whether a way is held up too. Where the window has just ended nothing is proved: the limit is used up again."""
    for _ in range(ROUNDS):
        if not exported(ask(path, more)):
            return True
        if ask().status == 429:
            return False
        _use_up(ask, limit)
    return True


def _other(adapter: Adapter, services: ServiceClients, other: Actor, route: Route) -> Answer:
    return adapter.ask(services.platform.port, route, other.access_token)
