"""A member of a room: joins, speaks, returns after a cut with `since`, sends again what nobody acknowledged."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any, Literal

import gevent
import orjson
from gevent.event import Event

from loadengine.measure.recorder import ERROR, OK, REFUSED, WRONG
from loadengine.net.tcp import NoAnswer
from loadengine.net.websocket import HandshakeRefused, WebSocket
from loadprofiles.users.room_monitor import PastConnection, RoomMonitor, text_of

if TYPE_CHECKING:
    from loadengine.locust.users import LeanUser

_now = time.monotonic_ns
_WELCOME_WITHIN = 30.0


class RoomMember:
    """One member's place for the whole load, over as many connections as it takes. `token` may be renewed."""

    def __init__(self, monitor: RoomMonitor, user: LeanUser, token: str) -> None:
        self.monitor, self.user, self.token = monitor, user, token
        self.connections: list[PastConnection] = []
        self.last_id = 0
        self.socket: WebSocket | None = None
        self._unacked: dict[str, str] = {}
        self._missing: set[int] = set()
        self._welcomed = Event()
        self.room = monitor.add_member(self)

    @property
    def here(self) -> bool:
        """Whether the room has welcomed us and the socket is open."""
        return self in self.monitor.present[self.room]

    # -- coming and going ------------------------------------------------------------------------------------

    def come(self) -> None:
        """Joins, again and again until it succeeds or the load is over; each try is a measurement.

        Who was cut just before the end still tries once: what is on its way to them shall arrive.
        """
        while True:
            began = _now()
            metric = "rooms.rejoin" if self.connections else "rooms.join"
            outcome, cause = self._try()
            self.monitor.note(metric, outcome, began, cause)
            if outcome == OK or self.monitor.engine.closing:
                return
            gevent.sleep(random.uniform(0.5, 2.0))  # noqa: S311 (people do not return in step)

    def cut(self) -> None:
        """The network goes away without a word; what is under way is to arrive after the return."""
        if self.socket is not None:
            self.socket.close_now()
            self._gone("cut")

    def leave(self) -> None:
        """Gives the seat up; nobody waits for deliveries to it any more."""
        if self.socket is not None:
            self.socket.on_close = None
            self.socket.hang_up()
            self._gone("left")

    def renew(self, token: str) -> None:
        """Hands in a fresh token, before the old one ends the connection."""
        self.token = token
        if self.here and self.socket is not None and self.monitor.wire.rooms.frames.token:
            self.socket.say_text(orjson.dumps(self.monitor.wire.frame("token", token=token)))

    def _try(self) -> tuple[int, str]:
        monitor, connection = self.monitor, PastConnection(self.last_id if self.connections else None)
        wire = monitor.wire
        protocols = wire.subprotocols(self.token)
        path = wire.address(self.room, since=connection.since, token=None if protocols else self.token)
        address = f"ws{monitor.platform.removeprefix('http')}{path}"
        try:
            socket = WebSocket(monitor.engine, address, protocols=protocols, source=self.user.address)
        except HandshakeRefused as error:
            return (REFUSED if error.response.status == 429 else ERROR), str(error)
        except NoAnswer as error:
            return ERROR, str(error)
        self._welcomed.clear()
        self.connections.append(connection)
        self.socket = socket
        waiting, socket.inbox = socket.inbox, []
        socket.on_message, socket.on_close = self._take, self._closed
        for payload in waiting:
            self._take(payload)
        self._welcomed.wait(_WELCOME_WITHIN)
        if self.here:
            return OK, ""
        self.cut()
        return ERROR, "joined and never welcomed"

    def _gone(self, how: Literal["left", "cut"]) -> None:
        self.monitor.present[self.room].discard(self)
        self.connections[-1].ended = how
        self.socket = None
        self._welcomed.set()

    def _closed(self, code: int, reason: str) -> None:
        """The server or the network ended it: come back."""
        was_here = self.here
        self._gone("cut")
        if not self.monitor.engine.closing and was_here:
            self.monitor.note("rooms.closed", ERROR, _now(), f"the server closed a socket with {code}")
            gevent.spawn_later(random.uniform(0.1, 1.0), self.come)  # noqa: S311

    # -- speaking --------------------------------------------------------------------------------------------

    def say(self, intended: int) -> None:
        """One message, awaited by its author as acknowledged and by every other member who is in the room now."""
        if self.socket is None or not self.here:
            return  # away: a person who is offline cannot speak
        monitor, client_id = self.monitor, self.monitor.new_id(self.room)
        awaited = monitor.in_storm if monitor.storming else monitor.deliveries
        for other in monitor.present[self.room]:
            if other is not self:
                awaited.sent((client_id, other), intended)
        monitor.acks.sent((client_id, self), intended)
        self._send(client_id)

    def _send(self, client_id: str) -> None:
        if self.socket is None:
            return
        body = self._unacked[client_id] = text_of(client_id)
        self.connections[-1].sent.append((_now(), client_id, body))
        self.socket.say_text(orjson.dumps(self.monitor.wire.frame("send", body=body, client_id=client_id)))

    # -- listening, in the hub -------------------------------------------------------------------------------

    def _take(self, payload: bytes) -> None:
        try:
            received = orjson.loads(payload)
        except ValueError:
            received = None
        if not isinstance(received, dict):
            self.monitor.note("rooms.frame", WRONG, _now(), "a frame is no JSON object")
            return
        frame = self.monitor.wire.heard(received)
        kind = frame["type"]
        if kind == "unknown":
            self.monitor.note("rooms.frame", WRONG, _now(), "a frame of no kind that is described")
            return
        if kind != "presence" or not self._welcomed.is_set():
            self.connections[-1].frames.append((_now(), payload))
        match kind:
            case "message":
                self._hear(frame, len(payload))
            case "ack":
                self._unacked.pop(frame["client_id"], None)
                self.monitor.acks.arrived((frame["client_id"], self))
            case "welcome" | "history":
                self._catch_up(frame, live=kind == "welcome")
            case "error":
                self._refused(frame)

    def _catch_up(self, frame: dict[str, Any], *, live: bool) -> None:
        resumed = not live or self.connections[-1].since is not None
        if not resumed:
            self.last_id = frame["last_id"]
        for message in frame["messages"] if resumed else ():
            self._hear(message, 0)
        if (
            frame.get("more")
            and resumed
            and self.socket is not None
            and self.monitor.wire.rooms.frames.replay
        ):
            self.socket.say_text(orjson.dumps(self.monitor.wire.frame("replay", since=self.last_id)))
        if live:
            self.monitor.present[self.room].add(self)
            self._welcomed.set()
            for client_id in list(self._unacked) if self.monitor.wire.rooms.duplicates else ():
                self._send(client_id)

    def _hear(self, message: dict[str, Any], size: int) -> None:
        wrong = self._wrong_with(message)
        key = (message.get("client_id"), self)
        if not self.monitor.arrived(key, size, wrong) and wrong:
            self.monitor.note("rooms.frame", WRONG, _now(), wrong)

    def _wrong_with(self, message: dict[str, Any]) -> str | None:
        """What is wrong with a message as it came, by its number, its room and its body."""
        number, client_id = int(message["id"]), str(message["client_id"])
        expected, self.last_id = self.last_id + 1, max(self.last_id, number)
        if number in self._missing:
            self._missing.discard(number)
            return "a message came out of order"
        if number < expected:
            return "a message came twice"
        if not client_id.startswith(f"{self.room}."):
            return "a message of another room came"
        if message["body"] != text_of(client_id):
            return "a message came altered"
        if number > expected and self.monitor.wire.rooms.consecutive:
            self._missing.update(range(expected, number))
            return "a message was left out before this one"
        return None

    def _refused(self, frame: dict[str, Any]) -> None:
        flood, code = self.monitor.wire.rooms.flood, frame.get("code", "without a code")
        limited = flood is not None and code == flood.code
        self.monitor.note("rooms.frame", REFUSED if limited else WRONG, _now(), f"refused: {code}")
