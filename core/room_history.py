"""Histories of a room, and the pure function that judges them.

A history is what every connection sent and received, in its own order, and what the room holds at the
end. `violations` knows what rooms promise (each message kept once and delivered to all, in one order) and nothing of
sockets or of a platform's own form of frames (`core.room_wire`), so that it is tested on made histories, right and
wrong ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

Data = dict[str, Any]


@dataclass(frozen=True)
class Promises:
    """What one platform's rooms promise: the last messages that a newcomer is told, the most that one replay holds,
    and whether numbers rise by one, so that a gap is a loss."""

    newcomer: int = 50
    page: int = 500
    consecutive: bool = True


@dataclass(frozen=True)
class Sent:
    """A message as its author sent it."""

    at: int
    client_id: str
    body: str


@dataclass(frozen=True)
class RoomConnection:
    """One member's connection from join to end.

    `since` is what it asked to be replayed from; `frames` are (arrival in ns, frame) in order of arrival;
    `ended` says whether it left in order, was cut, or is still open when the history closes.
    """

    name: str
    user: str
    since: int | None = None
    frames: tuple[tuple[int, Data], ...] = ()
    sent: tuple[Sent, ...] = ()
    ended: Literal["left", "cut", "open"] = "open"

    @property
    def welcome(self) -> Data | None:
        """The welcome frame, if it came."""
        return next((data for _, data in self.frames if data.get("type") == "welcome"), None)

    def live(self) -> list[tuple[int, Data]]:
        """(arrival, message) of messages that came live, not replayed."""
        return [(at, data) for at, data in self.frames if data.get("type") == "message"]

    def replayed(self) -> list[Data]:
        """Messages replayed on joining or on request."""
        return [
            m
            for _, data in self.frames
            if data.get("type") in ("welcome", "history")
            for m in data["messages"]
        ]

    def acks(self) -> list[tuple[int, Data]]:
        """(arrival, acknowledgement) in order."""
        return [(at, data) for at, data in self.frames if data.get("type") == "ack"]


@dataclass(frozen=True)
class Violation:
    """One broken promise: the rule's name and what exactly broke it."""

    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


@dataclass
class _Judge:
    connections: Sequence[RoomConnection]
    kept: Sequence[Data]
    promises: Promises
    found: list[Violation] = field(default_factory=list)

    def say(self, rule: str, what: str) -> None:
        self.found.append(Violation(rule, what))


def violations(
    connections: Iterable[RoomConnection], kept: Sequence[Data], promises: Promises = Promises()
) -> list[Violation]:
    """Every promise that the history breaks. `kept` are the room's messages at the end, oldest first.

    The history must hold every author of the room, and all connections that are `open` must have had time
    to receive what was acknowledged; then a message they lack is lost.
    """
    judge = _Judge(list(connections), list(kept), promises)
    for rule in (_order_of_ids, _sent_once, _nothing_invented, _acked_is_kept, _same_for_all):
        rule(judge)
    for connection in judge.connections:
        for each in (_rising, _no_gap, _replay_is_exact, _nothing_early, _acks_agree):
            each(judge, connection)
    _resumed_exactly(judge)
    _nothing_lost_to_the_present(judge)
    return judge.found


def _order_of_ids(judge: _Judge) -> None:
    ids = [m["id"] for m in judge.kept]
    for before, after in pairwise(ids):
        if judge.promises.consecutive and after != before + 1:
            judge.say("ids rise by one", f"message {after} follows {before}")
        elif after <= before:
            judge.say("ids rise", f"message {after} follows {before}")


def _sent_once(judge: _Judge) -> None:
    seen: dict[tuple[str, str], int] = {}
    for m in judge.kept:
        key = (m["user"]["id"], m["client_id"])
        if key in seen:
            judge.say("kept once", f"{key[1]!r} is kept as {seen[key]} and again as {m['id']}")
        seen.setdefault(key, m["id"])


def _nothing_invented(judge: _Judge) -> None:
    bodies = {(c.user, s.client_id): s.body for c in judge.connections for s in c.sent}
    for m in judge.kept:
        key = (m["user"]["id"], m["client_id"])
        if key not in bodies:
            judge.say("nothing invented", f"message {m['id']} ({m['body'][:40]!r}) was sent by nobody")
        elif bodies[key] != m["body"]:
            judge.say(
                "nothing altered",
                f"message {m['id']} was sent as {bodies[key][:40]!r}, kept as {m['body'][:40]!r}",
            )


def _acked_is_kept(judge: _Judge) -> None:
    by_id = {m["id"]: m for m in judge.kept}
    first = min(by_id, default=1)
    for c in judge.connections:
        for _, ack in c.acks():
            kept = by_id.get(ack["id"])
            if kept is None and ack["id"] >= first:
                judge.say(
                    "acknowledged is kept",
                    f"{c.name}: {ack['client_id']!r} was acknowledged as {ack['id']} and is lost",
                )
            elif kept is not None and (kept["user"]["id"], kept["client_id"]) != (c.user, ack["client_id"]):
                judge.say(
                    "acknowledged is kept",
                    f"{c.name}: {ack['client_id']!r} was acknowledged as {ack['id']}, another's number",
                )


