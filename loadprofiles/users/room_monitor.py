"""The rooms of one generating process: who sits where, what is awaited, and whether every promise was kept.

Delivery is measured from the intended send to each other member who is in the room; members of a room live in
one process, so that it is one clock. When the load has drained, each room's whole history, read over HTTP, is
judged by the checker that the suites use (`core/room_history.py`).
"""

from __future__ import annotations

import hashlib
import itertools
import os
import time
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import gevent
import orjson

from core.errors import Missed
from core.events import Note, NoteLevel
from core.room_history import Promises, RoomConnection, Sent, violations
from core.room_wire import RoomWire
from loadengine.api import Measure
from loadengine.locust.users import LeanUser
from loadengine.measure.recorder import ERROR, OK, WRONG
from loadengine.runtime import LoadEngine
from loadprofiles.users.platform_witness import Witness, WitnessError
from scenarios.adapter import Adapter

MEMBERS = 10
WITHIN = 10.0
"""Seconds after which what was sent is lost."""
_READ_EVERY = 20.0
"""Seconds between readings of the histories: a room keeps its last 1,000 messages, and all are to be judged."""
_now = time.monotonic_ns


@dataclass(eq=False)
class PastConnection:
    """One connection as it went: frames as they came (presence left out once welcomed), what was sent."""

    since: int | None
    frames: list[tuple[int, bytes]] = field(default_factory=list)
    sent: list[tuple[int, str, str]] = field(default_factory=list)
    ended: Literal["left", "cut", "open"] = "open"


class MonitoredMember(Protocol):
    """A member's place in a room, as far as the room is concerned."""

    user: LeanUser
    token: str
    connections: list[PastConnection]
    last_id: int

    @property
    def here(self) -> bool:
        """Whether the room has welcomed it and the socket is open."""

    def come(self) -> None:
        """Joins."""

    def cut(self) -> None:
        """Loses the socket, as when a network fails."""


def text_of(client_id: str) -> str:
    """The body of a message, which follows from its id, so that each receiver knows what it must be."""
    return f"{client_id} said under load {hashlib.sha256(client_id.encode()).hexdigest()[:24]}"


