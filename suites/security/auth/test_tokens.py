"""P1.2, P6.3: tokens that no Auth gave open nothing: not the platform's routes, nor Auth, the data API, or storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from clients.http_port import WireAnswer
from clients.service_clients import ServiceClients
from core.expect import expect, expect_equal
from core.passport import check
from core.run import Run
from scenarios.adapter import Adapter
from suites.security.attempts import Attempts
from suites.security.auth.forging import Forger, OwnKey
from suites.security.auth.key_server import key_server
from suites.types import NewActor, Witness

PLATFORM = "platform"
Ask = Callable[[str], WireAnswer]
"""One request with this token."""


def doors(run: Run, services: ServiceClients) -> Iterator[tuple[str, str, Ask]]:
    """(service, route, request): each door of the target that a person's token opens; the platform's own come first."""

    def of(path: str) -> Ask:
        return lambda token: services.platform.call("GET", path, token=token)

    described = run.target.description.platform
    paths = [*([described.whoami.path] if described.whoami else []), *described.private]
    for path in dict.fromkeys(paths):
        yield PLATFORM, f"GET {path}", of(path)
    yield "supabase.auth", "GET /auth/v1/user", lambda token: services.auth.as_user("GET", "/user", token)
    if run.target.has("database.rest") and (probe := run.target.description.database.probe):
        table = f"/{probe}?select=*&limit=1"
        yield (
            "supabase.database",
            f"GET /rest/v1/{probe}",
            lambda token: services.database.rest("GET", table, token=token),
        )
    if run.target.has("storage.supabase"):
        yield (
            "supabase.storage",
            "GET /storage/v1/bucket",
            lambda token: services.storage.as_user("GET", "/bucket", token),
        )


@check(
    "security.forged_tokens",
    "No forged token opens a door: unsigned, altered, signed with what is public, with an attacker's key or its address",
    requirement=("P1.2", "P6.3"),
    service=PLATFORM,
    needs=("platform.api", "auth.email", "platform.private"),
    timeout=90,
    why_slow="some fifty forged tokens at up to seven doors",
    threat="Whoever forges a token acts as any person, or as the service itself.",
    references=(
        "ASVS 9.1.1",
        "ASVS 9.1.2",
        "ASVS 9.1.3",
        "API2:2023 Broken Authentication",
        "RFC 8725 section 3",
    ),
    fix="Verify each token with a kept library against the project's published keys alone, with the algorithms named, "
    "and believe nothing that a token says of its own key (jwk, jku, x5u, x5c, kid as a path).",
)
def test_forged_tokens(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, witness: Witness
) -> None:
    """Everything is tried at each service's first door, one of each kind at the others; a genuine token opens them all."""
    attacker, victim = actor(), actor()
    jwks = services.auth.port.request("GET", "/.well-known/jwks.json").demand(200).json(dict)
    own = OwnKey()
    attempts: dict[str, Attempts] = {}
    with key_server(own.jwk) as server:
        elsewhere = {"elsewhere": server.address} if run.target.loopback else {}  # nobody else could reach it
        forger = Forger(
            attacker.access_token, victim.access_token, jwks, services.auth.public_key, key=own, **elsewhere
        )
        for service, route, ask in doors(run, services):
            genuine = ask(victim.access_token)
            expect(
                200 <= genuine.status < 300,
                f"{route} lets a person in by a genuine token (positive control)",
                saw=genuine.said(),
                service=service,
            )
            first = service not in attempts
            tried = attempts.setdefault(service, Attempts(service))
            for name, forged in (forger.all() if first else forger.few()).items():
                tried.must_be_refused(f"{route} takes a token {name}", ask(forged), victim.id, victim.email)
        asked = list(server.asked)
    for service, tried in attempts.items():
        number = tried.judge("a token that no Auth gave is refused", "401 for every one of them")
        witness(service, f"refused {number} forged tokens, and let a genuine one in")
    expect_equal(asked, [], "nobody asks an address that a token names for keys", service=PLATFORM)
    services.auth.as_user("GET", "/user", victim.access_token).expect(
        200, claim="the victim's session goes on"
    )
