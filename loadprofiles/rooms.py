"""Rooms of ten over WebSocket: every message must reach every other member, once and in order.

    assay load rooms --users 50 --for 30s

Each user holds one socket; members of a room live in one process, so that delivery is measured on one clock
from the intended send to each receiver. What has not arrived when the load has drained is lost: an error.
"""

from __future__ import annotations

import os
from itertools import count
from typing import Any, ClassVar

import gevent
import orjson
from gevent.lock import BoundedSemaphore
from locust import task

from loadprofiles.engine import Measure, OpenUser, Poisson, WebSocket
from loadprofiles.engine.wire import NoAnswer
from scenarios.api import rooms

PEOPLE = 20
"""Identities that this load shares out among its users."""

MEMBERS = 10
PLATFORM = os.environ.get("PLATFORM_URL", "").rstrip("/")
DELIVERY = Measure("perf.rooms", kind="delivery")
JOIN = Measure("rooms.join")
_numbers = count(1)
_joining = BoundedSemaphore(20)  # joins in bursts of this many


class Member(OpenUser):
    """A person in a room who speaks every few seconds."""

    rate = 0.4
    arrivals = Poisson
    rooms: ClassVar[dict[str, set[Member]]] = {}
    _seats: ClassVar[Any] = count()

    def on_start(self) -> None:
        """Takes a seat and joins."""
        run = self.engine.settings.run_id[-6:]
        self.room = f"load-{run}-{os.getpid()}-{next(self._seats) // MEMBERS}"
        self.deliveries = self.engine.expecting(DELIVERY, within=10)
        self.joins = self.engine.expecting(JOIN)
        self.socket: WebSocket | None = None
        self.last_id = 0
        self.join()

    def on_stop(self) -> None:
        """Leaves."""
        self.leave()

    def join(self) -> None:
        """Opens the socket; the seat counts once the server has said welcome."""
        with _joining:
            self.joins.sent(self, self.intended())
            address = f"ws{PLATFORM.removeprefix('http')}/api/rooms/{self.room}"
            try:
                socket = WebSocket(
                    self.engine, address, protocols=rooms.protocols(self.person.token), source=self.address
                )
            except NoAnswer as error:
                self.joins.arrived(self, wrong=str(error))
                self._again()
                return
            self.socket = socket
            waiting, socket.inbox = socket.inbox, []
            socket.on_message, socket.on_close = self.take, self.closed
            for message in waiting:
                self.take(message)

    def leave(self) -> None:
        """Gives the seat up; nobody waits for deliveries to it any more."""
        self.rooms.get(self.room, set()).discard(self)
        if self.socket is not None:
            self.socket.on_close = None
            self.socket.hang_up()
            self.socket = None

    @task
    def speak(self) -> None:
        """One message, awaited by every other member who is in the room now."""
        if self.socket is None or not self.socket.open:
            return
        identifier = f"{os.getpid()}-{next(_numbers)}"
        intended = self.intended()
        for other in self.rooms.get(self.room, set()):
            if other is not self:
                self.deliveries.sent((identifier, other), intended)
        self.socket.say_text(orjson.dumps(rooms.send("spoken under load", identifier)))

    def take(self, payload: bytes) -> None:
        """A frame came; runs in the hub."""
        frame = orjson.loads(payload)
        match frame["type"]:
            case "message":
                wrong = (
                    None if frame["id"] == self.last_id + 1 else "out of order, twice, or one was left out"
                )
                self.last_id = max(self.last_id, frame["id"])
                self.deliveries.arrived((frame["client_id"], self), len(payload), wrong)
            case "welcome":
                self.last_id = frame["last_id"]
                self.rooms.setdefault(self.room, set()).add(self)
                self.joins.arrived(self)
            case "error":
                self.engine.recorder.recent_causes[f"room error {frame['code']}"] += 1

    def closed(self, code: int, reason: str) -> None:
        """The server or the network ended it: come back."""
        self.rooms.get(self.room, set()).discard(self)
        self.joins.arrived(self, wrong=f"closed with {code}")
        self.socket = None
        self._again()

    def _again(self) -> None:
        if not self.engine.closing:
            gevent.spawn_later(1.0, self.join)