class RoomMonitor:
    """One per engine: `RoomMonitor.of(engine, ...)`."""

    @classmethod
    def of(cls, engine: LoadEngine, adapter: Adapter, **labels: str) -> RoomMonitor:
        """The chat of this engine, made at first use; `labels` go to its measures."""
        return engine.once(cls, lambda: cls(engine, adapter, labels))

    def __init__(self, engine: LoadEngine, adapter: Adapter, labels: dict[str, str]) -> None:
        self.engine = engine
        self.platform = adapter.platform
        self.wire = adapter.room_wire()
        self.labels = labels
        self.deliveries = engine.expecting(Measure("perf.rooms", kind="delivery", **labels), within=WITHIN)
        self.in_storm = engine.expecting(Measure("rooms.in_storm", **labels), within=3 * WITHIN)
        self.storming = False
        """Whether we have cut sockets that are not back yet: what is sent then is no statement about perf.rooms."""
        self.acks = engine.expecting(Measure("rooms.ack", **labels), within=WITHIN)
        self.members: dict[str, list[MonitoredMember]] = {}
        self.present: dict[str, set[MonitoredMember]] = {}
        self.storms = False
        """Whether reconnect storms were begun."""
        self.addresses: set[str] = set()
        """Whence the platform says that people of this process came."""
        self.kept: dict[str, list[dict[str, Any]]] = {}
        self._numbers = itertools.count(1)
        self._places = itertools.count()
        engine.on_drained.append(self.judge)
        gevent.spawn(self._keep_reading)

    # -- seats -----------------------------------------------------------------------------------------------

    def add_member(self, member: MonitoredMember) -> str:
        """The room of the next seat."""
        number, of = self.engine.worker_rank()
        name = room_name(self.engine, next(self._places) // MEMBERS * of + number)
        self.members.setdefault(name, []).append(member)
        self.present.setdefault(name, set())
        return name

    def new_id(self, room: str) -> str:
        """A message's client id: it names its room and is used once."""
        return f"{room}.{os.getpid()}.{next(self._numbers)}"

    def arrived(self, key: Hashable, size: int, wrong: str | None) -> bool:
        """A message reached a member; False if nobody waited for it there."""
        return self.deliveries.arrived(key, size, wrong) or self.in_storm.arrived(key, size, wrong)

    def note(self, metric: str, outcome: int, since: int, cause: str = "") -> None:
        """One measurement that is no delivery: a join, a close, a frame that should not have come."""
        recorder = self.engine.recorder
        series = recorder.new_series(metric, **self.labels).number
        if outcome == OK:
            recorder.record(series, OK, 0, since, since, _now())
        else:
            recorder.failed(series, outcome, 0, since, since, _now(), cause)

    # -- the judgement -----------------------------------------------------------------------------------------

    def judge(self) -> None:
        """Reads every room's history to its end and records one verdict a room, with the promise that broke."""
        witness = Witness(self.engine.permit, self.platform)
        noted = 0
        for room, members in self.members.items():
            gevent.sleep(0)
            began = _now()
            try:
                self._read(witness, room, members)
            except WitnessError as error:
                self.note("rooms.history", ERROR, began, f"the history could not be read: {error}")
                continue
            kept = self.kept[room]
            self._wait_for(room, kept[-1]["id"] if kept else 0)
            rooms = self.wire.rooms
            promises = Promises(rooms.newcomer, rooms.page, rooms.consecutive)
            connections = [
                _connection(self.wire, member, connection)
                for member in members
                for connection in member.connections
            ]
            broken = violations(connections, kept, promises)
            rules = sorted({v.rule for v in broken})
            self.note("rooms.history", WRONG if rules else OK, began, "; ".join(rules))
            for one in broken[: max(0, 10 - noted)]:
                noted += 1
                self.engine.process.write(Note(NoteLevel.WARNING, f"room {room}: {one}"))
        witness.close()

    def _wait_for(self, room: str, last: int) -> None:
        """Nobody waits for deliveries to who came back a moment ago: give the last ones their time."""
        deadline = _now() + 1_000_000_000
        while any(member.last_id < last for member in self.present[room]) and _now() < deadline:
            gevent.sleep(0.01)

    def _keep_reading(self) -> None:
        witness = Witness(self.engine.permit, self.platform)
        while not self.engine.closing:
            gevent.sleep(_READ_EVERY)
            for room, members in list(self.members.items()):
                if self.engine.closing:
                    break
                try:
                    self._read(witness, room, members)
                except WitnessError as error:
                    self.note("rooms.reading", ERROR, _now(), f"the history could not be read: {error}")
        witness.close()

    def _read(self, witness: Witness, room: str, members: list[MonitoredMember]) -> None:
        """Appends what the room keeps since the last reading."""
        kept = self.kept.setdefault(room, [])
        size = self.wire.rooms.page
        while True:
            last = kept[-1]["id"] if kept else 0
            try:
                page, more = self.wire.messages(
                    witness.ask(self.wire.history_path(room, last, size), members[0].token)
                )
            except Missed:
                raise WitnessError("tells no messages") from None
            found = [message for message in page if message["id"] > last]
            kept += found
            if not found or not (more if more is not None else len(page) >= size):
                return


def room_name(engine: LoadEngine, number: int) -> str:
    """Rooms of one load: named by the pool, which every worker shares and no other load has."""
    return f"load-{engine.people[0].id[:8] if engine.people else 'nobody'}-{number}"


def _connection(wire: RoomWire, member: MonitoredMember, connection: PastConnection) -> RoomConnection:
    return RoomConnection(
        name=f"{member.user.person.username} #{member.connections.index(connection) + 1}",
        user=member.user.person.id,
        since=connection.since,
        frames=tuple((at, wire.heard(orjson.loads(payload))) for at, payload in connection.frames),
        sent=tuple(Sent(*one) for one in connection.sent),
        ended=connection.ended,
    )
