"""`[rooms]`: a room over WebSocket: its address, what members send, what they hear, and what is told over HTTP."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from core.description.base import Path, Route, Section, Where, allow, allow_names, names_in

KINDS: dict[str, tuple[str, ...]] = {
    "welcome": ("you.id", "last_id", "members", "messages", "more", "expires_at"),
    "message": ("id", "client_id", "user.id", "user.name", "body", "at"),
    "ack": ("id", "client_id", "duplicate"),
    "join": ("user.id", "status"),
    "leave": ("user.id", "status"),
    "status": ("user.id", "status"),
    "typing": ("user.id", "on"),
    "history": ("messages", "more"),
    "authed": ("expires_at",),
    "erased": ("user_id",),
    "error": ("code", "client_id", "retry_after_ms"),
}
"""What a member hears, by kind, and the fields of each that Assay knows."""
PARTS: dict[str, tuple[str, ...]] = {
    "message": KINDS["message"],
    "member": ("id", "name", "status"),
    "history": ("messages", "more"),
    "presence": ("members", "sockets"),
}
"""What stands inside frames and in the answers over HTTP, and the fields of each."""
PROMISED = {
    "welcome": ("last_id", "messages"),
    "message": ("id", "client_id", "user.id", "body"),
    "ack": ("id", "client_id"),
}
"""Fields without which nothing can be told about a room."""


class Frames(Section):
    """What a member sends, as templates of JSON: {body}, {client_id}, {status}, {on}, {since}, {limit}, {token}."""

    send: dict[str, Any] = Field(default_factory=dict)
    status: dict[str, Any] = Field(default_factory=dict)
    typing: dict[str, Any] = Field(default_factory=dict)
    replay: dict[str, Any] = Field(default_factory=dict)
    token: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names(self) -> Frames:
        allowed = {
            "send": ("body", "client_id"), "status": ("status",), "typing": ("on",),
            "replay": ("since", "limit"), "token": ("token",),
        }  # fmt: skip
        for name, names in allowed.items():
            allow(names_in(getattr(self, name)), names, f"frames.{name}")
        if self.send and not {"body", "client_id"} <= names_in(self.send):
            raise ValueError(
                "frames.send: without {body} and {client_id} nobody's message could be known again"
            )
        return self


class Heard(Section):
    """One kind of frame: it is one where all of `when` hold (a place in the frame, and the value there).

    `fields` says where the kind's fields stand; what is not named stands under our own name, "" is nowhere.
    """

    when: dict[str, Any] = Field(min_length=1)
    fields: dict[str, Where] = Field(default_factory=dict)


class Exchange(Section):
    """A bare text and its answer."""

    sends: str
    answers: str


class Flood(Section):
    """What a flood from one connection meets: so many `messages` at once are too many, and refused by this `code`."""

    messages: int = Field(default=100, ge=2)
    code: str


class BadFrame(Section):
    """A frame that must be answered with one of these codes. {filled} is `fill` letters."""

    name: str
    frame: str | dict[str, Any]
    fill: int = Field(default=0, ge=0)
    codes: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names(self) -> BadFrame:
        if isinstance(self.frame, dict):
            allow(names_in(self.frame), ("filled",), "frame")
        return self


class Rooms(Section):
    """A room. What is not described is never tried: no `presence`, no check of who is there."""

    path: Path
    subprotocols: tuple[str, ...] = ()
    query: dict[str, str] = Field(default_factory=dict)
    """Templates by which an address carries the {token}, where that is a way in."""
    since: str = ""
    """The query parameter that asks for what came after a message."""
    frames: Frames = Frames()
    hears: dict[str, Heard] = Field(default_factory=dict)
    parts: dict[str, dict[str, Where]] = Field(default_factory=dict)
    """Where the fields of a message, a member, the history and the presence stand, other than under our own names."""
    history: Route | None = None
    presence: Route | None = None
    consecutive: bool = True
    """Whether a room's numbers rise by one, so that a gap is a loss; they rise in any case."""
    newcomer: int = Field(default=50, ge=0)
    """The last messages that a newcomer is told."""
    page: int = Field(default=500, ge=1)
    """Messages that one replay, or one page of the history, holds at most."""
    duplicates: bool = False
    """Whether a message sent again with its client id stays one message, and its acknowledgement says so."""
    foreign: tuple[str, ...] = ()
    """Codes of the error that another person's token meets; none: any."""
    longest: int | None = Field(default=None, ge=1)
    """Characters that a message may have."""
    ping: Exchange | None = None
    expired: int | None = None
    """The code with which a connection ends whose token has expired."""
    plain: int | None = None
    """The status of a request for a room that is no upgrade."""
    refused: tuple[str, ...] = ()
    """Names of rooms that there are not, as they stand in an address."""
    flood: Flood | None = None
    bad: tuple[BadFrame, ...] = ()

    @model_validator(mode="after")
    def _names(self) -> Rooms:
        allow(names_in(self.path), ("room",), "path")
        allow(names_in(self.subprotocols), ("token",), "subprotocols")
        allow(names_in(self.query), ("token",), "query")
        allow_names(self.history, ("room", "since", "limit"), "history")
        allow_names(self.presence, ("room",), "presence")
        for kind, heard in self.hears.items():
            _known(f"hears.{kind}", kind, KINDS)
            for name in heard.fields:
                _known(f"hears.{kind}.fields.{name}", name, KINDS[kind])
            for name in PROMISED.get(kind, ()):
                if heard.fields.get(name, name) == "":
                    raise ValueError(
                        f"hears.{kind}.fields: without '{name}' nothing can be told about a room"
                    )
        for part, fields in self.parts.items():
            _known(f"parts.{part}", part, PARTS)
            for name in fields:
                _known(f"parts.{part}.{name}", name, PARTS[part])
        if self.hears and (lacking := [kind for kind in PROMISED if kind not in self.hears]):
            raise ValueError(f"hears says nothing of {', '.join(lacking)}; a room is judged by these")
        return self


def _known(path: str, name: str, known: object) -> None:
    if isinstance(known, dict | tuple) and name not in known:
        raise ValueError(f"{path}: '{name}' is not known; known are {', '.join(known)}")
