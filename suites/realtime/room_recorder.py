"""From live connections to a history that `core.room_history` can judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from clients.identities import Actor
from clients.service_clients import ServiceClients
from clients.services.rooms import RoomSocket
from core.clock import eventually
from core.errors import Missed
from core.expect import expect_equal
from core.room_history import Promises, RoomConnection, Sent, present, seen_present, violations
from core.room_wire import RoomWire

ROOMS = "rooms"


@dataclass
class RoomRecorder:
    """Keeps every connection to one room in order of joining."""

    services: ServiceClients
    room: str
    wire: RoomWire
    _members: list[tuple[str, str, RoomSocket]] = field(default_factory=list)

    def join(self, actor: Actor, *, since: int | None = None) -> RoomSocket:
        """Joins and waits for the welcome."""
        member: RoomSocket = self.services.rooms.join(
            self.room, actor.access_token, since=since, wire=self.wire
        )
        self._members.append((f"{actor.username} #{len(self._members) + 1}", actor.id, member))
        _ = member.welcome
        return member

    def connections(self) -> list[RoomConnection]:
        """Every connection as recorded so far."""
        return [_connection(name, user, member) for name, user, member in self._members]

    def kept(self, reader: Actor) -> list[dict[str, Any]]:
        """The room's messages over HTTP, all of them, oldest first."""
        found: list[dict[str, Any]] = []
        since, size = 0, self.wire.rooms.page
        while True:
            page, more = self.read(reader, since, size)
            found += page
            if not page or not (more if more is not None else len(page) >= size):
                return found
            since = found[-1]["id"]

    def read(self, reader: Actor, since: int, limit: int) -> tuple[list[dict[str, Any]], bool | None]:
        """One page of the room's history over HTTP, and whether more follow."""
        path = self.wire.history_path(self.room, since, limit)
        answer = self.services.platform.call("GET", path, token=reader.access_token)
        page = answer.expect(200, claim="a member reads the room's history over HTTP").json(dict)
        return self.wire.messages(page)

    def counted(self, reader: Actor) -> dict[str, Any]:
        """Who is there, as the room itself counts them over HTTP: `members` and `sockets`."""
        path = self.wire.presence_path(self.room)
        answer = self.services.platform.call("GET", path, token=reader.access_token)
        return self.wire.present(answer.expect(200, claim="a member asks who is there").json(dict))

    @property
    def promises(self) -> Promises:
        """What the platform's rooms promise."""
        rooms = self.wire.rooms
        return Promises(rooms.newcomer, rooms.page, rooms.consecutive)

    def judge(self, reader: Actor, witness: Callable[[str, str], None]) -> list[dict[str, Any]]:
        """Waits until all present have everything, then raises Missed with each broken promise; returns what is kept."""
        kept = self.kept(reader)
        last = kept[-1]["id"] if kept else 0
        eventually(
            lambda: [m.last_id for _, _, m in self._members if m.ended == "open"],
            until=lambda seen: all(number >= last for number in seen),
            within=10,
            claim=f"everybody present receives the room's last message, {last}",
            service=ROOMS,
        )
        witness("the room's history over HTTP", f"{len(kept)} messages in {self.room}")
        broken = violations(self.connections(), kept, self.promises)
        if broken:
            raise Missed(
                f"room {self.room} keeps its promises over {len(self._members)} connections and {len(kept)} messages",
                expected="no message lost, doubled, reordered or invented",
                saw="; ".join(map(str, broken[:8]))
                + (f"; and {len(broken) - 8} more" if len(broken) > 8 else ""),
                service=ROOMS,
            )
        return kept

    def presence_converges(self) -> None:
        """Every open connection comes to see exactly the people who are connected, where the platform tells."""
        if not all(self.wire.tells(kind) for kind in ("join", "leave")):
            return
        there = present(self.connections())
        for name, user, member in self._members:
            if member.ended == "open":
                eventually(
                    lambda one=(name, user, member): seen_present(_connection(*one)),  # type: ignore[misc]
                    until=lambda seen: seen == there,
                    within=10,
                    claim=f"{name} sees exactly the {len(there)} people who are there",
                    service=ROOMS,
                )
        expect_equal(present(self.connections()), there, "nobody came or went meanwhile", service=ROOMS)

    def close(self) -> None:
        """Ends every open connection."""
        for _, _, member in self._members:
            if member.ended == "open":
                member.close()


NewRoom = Callable[[], RoomRecorder]
"""Makes a recorder of a room of the check's own; what is still open in it ends with the check."""


def _connection(name: str, user: str, member: RoomSocket) -> RoomConnection:
    return RoomConnection(
        name=name,
        user=user,
        since=member.since,
        frames=tuple((frame.at, frame.data) for frame in list(member.frames)),
        sent=tuple(Sent(*one) for one in member.sent),
        ended=member.ended,
    )


def say_all(member: RoomSocket, bodies: Sequence[tuple[str, str]], *, within: float = 15) -> None:
    """Sends (client id, body) pairs and waits for every acknowledgement."""
    for client_id, body in bodies:
        member.say(body, client_id)
    for client_id, _ in bodies:
        member.acked(client_id, within=within)
