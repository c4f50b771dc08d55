"""How a platform's rooms are spoken to: addresses and frames out, frames and answers in, all by its description.

What is heard comes in Assay's own words, so that checks, the history's judge and loads know one form:

    {"type": "message", "id", "client_id", "user": {"id", "name"}, "body", "at"}
    {"type": "welcome", "you": {"id"}, "last_id", "members", "messages", "more", "expires_at"}
    {"type": "presence", "event": "join" | "leave" | "status", "user": {"id"}, "status"}

and the other kinds of `core.description.rooms.KINDS`. A frame of no described kind is of type "unknown". Where a
platform's own form is ours already, a frame is handed on as it came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from core.description.base import MISSING, fill, fill_path, names_in, pick
from core.description.rooms import KINDS, PARTS, Rooms
from core.errors import Missed, NotDescribed

Data = dict[str, Any]
_Make = Callable[[Data], Data]
PRESENCE = ("join", "leave", "status")
"""Kinds that change who is there."""


class RoomWire:
    """One platform's rooms, as its project describes them. A project may override single methods."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms

    # -- what is sent ----------------------------------------------------------------------------------------

    def address(self, room: str, *, since: int | None = None, token: str | None = None) -> str:
        """The path and query of a room; `token` is for a platform that takes it there. A `%` in the name stays."""
        query: dict[str, str] = {}
        if since is not None and self.rooms.since:
            query[self.rooms.since] = str(since)
        if token is not None:
            query |= {name: str(fill(value, {"token": token})) for name, value in self.rooms.query.items()}
        path = self.rooms.path.replace("{room}", room)
        return path + (f"?{urlencode(query)}" if query else "")

    def subprotocols(self, token: str) -> list[str]:
        """The WebSocket subprotocols that carry the token."""
        return [str(fill(name, {"token": token})) for name in self.rooms.subprotocols]

    def frame(self, kind: str, **values: Any) -> Data:
        """What a member sends: `send` (body, client_id), `status`, `typing` (on), `replay` (since, limit), `token`.

        What has no value is left out. Raises NotDescribed for a kind that is not described.
        """
        template = getattr(self.rooms.frames, kind)
        if not template:
            raise NotDescribed(f"rooms.frames.{kind}")
        known = {name: value for name, value in values.items() if value is not None}
        return {key: fill(item, known) for key, item in template.items() if names_in(item) <= set(known)}

    def history_path(self, room: str, since: int, limit: int) -> str:
        """Path and query of a page of the history. Raises NotDescribed when none is described."""
        return self._path("history", room, since=since, limit=limit)

    def presence_path(self, room: str) -> str:
        """Path and query of who is there. Raises NotDescribed when it is not described."""
        return self._path("presence", room)

    def _path(self, name: str, room: str, **values: Any) -> str:
        route = getattr(self.rooms, name)
        if route is None:
            raise NotDescribed(f"rooms.{name}")
        query = fill(route.query, values)
        return fill_path(route.path, {"room": room, **values}) + (f"?{urlencode(query)}" if query else "")

    # -- what is heard ---------------------------------------------------------------------------------------

    def heard(self, frame: Data) -> Data:
        """A frame in our words."""
        for conditions, make in self._kinds:
            if all(pick(frame, where) == value for where, value in conditions):
                return make(frame)
        return {"type": "unknown", "frame": frame}

    def messages(self, answer: Data) -> tuple[list[Data], bool | None]:
        """The messages of a page of the history, and whether more follow (None: it does not tell).

        Raises Missed for an answer without messages.
        """
        page = self._parts["history"](answer)
        found = page.get("messages")
        if not isinstance(found, list):
            raise Missed(
                "the history of a room tells its messages", expected="a list", saw=found, service="rooms"
            )
        return found, page.get("more")

    def present(self, answer: Data) -> Data:
        """`{"members": [{"id", "name", "status"}], "sockets"}` of the presence's answer."""
        return self._parts["presence"](answer)

    def tells(self, kind: str, field: str = "") -> bool:
        """Whether a kind of frame, or a part, is described, and this field of it."""
        if kind in PARTS and kind not in KINDS:
            return not field or self.rooms.parts.get(kind, {}).get(field, field) != ""
        heard = self.rooms.hears.get(kind)
        return heard is not None and (not field or heard.fields.get(field, field) != "")

    @cached_property
    def _kinds(self) -> Sequence[tuple[tuple[tuple[str, Any], ...], _Make]]:
        """The most demanding kinds first, so that `{type, event}` is tried before `{type}`."""
        kinds = sorted(self.rooms.hears.items(), key=lambda one: -len(one[1].when))
        return [(tuple(heard.when.items()), self._maker(kind, heard.fields)) for kind, heard in kinds]

    @cached_property
    def _parts(self) -> Mapping[str, _Make]:
        return {part: self._reader(PARTS[part], self.rooms.parts.get(part, {})) for part in PARTS}

    def _maker(self, kind: str, named: Mapping[str, str]) -> _Make:
        fields = {**self.rooms.parts.get("message", {}), **named} if kind == "message" else named
        read = self._reader(KINDS[kind], fields)
        ours = {"type": "presence", "event": kind} if kind in PRESENCE else {"type": kind}

        def make(frame: Data) -> Data:
            made = read(frame)
            if all(made.get(name) == value for name, value in ours.items()):
                return made
            return {**made, **ours}

        return make

    def _reader(self, known: Sequence[str], named: Mapping[str, str]) -> _Make:
        """Reads the known fields of one document; hands it on as it came where all stand under our own names."""
        moved = any(named.get(name, name) != name for name in known)
        places = [(tuple(name.split(".")), named.get(name, name)) for name in known if named.get(name, name)]
        inner = [(name, part) for name, part in (("messages", "message"), ("members", "member"))
                 if name in known and self.rooms.parts.get(part)]  # fmt: skip

        def read(document: Data) -> Data:
            made = _moved(document, places) if moved else document
            for name, part in inner:
                if isinstance(made.get(name), list):
                    items = [self._parts[part](one) if isinstance(one, dict) else one for one in made[name]]
                    made = {**made, name: items}
            return made

        return read


def _moved(document: Data, places: Sequence[tuple[tuple[str, ...], str]]) -> Data:
    made: Data = {}
    for steps, where in places:
        value = pick(document, where)
        if value is MISSING:
            continue  # whoever asks for it says what lacks
        inside = made
        for step in steps[:-1]:
            inside = inside.setdefault(step, {})
        inside[steps[-1]] = value
    return made
