"""P1.2, P6.3: guessing passwords is slowed down. It uses up a limit that real people share, so it runs alone, and last."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from clients.control import fault
from clients.http_port import WireAnswer
from clients.service_clients import ServiceClients
from core.expect import expect, expect_equal, expect_status
from core.passport import check
from core.permit import Action
from core.run import Run
from suites.types import NewActor, Witness

AUTH = "supabase.auth"
HOSTED_BURST = 30
"""Requests that a hosted project takes at once before it counts (Supabase docs, "Rate limits")."""
MOST = 300
"""Guesses after which a limit that never came is missed."""


def limits(run: Run) -> AbstractContextManager[None]:
    """The target's own limits; the embedded one counts like a hosted project meanwhile."""
    if not run.target.embedded:
        return nullcontext()
    return fault(run, "supabase", auth={"rate_limits": True, "rate_limit_token": HOSTED_BURST})


@check(
    "auth.rate_limits",
    "Guessing passwords without end is stopped by a rate limit, which says so and ends nobody's session",
    requirement=("P1.2", "P6.3"),
    service=AUTH,
    needs=("auth.email", "database.rest", "people.ready"),
    actions=(Action.READ, Action.WRITE, Action.ADMIN, Action.RATE_LIMIT),
    timeout=200,
    why_slow="on a live target the limit is waited for until the right password works again",
    exclusive=True,
)
def test_rate_limits(run: Run, services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """Wrong passwords for one person until 429; the right one is held up too, their open session is not."""
    person = actor()
    port = services.auth.unpaced()

    def guess(password: str) -> WireAnswer:
        answer: WireAnswer = port.request(
            "POST",
            "/token",
            params={"grant_type": "password"},
            body={"email": person.email, "password": password},
        )
        return answer

    with limits(run):
        for number in range(1, MOST + 1):
            answer = guess(f"wrong {number}")
            if answer.status == 429:
                break
            expect_equal(
                (answer.status, answer.code),
                (400, "invalid_credentials"),
                f"guess {number} is refused as wrong or as one too many",
                service=AUTH,
            )
        expect_equal(
            (answer.status, answer.code),
            (429, "over_request_rate_limit"),
            f"of {MOST} guesses from one address not all are answered",
            service=AUTH,
        )
        expect(number > 1, "the first guess is answered (positive control)", saw="refused", service=AUTH)
        right = guess(person.password)
        expect_status(right, 429, "the right password is held up as well", service=AUTH)
        open_still = services.auth.as_user("GET", "/user", person.access_token)
        expect_status(open_still, 200, "the person's open session goes on", service=AUTH)
        ready = run.target.description.people.ready
        assert ready is not None
        own = f"/{ready.table}?select={ready.column}&{ready.column}=eq.{person.id}"
        read = services.database.rest("GET", own, token=person.access_token)
        expect_status(read, 200, "the data API goes on", service="supabase.database")
    port.close()
    if services.database.sql:
        sessions = services.database.sql.value(
            "select count(*) from auth.sessions where user_id::text = %s", (person.id,)
        )
        witness("SQL", f"auth.sessions after {number} guesses")
        expect_equal(sessions, 1, "no guess opened a session", service=AUTH)
    again = services.auth.person().auth.sign_in_with_password(  # waits for a limit that is still in force
        {"email": person.email, "password": person.password}
    )
    expect(again.session is not None, "afterwards the right password works", service=AUTH)
