"""P5.1: a token that expires while its holder is in a room: the door closes behind them, and opens again."""

from __future__ import annotations

import time
from dataclasses import replace

from clients.control import fault
from clients.identities import Actor
from clients.sdk import preparing, refused
from clients.service_clients import ServiceClients
from core.expect import expect, expect_equal
from core.passport import check
from core.permit import Action
from core.run import Run
from scenarios.adapter import Adapter
from suites.auth.people import claims_of
from suites.realtime.room_recorder import NewRoom
from suites.types import NewActor, Witness

ROOMS = "rooms"
CLOCKS = 3
"""Seconds by which the platform's clock may differ from ours: less than half of a life, so that an early end shows."""
LIFE = 8
"""Seconds that a token lives here; hosted projects give an hour, which no check can wait for."""


def session_of(run: Run, services: ServiceClients, person: Actor, *, refresh: str = "") -> Actor:
    """The person with a new session, or with the old one refreshed."""
    client = services.auth.person()
    with preparing("a new session"):
        session = (
            client.auth.refresh_session(refresh)
            if refresh
            else client.auth.sign_in_with_password({"email": person.email, "password": person.password})
        ).session
    assert session is not None
    run.redactor.add(session.access_token)
    run.redactor.add(session.refresh_token)
    return replace(person, access_token=session.access_token, refresh_token=session.refresh_token)


@check(
    "realtime.token_expires",
    "A token that expires in mid-session ends the connection; a fresh one keeps it, or brings its holder back",
    requirement=("P5.1", "P5.2", "P6.3", "P1.2"),
    service=ROOMS,
    needs=(
        "rooms.websocket",
        "platform.api",
        "auth.email",
        "rooms.expired",
        "rooms.hears.authed",
        "rooms.hears.leave",
        "rooms.frames.token",
        "rooms.history",
        "rooms.since",
        "platform.whoami",
    ),
    actions=(Action.READ, Action.WRITE, Action.ADMIN, Action.OUTAGE),
    timeout=60,
    why_slow="a token's life of eight seconds is waited for",
    exclusive=True,
)
def test_token_expires(
    run: Run,
    services: ServiceClients,
    adapter: Adapter,
    actor: NewActor,
    new_room: NewRoom,
    witness: Witness,
) -> None:
    """Anna lets hers expire, Boris hands in a fresh one, Cora's lives long; nothing said meanwhile is lost."""
    anna, boris, cora = actor(), actor(), actor()
    with fault(run, "supabase", auth={"jwt_expiry": LIFE}):
        anna, boris = session_of(run, services, anna), session_of(run, services, boris)
    recorder = new_room()
    a, b, c = recorder.join(anna), recorder.join(boris), recorder.join(cora)
    expires = a.welcome["expires_at"]
    expect(
        expires == claims_of(anna.access_token)["exp"] and -CLOCKS < expires - time.time() <= LIFE + CLOCKS,
        "the welcome says when the token expires",
        expected=f"as the token itself says, within {LIFE} s",
        saw=f"in {expires - time.time():.1f} s",
        service=ROOMS,
    )
    a.say("before", "before")
    c.wait_message("before")
    fresh = session_of(run, services, boris, refresh=boris.refresh_token)
    b.send(b.wire.frame("token", token=fresh.access_token))
    b.wait_type("authed", claim="Boris's fresh token is taken")

    code, _ = a.wait_closed(within=LIFE + CLOCKS + 15)
    a.ended = "cut"
    expect_equal(code, a.wire.rooms.expired, "Anna's connection is closed as expired", service=ROOMS)
    expect(
        time.time() >= expires - CLOCKS,
        "a connection is closed no earlier than its token expires",
        service=ROOMS,
    )
    c.wait_type("presence", claim="the others see Anna leave", event="leave")
    c.say("while away", "away")
    b.wait_message("while away")  # positive control: who renewed the token in time stays

    with refused("401", claim="an expired token opens no room", service=ROOMS):
        services.rooms.join(recorder.room, anna.access_token, wire=recorder.wire)
    worker = adapter.whoami(services.platform.port, anna.access_token)
    expect_equal(
        (worker.status, adapter.refusal(worker).get("code")),
        (401, "token_expired"),
        "the platform's API says that the token has expired",
        service="platform",
    )
    asked = services.auth.as_user("GET", "/user", anna.access_token)
    expect(
        asked.status in (401, 403),
        "Auth refuses the expired token",
        saw=asked.said(),
        service="supabase.auth",
    )
    back = recorder.join(session_of(run, services, anna, refresh=anna.refresh_token), since=a.last_id)
    back.say("back", "back")
    c.wait_message("back")
    kept = recorder.judge(cora, witness)
    expect_equal(
        [m["body"] for m in kept], ["before", "while away", "back"], "nothing said is lost", service=ROOMS
    )
    recorder.presence_converges()
