"""Who is there, as the server counts them: distinct identities with an open socket, asked room by room.

One process of the load asks for all (the rooms' presence route, over a connection of its own), whoever sits in
them. A reading that began and ended in the steady window counts for the objective; the others draw the ramp.
"""

from __future__ import annotations

import itertools
import math
import time

import gevent

from core.events import Gauge, Note, NoteLevel
from loadprofiles.users.platform_witness import Witness, WitnessError
from loadprofiles.users.room_monitor import MEMBERS, RoomMonitor, room_name

EVERY, CLIMBING = 5.0, 1.0
"""Seconds from one reading to the next, in the steady window and before it."""
_now = time.monotonic_ns


def begin(monitor: RoomMonitor, metric: str) -> None:
    """Starts counting, in the first generating process alone. `metric` is the gauge's name."""
    if monitor.engine.worker_rank()[0] == 0:
        gevent.spawn(_count, monitor, Witness(monitor.engine.permit, monitor.platform), metric)


def _count(monitor: RoomMonitor, witness: Witness, metric: str) -> None:
    engine = monitor.engine
    pool = {person.id for person in engine.people}
    while not engine.closing:
        began = _now()
        steady = engine.recorder.steady_from <= began
        try:
            there, sockets = _ask(monitor, witness, pool)
        except WitnessError as error:
            text = f"the rooms' presence could not be read: {error}"
            engine.process.write(Note(NoteLevel.WARNING, text))
        else:
            phase = {"phase": "drain" if engine.closing else "steady" if steady else "ramp"}
            readings = (
                (metric, there, "users"),
                (f"{metric}.sockets", sockets, "sockets"),
                (f"{metric}.addresses", len(monitor.addresses), "addresses"),  # of this process's people
            )
            for name, value, unit in readings:
                engine.process.write(Gauge(name, value, unit, phase))
        gevent.sleep(max(0.5, (EVERY if steady else CLIMBING) - (_now() - began) / 1e9))
    witness.close()


def _ask(monitor: RoomMonitor, witness: Witness, pool: set[str]) -> tuple[int, int]:
    """(distinct identities of the pool, sockets) over all rooms of the load."""
    of = monitor.engine.worker_rank()[1]
    rooms = math.ceil(math.ceil(monitor.engine.all_users() / of) / MEMBERS) * of
    tokens = itertools.cycle([member.token for members in monitor.members.values() for member in members])
    there: set[str] = set()
    sockets = 0
    for number in range(rooms) if monitor.members else ():
        path = monitor.wire.presence_path(room_name(monitor.engine, number))
        presence = monitor.wire.present(witness.ask(path, next(tokens)))
        there |= {member["id"] for member in presence["members"]} & pool
        sockets += int(presence["sockets"])
    return len(there), sockets
