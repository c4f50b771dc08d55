"""The narrow port on which a journey speaks HTTP, so that pytest and Locust run the same journey.

Checks hand a journey an adapter over the guarded client, load hands it the lean client; a contract test
holds both to the same wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Answer(Protocol):
    """What came back for one request. Times are monotonic nanoseconds; header names are lower-case."""

    @property
    def status(self) -> int:
        """The status code; 0 when no whole answer came and the adapter records that instead of raising."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers by lower-case name."""

    @property
    def content(self) -> bytes:
        """The body, decoded from its Content-Encoding."""

    @property
    def text(self) -> str:
        """The body as text."""

    @property
    def intended(self) -> int:
        """When the request was meant to be sent."""

    @property
    def sent(self) -> int:
        """When its first byte was sent."""

    @property
    def done(self) -> int:
        """When the answer's last byte had come."""

    def json(self) -> Any:
        """The body as JSON; raises when it is none."""


class Port(Protocol):
    """Sends one request and waits for its whole answer."""

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """`url` is absolute. Redirects are not followed."""
