"""The lean adapter of the narrow port (`core/port.py`): every request over the load client becomes a sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit

from loadengine.context import LoadContext
from loadengine.measure.measure import Measure
from loadengine.net.http1 import Expect, HttpClient, PreparedRequest, StreamedBody
from loadengine.net.response import Response

_CACHED = 256


class RequestSender(Protocol):
    """A user with connections of its own."""

    @property
    def engine(self) -> LoadContext:
        """The process that it is part of."""

    def client(self, origin: str) -> HttpClient:
        """Its connections to an origin."""


class LeanPort:
    """Sends a journey's requests over one user's connections and counts them for one measure.

    Without `measure` each request counts as `http` under its path. `expect` judges each answer before it is
    recorded. What is asked for often (same method, address and headers) is serialised once.
    """

    def __init__(
        self, user: RequestSender, measure: Measure | None = None, expect: Expect | None = None
    ) -> None:
        self._user = user
        self._measure = measure
        self._expect = expect
        if measure:
            user.engine.recorder.new_series(measure.metric, **measure.labels)  # declared: its absence is told
        self._prepared: dict[tuple[object, ...], PreparedRequest] = {}

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | StreamedBody | None = None,
    ) -> Response:
        """Sends one request; never raises for what the server does (status 0: see `Response.error`)."""
        key = (method, url, tuple(headers.items()) if headers else None, body is None)
        parts = urlsplit(url)
        client = self._user.client(f"{parts.scheme}://{parts.netloc}")
        request = self._prepared.get(key)
        if request is None:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            request = client.prepare(
                method, path, headers=headers, has_body=None if body is None else True, measure=self._measure
            )
            if len(self._prepared) >= _CACHED:
                self._prepared.clear()
            self._prepared[key] = request
        return client.fetch(request, body, self._expect)
