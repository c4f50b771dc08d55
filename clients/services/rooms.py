"""Rooms: the platform's Durable Objects over WebSocket, and what a member's socket saw."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from clients import exchanges
from clients.sdk import ServiceRefusal
from clients.services.platform import PLATFORM_URL
from clients.strict_json import read_json, strict_json
from core import reached
from core.clock import Deadline, now_ns, seconds
from core.errors import Missed, NotDescribed, ServiceError
from core.room_wire import RoomWire
from core.run import Run
from core.service import Service

SERVICE = Service(
    id="rooms",
    title="Rooms (Durable Objects)",
    variables=(PLATFORM_URL,),
    capabilities={"rooms.websocket": "people meet in rooms over WebSocket; messages are kept"},
    guide="docs/live-target.md#rooms",
)
ATTRIBUTE = "rooms"
LARGEST = 4 * 1024 * 1024
"""Bytes of one frame."""
MOST = 64 * 1024 * 1024
"""Bytes of all frames of one connection; a room that floods its members is told so."""


@dataclass(frozen=True)
class Frame:
    """One frame in Assay's words (`core.room_wire`; {"type": "text", "text": …} for bare text), and when it came."""

    at: int
    data: dict[str, Any]

    @property
    def type(self) -> str:
        """The frame's type."""
        return str(self.data.get("type"))


class RoomSocket:
    """One connection to a room. A thread of its own reads, so that every arrival has its true time.

    `frames` and `sent` (when, client_id, body) grow only; `closed` holds (code, reason) once the connection
    has ended; `ended` is how we ended it, if we did.
    """

    def __init__(self, socket: ClientConnection, room: str, wire: RoomWire, since: int | None = None) -> None:
        self.room = room
        self.wire = wire
        self.since = since
        self.frames: list[Frame] = []
        self.sent: list[tuple[int, str, str]] = []
        self.ended: Literal["left", "cut", "open"] = "open"
        self.closed: tuple[int, str] | None = None
        self._socket = socket
        self._nonsense: str | None = None
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, name=f"room {room}", daemon=True)
        self._reader.start()

    # -- receiving -------------------------------------------------------------------------------------------

    def _read(self) -> None:
        code, reason = 1006, "the connection was lost"
        came = 0
        try:
            while True:
                raw = self._socket.recv()
                at = now_ns()
                shown = raw.encode() if isinstance(raw, str) else raw
                exchanges.note(SERVICE.id, f"WebSocket of room {self.room}: frames", "the last:", shown)
                came += len(raw) + 100  # what a frame costs beside its words
                if came > MOST:
                    self._nonsense = f"more than {MOST} bytes"
                    break
                frame = Frame(at, self._parse(raw))
                with self._changed:
                    self.frames.append(frame)
                    self._changed.notify_all()
        except ConnectionClosed as error:
            if error.rcvd is not None:
                code, reason = error.rcvd.code, error.rcvd.reason
        except (OSError, WebSocketException) as error:
            reason = f"{type(error).__name__}: {error}"
        with self._changed:
            self.closed = (code, reason)
            self._changed.notify_all()

    def _parse(self, raw: str | bytes) -> dict[str, Any]:
        if isinstance(raw, str) and not raw.startswith("{"):
            return {"type": "text", "text": raw}
        try:
            value = read_json(raw)
        except ValueError:
            value = None
        if isinstance(value, dict):
            frame: dict[str, Any] = strict_json(self.wire.heard(value), partial(self._on_missing, raw))
            return frame
        self._nonsense = f"a frame that is no JSON object: {raw[:80]!r}"
        return {"type": "nonsense", "raw": repr(raw[:200])}

    def _on_missing(self, raw: str | bytes, what: str) -> Missed:
        return Missed(
            f"each frame of room {self.room} holds what its type promises",
            expected=what,
            saw=repr(raw[:200]),
            service=SERVICE.id,
        )

    def wait(
        self,
        accept: Callable[[dict[str, Any]], bool],
        *,
        claim: str,
        within: str | float = 10,
        start: int = 0,
    ) -> Frame:
        """The first frame, from number `start` on, that `accept` takes. Raises Missed with what came instead."""
        reached.note()
        deadline = Deadline.after(within)
        position = start
        with self._changed:
            while True:
                while position < len(self.frames):
                    frame = self.frames[position]
                    position += 1
                    if accept(frame.data):
                        return frame
                if self._nonsense:
                    raise ServiceError(SERVICE.id, f"room {self.room} sent {self._nonsense}")
                if self.closed is not None or deadline.passed:
                    break
                self._changed.wait(deadline.left)
        came = [f"{f.type} {f.data.get('id', f.data.get('code', ''))}".strip() for f in self.frames[start:]]
        ended = f"; then closed {self.closed[0]} {self.closed[1]}" if self.closed else ""
        raise Missed(
            claim,
            expected=f"within {seconds(within):g} s",
            saw=f"{', '.join(came[-12:]) or 'no frame'}{ended}",
            service=SERVICE.id,
        )

    def wait_type(
        self, type: str, *, claim: str = "", within: str | float = 10, start: int = 0, **equal: Any
    ) -> Frame:
        """The first frame of this type whose fields equal these values."""
        return self.wait(
            lambda d: d.get("type") == type and all(d.get(k) == v for k, v in equal.items()),
            claim=claim or f"room {self.room} sends {type} {equal or ''}".strip(),
            within=within,
            start=start,
        )

    def wait_message(self, body: str, *, within: str | float = 10) -> Frame:
        """The message with this body, live or in the welcome's replay."""

        def holds(data: dict[str, Any]) -> bool:
            if data.get("type") == "message":
                return data.get("body") == body
            return data.get("type") in ("welcome", "history") and any(
                m["body"] == body for m in data["messages"]
            )

        return self.wait(holds, claim=f"the message {body!r} reaches the member", within=within)

    def hears_within(self, duration: str | float) -> bool:
        """Whether any frame comes within this time; waits for all of it when none does."""
        deadline = Deadline.after(duration)
        with self._changed:
            heard = len(self.frames)
            while len(self.frames) == heard and self.closed is None and not deadline.passed:
                self._changed.wait(deadline.left)
            return len(self.frames) > heard or self.closed is not None

    def wait_closed(self, *, within: str | float = 10) -> tuple[int, str]:
        """Code and reason of the connection's end."""
        deadline = Deadline.after(within)
        with self._changed:
            while self.closed is None and not deadline.passed:
                self._changed.wait(deadline.left)
        if self.closed is None:
            raise Missed(
                "the server ends the connection",
                expected=f"within {seconds(within):g} s",
                saw="it is still open",
                service=SERVICE.id,
            )
        return self.closed

    @property
    def welcome(self) -> dict[str, Any]:
        """The welcome frame."""
        return self.wait_type("welcome", claim=f"room {self.room} welcomes the member").data

    def messages(self) -> list[dict[str, Any]]:
        """Every message seen so far in order of arrival: replayed ones, live ones."""
        with self._changed:
            frames = list(self.frames)
        seen: list[dict[str, Any]] = []
        for frame in frames:
            if frame.type in ("welcome", "history"):
                seen += frame.data.get("messages", [])
            elif frame.type == "message":
                seen.append(frame.data)
        return seen

    @property
    def last_id(self) -> int:
        """The highest message id known, from `since` on: what a reconnecting client sends as its next `since`."""
        return max((self.since or 0, *(int(m["id"]) for m in self.messages())))

    # -- sending ---------------------------------------------------------------------------------------------

    def send(self, frame: dict[str, Any] | str | bytes) -> int:
        """Sends one frame; returns when, in monotonic ns. Raises ServiceError when the connection has ended."""
        data = json.dumps(frame, ensure_ascii=False) if isinstance(frame, dict) else frame
        at = now_ns()
        try:
            self._socket.send(data)
        except (ConnectionClosed, OSError) as error:
            raise ServiceError(SERVICE.id, f"room {self.room} was closed when sending: {error}") from error
        return at

    def say(self, body: str, client_id: str) -> int:
        """Sends a message; returns when. It counts as sent even when the connection breaks under it."""
        self.sent.append((now_ns(), client_id, body))
        return self.send(self.wire.frame("send", body=body, client_id=client_id))

    def acked(self, client_id: str, *, within: str | float = 10, start: int = 0) -> dict[str, Any]:
        """The acknowledgement of a sent message."""
        return self.wait(
            lambda d: d.get("type") == "ack" and d.get("client_id") == client_id,
            claim=f"the room acknowledges message {client_id!r}",
            within=within,
            start=start,
        ).data

    def close(self) -> None:
        """Leaves in good order."""
        self.ended = "left"
        self._socket.close()
        self._reader.join(10)

    def cut(self) -> None:
        """Ends as a cut network does: the TCP connection is reset, no close frame is sent."""
        self.ended = "cut"
        raw = self._socket.socket
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.shutdown(socket.SHUT_RD)
        raw.close()
        self._reader.join(10)


