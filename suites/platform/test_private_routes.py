"""P1.2, P6.3: the routes for people let people in, know whose token it is, and nobody else by it."""

from __future__ import annotations

import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from clients.identities import Actor
from clients.service_clients import ServiceClients
from core.expect import expect, expect_equal
from core.passport import check
from core.run import Run
from scenarios.adapter import Adapter
from suites.types import NewActor, Witness

PLATFORM = "platform"


def forged(person: Actor, other: Actor) -> dict[str, str]:
    """Tokens that no Auth gave, by what is wrong with them; each speaks in the other person's name."""
    head, _, signature = person.access_token.split(".")
    claims = jwt.decode(other.access_token, options={"verify_signature": False})
    claims["exp"] = int(time.time()) + 3600
    guessed = jwt.encode(claims, "guess" * 8, algorithm="HS256")
    key = ec.generate_private_key(ec.SECP256R1())
    brought = {"jwk": ECAlgorithm.to_jwk(key.public_key(), as_dict=True)}  # CVE-2018-0114
    return {
        "with another's payload": f"{head}.{other.access_token.split('.')[1]}.{signature}",
        "signed with a guessed secret": guessed,
        "signed with a key that it brings along": jwt.encode(claims, key, algorithm="ES256", headers=brought),
        "without signature": jwt.encode(claims, None, algorithm="none"),  # type: ignore[arg-type]
        "that is no token": "mock-user",
    }


@check(
    "security.private_routes",
    "Every private route lets a person in and takes no forged token, no key and nobody",
    requirement=("P1.2", "P6.3"),
    service=PLATFORM,
    needs=("platform.api", "auth.email", "platform.private"),
)
def test_private_routes(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, witness: Witness
) -> None:
    """Two people are told apart; the routes are those of `[platform] private` in the project's target.toml."""
    person, other = actor(), actor()
    port, described = services.platform.port, run.target.description.platform
    if described.whoami:
        for one in (person, other):
            answer = adapter.whoami(port, one.access_token)
            expect_equal(answer.status, 200, "the platform lets a person in", service=PLATFORM)
            expect_equal(
                adapter.person_of(answer), one.id, "the platform knows whose token it is", service=PLATFORM
            )
    keys = {
        "Supabase's public key": services.auth.public_key,
        "Supabase's secret key": run.target.secret("SUPABASE_SERVICE_KEY").reveal(),
    }
    routes = {path: f"platform.private.{number}" for number, path in enumerate(described.private)}
    if described.whoami:
        routes.setdefault(described.whoami.path, "platform.whoami")
    for path, place in routes.items():
        own = adapter.get(port, path, person.access_token)
        expect(
            200 <= own.status < 300,
            f"GET {path}, which {run.target.description.where(place)} describes, lets a person in",
            saw=own.status,
            service=PLATFORM,
        )
        nobody = adapter.get(port, path)
        expect_equal(nobody.status, 401, f"GET {path} without a token answers 401", service=PLATFORM)
        for what, token in {**forged(person, other), **keys}.items():
            answer = adapter.get(port, path, token)
            expect(
                answer.status == 401,
                f"GET {path} refuses {what if what in keys else f'a token {what}'}",
                expected=401,
                saw=f"{answer.status} {answer.text[:200]}",
                service=PLATFORM,
            )
    witness("Supabase Auth", f"{len(routes)} routes asked with what Auth gave and with what it did not")
    expect(routes, "the project describes private routes", service=PLATFORM)