def _same_for_all(judge: _Judge) -> None:
    known: dict[int, tuple[str, str, str]] = {m["id"]: _identity(m) for m in judge.kept}
    for c in judge.connections:
        for m in (*c.replayed(), *(m for _, m in c.live())):
            if known.setdefault(m["id"], _identity(m)) != _identity(m):
                judge.say(
                    "same for all", f"{c.name} saw message {m['id']} as {_quoted(m['body'])}, others did not"
                )


def _identity(m: Data) -> tuple[str, str, str]:
    return m["user"]["id"], m["client_id"], m["body"]


def _rising(judge: _Judge, c: RoomConnection) -> None:
    last = 0
    for _, m in c.live():
        if m["id"] == last:
            judge.say("none twice", f"{c.name} received message {m['id']} twice")
        elif m["id"] < last:
            judge.say("one order", f"{c.name} received message {m['id']} after {last}")
        last = max(last, m["id"])


def _no_gap(judge: _Judge, c: RoomConnection) -> None:
    if not judge.promises.consecutive:
        return  # what is lost is found by what the room kept
    ids = [m["id"] for _, m in c.live()]
    expected = (c.welcome or {}).get("last_id", 0) + 1
    for number in ids:
        if number > expected:
            judge.say("no gap", f"{c.name} received {number} without {_range(expected, number - 1)}")
        expected = max(expected, number + 1)


def _replay_is_exact(judge: _Judge, c: RoomConnection) -> None:
    if (welcome := c.welcome) is None:
        return
    got = [m["id"] for m in welcome["messages"]]
    available = [m["id"] for m in judge.kept if m["id"] <= welcome["last_id"]]
    due = available[-judge.promises.newcomer :] if judge.promises.newcomer else []
    if c.since is not None:
        due = [n for n in available if n > c.since][: judge.promises.page]
    if got != due:
        judge.say("exact replay", f"{c.name} joined {_since(c)} and got {_few(got)} instead of {_few(due)}")


def _nothing_early(judge: _Judge, c: RoomConnection) -> None:
    welcome = c.welcome
    for _, data in c.frames:
        if data.get("type") == "welcome":
            break
        if data.get("type") in ("message", "presence", "typing"):
            judge.say("nothing before the welcome", f"{c.name} received a {data['type']} first")
    for _, m in c.live():
        if welcome is not None and m["id"] <= welcome["last_id"]:
            judge.say(
                "nothing from before joining",
                f"{c.name} received {m['id']} live, welcomed at {welcome['last_id']}",
            )


def _acks_agree(judge: _Judge, c: RoomConnection) -> None:
    numbers: dict[str, int] = {}
    sent = [s.client_id for s in c.sent]
    for _, ack in c.acks():
        if ack["client_id"] not in sent:
            judge.say(
                "acknowledges what was sent",
                f"{c.name}: {_acked(ack)} and never sent",
            )
        if numbers.setdefault(ack["client_id"], ack["id"]) != ack["id"]:
            judge.say(
                "acknowledged as one",
                f"{c.name}: {_acked(ack)}, before as {numbers[ack['client_id']]}",
            )


def _resumed_exactly(judge: _Judge) -> None:
    """Over a person's reconnects with `since`, each message comes exactly once."""
    by_user: dict[str, list[RoomConnection]] = {}
    for c in judge.connections:
        by_user.setdefault(c.user, []).append(c)
    for user, chain in by_user.items():
        if any(c.since is None for c in chain[1:]):
            continue  # a second screen of the same person, not a resumption
        seen: set[int] = set()
        for c in chain:
            for number in [*(m["id"] for m in c.replayed()), *(m["id"] for _, m in c.live())]:
                if number in seen:
                    judge.say("none twice after reconnecting", f"{user} received {number} again on {c.name}")
                seen.add(number)


def _nothing_lost_to_the_present(judge: _Judge) -> None:
    """Who is still there has everything that the room kept since they joined."""
    for c in judge.connections:
        if c.ended != "open" or c.welcome is None:
            continue
        have = {m["id"] for m in c.replayed()} | {m["id"] for _, m in c.live()}
        lacking = [m["id"] for m in judge.kept if m["id"] > c.welcome["last_id"] and m["id"] not in have]
        if lacking:
            judge.say("delivered to all present", f"{c.name} never received {_few(lacking)}")


def present(connections: Iterable[RoomConnection]) -> set[str]:
    """Whom everybody must see as members: users with an open connection."""
    return {c.user for c in connections if c.ended == "open"}


def seen_present(connection: RoomConnection) -> set[str]:
    """Whom this connection believes to be there: its welcome's members, changed by the deltas since."""
    welcome = connection.welcome
    there = {m["id"] for m in welcome["members"]} if welcome else set()
    for _, data in connection.frames:
        if data.get("type") == "presence":
            who = data["user"]["id"]
            if data["event"] == "leave":
                there.discard(who)
            else:
                there.add(who)
    return there


def _acked(ack: Data) -> str:
    return f"{ack['client_id']!r} was acknowledged as {ack['id']}"


def _quoted(text: str) -> str:
    return repr(text[:40])


def _since(c: RoomConnection) -> str:
    return "afresh" if c.since is None else f"since {c.since}"


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first} to {last}"


def _few(numbers: Sequence[int]) -> str:
    return (
        str(list(numbers))
        if len(numbers) <= 12
        else f"{list(numbers[:6])}…{list(numbers[-3:])} ({len(numbers)})"
    )