class RoomsClient:
    """Joins rooms at the platform's address."""

    def __init__(self, run: Run) -> None:
        self.run = run
        http_url = run.target.get(PLATFORM_URL.name).rstrip("/")
        self.url = "ws" + http_url.removeprefix("http")
        rooms = run.target.description.rooms
        self.wire = RoomWire(rooms) if rooms else None

    def join(
        self,
        room: str,
        token: str | None,
        *,
        since: int | None = None,
        by_query: bool = False,
        wire: RoomWire | None = None,
        timeout: float = 10.0,
    ) -> RoomSocket:
        """Opens a connection and waits for nothing but the handshake. `wire` is the adapter's, where it is known.

        Raises Refused with the status when the platform answers the upgrade with anything but 101.
        """
        wire = wire or self.wire
        if wire is None:
            raise NotDescribed("rooms")
        in_query = by_query or not wire.rooms.subprotocols
        address = self.url + wire.address(room, since=since, token=token if in_query else None)
        protocols = [] if token is None or in_query else [Subprotocol(p) for p in wire.subprotocols(token)]
        self.run.target.permit.send("GET", address)
        try:
            connection = connect(
                address,
                subprotocols=protocols or None,
                open_timeout=timeout,
                close_timeout=5,
                ping_interval=None,
                max_size=LARGEST,
                proxy=None,
            )
        except InvalidStatus as error:
            answer = error.response
            if (
                not 400 <= answer.status_code <= 500
            ):  # 500 is the platform's own fault, beyond it a service is away
                raise ServiceError(
                    SERVICE.id, f"the upgrade of room {room} answers {answer.status_code}"
                ) from error
            raise ServiceRefusal(
                SERVICE.id,
                f"joining room {room}",
                answer.status_code,
                str(answer.status_code),
                (answer.body or b"")[:200].decode("utf-8", "replace"),
            ) from error
        except (WebSocketException, OSError, TimeoutError, EOFError) as error:
            raise ServiceError(
                SERVICE.id, f"room {room} could not be joined: {type(error).__name__}: {error}"
            ) from error
        return RoomSocket(connection, room, wire, since)
