"""`[content]`, `[telemetry]` and `[privacy]`: what the platform's own API does with further services."""

from __future__ import annotations

from pydantic import model_validator

from core.description.base import Path, Route, Section, Where, allow_names


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
