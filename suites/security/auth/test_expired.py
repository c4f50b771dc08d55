"""P1.2, P6.3: a token past its end opens nothing. Auth itself signs one that has ended, so that only its age is wrong."""

from __future__ import annotations

import time

from clients.control import fault
from clients.service_clients import ServiceClients
from core.errors import ServiceError
from core.expect import expect
from core.passport import check
from core.permit import Action
from core.run import Run
from suites.auth.people import claims_of
from suites.security.attempts import Attempts
from suites.security.auth.test_tokens import doors
from suites.types import NewActor, Witness

PLATFORM = "platform"
AGO = 120
"""Seconds since its end: more than the 30 by which PostgREST lets clocks differ (its docs, "JWT Claims Validation")."""


@check(
    "security.expired_tokens",
    "A token that Auth signed and whose end has passed opens no door",
    requirement=("P1.2", "P6.3"),
    service=PLATFORM,
    needs=("platform.api", "auth.email", "platform.private"),
    actions=(Action.READ, Action.WRITE, Action.ADMIN, Action.OUTAGE),
    exclusive=True,
    threat="A token that was once stolen, logged or left in a browser is good for ever.",
    references=("ASVS 9.2.1", "API2:2023 Broken Authentication", "RFC 8725 section 3"),
    fix="Let the library that verifies a token check `exp`, without leeway of more than a minute, at every request.",
)
def test_expired(run: Run, services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """The embedded Auth is told to sign tokens that ended two minutes ago; the same person's fresh one opens every door."""
    person = actor()
    with fault(run, "supabase", auth={"jwt_expiry": -AGO}):
        answer = services.auth.port.request(
            "POST",
            "/token",
            params={"grant_type": "password"},
            body={"email": person.email, "password": person.password},
        )
    old = str(answer.demand(200).json(dict)["access_token"])
    if claims_of(old)["exp"] > time.time() - AGO / 2:
        raise ServiceError(
            "supabase.auth", "Auth signed a token that has not ended, and was told to sign one that has"
        )
    attempts: dict[str, Attempts] = {}
    for service, route, ask in doors(run, services):
        genuine = ask(person.access_token)
        expect(
            200 <= genuine.status < 300,
            f"{route} lets a person in by a token that has not ended (positive control)",
            saw=genuine.said(),
            service=service,
        )
        tried = attempts.setdefault(service, Attempts(service))
        tried.must_be_refused(f"{route} takes a token that has ended", ask(old), person.id, person.email)
    for service, tried in attempts.items():
        witness(service, f"refused a token that ended {AGO} s ago at {tried.tried} doors")
        tried.judge("a token that has ended is refused", "401")
