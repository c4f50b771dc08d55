"""P6.3: the platform's own rate limits: who asks too much is told so and when to come back; nobody else notices."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from clients.http_port import WireAnswer
from clients.service_clients import ServiceClients
from core.expect import expect, expect_equal, expect_status
from core.passport import check
from core.run import Run
from suites.types import NewActor, Witness

PLATFORM = "platform"


def stopped(ask: Callable[[], WireAnswer], what: str, *, first: int, most: int) -> int:
    """Asks until 429; returns how many were answered before. `first` is the status of those.

    `most` is over twice the contract's limit, since a new window may begin meanwhile.
    """
    for number in range(most):
        answer = ask()
        if answer.status == 429:
            break
        expect_status(answer, first, f"{what} number {number + 1} is answered or is one too many")
    expect_equal(
        (answer.status, answer.code),
        (429, "rate_limited"),
        f"of {most} {what} within a minute not all are taken",
        service=PLATFORM,
    )
    expect(number > 1, f"the first {what} are taken (positive control)", saw=number, service=PLATFORM)
    later = answer.headers.get("retry-after", "")
    expect(
        later.isdigit() and 0 < int(later) <= 60,
        "who is held up is told when to come back",
        expected="Retry-After: 1 to 60",
        saw=later or "not said",
        service=PLATFORM,
    )
    return number


def elsewhere() -> dict[str, str]:
    """Headers by which a client names another address each time (CWE-348): whoever believes them limits nobody."""
    address = f"10.{secrets.randbelow(256)}.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"
    names = ("X-Forwarded-For", "X-Real-IP", "X-Client-IP", "True-Client-IP")
    return dict.fromkeys(names, address) | {"Forwarded": f"for={address}"}


@check(
    "security.rate_limits",
    "Who uploads, exports or knocks too often is held up by name, and nobody else is",
    requirement="P6.3",
    service=PLATFORM,
    needs=(
        "platform.api",
        "auth.email",
        "database.rest",
        "platform.limits.uploads",
        "platform.limits.webhooks",
    ),
    timeout=60,
    why_slow="some four hundred requests, one after the other",
)
def test_rate_limits(run: Run, services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """The limits of one person of our own: no other person shares them, on a live target either.

    The limit of an address is that of the connection: each request says in its headers that it comes from elsewhere.
    """
    eager, other = actor(), actor()

    def upload(token: str) -> WireAnswer:
        """An upload that is refused by its type: it counts, and stores nothing."""
        sent = {"Content-Type": "text/html"}
        answer: WireAnswer = services.platform.call(
            "POST", "/api/upload?name=x.html", token=token, body=b"<p>", headers=sent
        )
        return answer

    def export() -> WireAnswer:
        answer: WireAnswer = services.platform.call("GET", "/api/privacy/export", token=eager.access_token)
        return answer

    exports = stopped(export, "exports", first=200, most=45)
    uploads = stopped(lambda: upload(eager.access_token), "uploads", first=415, most=400)
    expect_status(upload(other.access_token), 415, "another person is not held up", service=PLATFORM)
    me = services.platform.call("GET", "/api/me", token=eager.access_token)
    expect_status(me, 200, "what is not limited goes on for the eager one", service=PLATFORM)
    held = services.database.witness_rows("uploads", owner_id=eager.id)
    expect_equal(held, [], "refused uploads left nothing", service="supabase.database")
    witness(services.database.channel, f"nothing left of {uploads} refused uploads, after {exports} exports")
    if not run.target.embedded:
        return  # from one address only: its limit is shared with whoever else is there
    guest = f"127.{40 + secrets.randbelow(200)}.{secrets.randbelow(250)}.{1 + secrets.randbelow(250)}"
    port = services.platform.from_address(guest)
    try:
        stopped(
            lambda: port.request(
                "POST", "/api/content/webhook", body={"operation": "publish"}, headers=elsewhere()
            ),
            "webhooks without signature",
            first=401,
            most=400,
        )
    finally:
        port.close()
    home = services.platform.call("POST", "/api/content/webhook", body={"operation": "publish"})
    expect_status(home, 401, "another address is not held up", service=PLATFORM)
