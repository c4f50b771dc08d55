"""`[rooms]`, `[content]`, `[telemetry]` and `[privacy]`: what the platform's own API does with further services."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from core.description.base import Path, Route, Section, Where, allow, allow_names, names_in


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
        return self


class Rooms(Section):
    """A room over WebSocket: its path, how the token is carried, what a member sends, and its history over HTTP."""

    path: Path
    subprotocols: tuple[str, ...] = ()
    query: dict[str, str] = Field(default_factory=dict)
    since: str = ""
    """The query parameter that asks for what came after a message."""
    frames: Frames = Frames()
    history: Route | None = None
    presence: Route | None = None

    @model_validator(mode="after")
    def _names(self) -> Rooms:
        allow(names_in(self.path), ("room",), "path")
        allow(names_in(self.subprotocols), ("token",), "subprotocols")
        allow(names_in(self.query), ("token",), "query")
        allow_names(self.history, ("room", "since", "limit"), "history")
        allow_names(self.presence, ("room",), "presence")
        return self


class Content(Section):
    """Pages of a content system: the route that renders one, where it tells the cache's part, and the webhook."""

    page: Route
    cache: str = ""
    """The header that says hit, miss or stale."""
    web: str = ""
    webhook: Path | None = None

    @model_validator(mode="after")
    def _names(self) -> Content:
        allow_names(self.page, ("path",), "page")
        return self


class Telemetry(Section):
    """Relays that the platform offers to the browser's SDKs, and its own analytics route."""

    sentry: Path | None = None
    datadog: Path | None = None
    mixpanel: Path | None = None
    track: Path | None = None


class Privacy(Section):
    """What the law asks for: everything about a person as one document, and its erasure."""

    export: Route | None = None
    erase: Route | None = None
    consent: Where = ""

    @model_validator(mode="after")
    def _names(self) -> Privacy:
        allow_names(self.export, (), "export")
        allow_names(self.erase, ("email",), "erase")
        return self
