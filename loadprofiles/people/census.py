"""Who is there, as the server counts them: distinct identities with an open socket, asked room by room.

One process of the load asks for all (the rooms' presence route, over a connection of its own), whoever sits in
them. A reading that began and ended in the steady window counts for the objective; the others draw the ramp.
"""

from __future__ import annotations

import itertools
import math
import time
from typing import TYPE_CHECKING

import gevent

from loadprofiles.people import known
from loadprofiles.people.chat import MEMBERS, room_name
from loadprofiles.people.session import Session
from loadprofiles.people.witness import Unreadable, Witness

if TYPE_CHECKING:
    from loadprofiles.engine.runtime import Engine

EVERY, CLIMBING = 5.0, 1.0
"""Seconds from one reading to the next, in the steady window and before it."""
_now = time.monotonic_ns


def begin(engine: Engine, platform: str, metric: str) -> None:
    """Starts counting, in the first generating process alone. `metric` is the gauge's name."""
    if engine.place()[0] == 0:
        gevent.spawn(_count, engine, Witness(platform), metric)


def _count(engine: Engine, witness: Witness, metric: str) -> None:
    people = known()
    pool = {person.id for person in people}
    tokens = itertools.cycle([person.token for person in people])  # a person's requests are limited
    while not engine.closing:
        began = _now()
        steady = engine.recorder.steady_from <= began
        try:
            there, sockets = _ask(engine, witness, tokens, pool)
        except Unreadable as error:
            engine.process.event(
                "note", level="warning", text=f"the rooms' presence could not be read: {error}"
            )
        else:
            phase = {"phase": "drain" if engine.closing else "steady" if steady else "ramp"}
            readings = (
                (metric, there, "users"),
                (f"{metric}.sockets", sockets, "sockets"),
                (f"{metric}.addresses", len(Session.addresses), "addresses"),  # of this process's people
            )
            for name, value, unit in readings:
                engine.process.event("gauge", metric=name, value=value, unit=unit, labels=phase)
        gevent.sleep(max(0.5, (EVERY if steady else CLIMBING) - (_now() - began) / 1e9))
    witness.close()


def _ask(engine: Engine, witness: Witness, tokens: itertools.cycle[str], pool: set[str]) -> tuple[int, int]:
    """(distinct identities of the pool, sockets) over all rooms of the load."""
    of = engine.place()[1]
    rooms = math.ceil(math.ceil(engine.all_users() / of) / MEMBERS) * of
    there: set[str] = set()
    sockets = 0
    for number in range(rooms):
        told = witness.ask(f"/api/rooms/{room_name(number)}/presence", next(tokens))
        there |= {member["id"] for member in told["members"]} & pool
        sockets += int(told["sockets"])
    return len(there), sockets
