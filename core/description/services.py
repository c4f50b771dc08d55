"""`[content]`, `[telemetry]` and `[privacy]`: what the platform's own API does with further services."""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from core.description.base import Path, Route, Section, allow, allow_names, names_in


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


class Relays(Section):
    """Addresses at which the platform takes what the browser's SDKs send, and passes it on."""

    sentry: Path | None = None
    datadog: Path | None = None
    mixpanel: Path | None = None


class Telemetry(Section):
    """The platform's relays, and its own analytics route."""

    relay: Relays = Relays()
    track: Path | None = None


class Consent(Section):
    """A person's consent to analytics: the database function that keeps it, and its arguments; may use {given}."""

    rpc: str
    body: dict[str, Any]

    @model_validator(mode="after")
    def _names(self) -> Consent:
        allow(names_in(self.body), ("given",), "body")
        return self


class Privacy(Section):
    """What the law asks for: everything about a person as one document, and its erasure."""

    export: Route | None = None
    erase: Route | None = None
    consent: Consent | None = None

    @model_validator(mode="after")
    def _names(self) -> Privacy:
        allow_names(self.export, (), "export")
        allow_names(self.erase, ("email",), "erase")
        return self
