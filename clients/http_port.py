"""The checks' adapter of `core.port`: one guarded client, one named service, every answer timed."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx

from clients import http
from clients.strict_json import read_json, strict_json
from core import reached
from core.clock import now_ns
from core.errors import AssayError, Missed, ServiceError
from core.permit import Permit
from core.secret import Redactor, named_secrets

_TOKENS = Redactor()  # knows no secret of a target, but what tokens look like
ANY_5XX = frozenset(range(500, 600))
PROMISED = frozenset({"platform", "rooms", "supabase.auth", "supabase.database", "supabase.storage"})
"""Services whose answers the platform's contract promises: a field that is missing there is a missed expectation."""
LARGE = 64 * 1024
"""Bytes of a body that a server may refuse without reading it, and then end the connection on which it came."""


@dataclass(frozen=True)
class WireAnswer:
    """One whole answer, with what was asked (for messages) and by whom it was given."""

    service: str
    asked: str
    status: int
    headers: httpx.Headers
    content: bytes
    intended: int
    sent: int
    done: int
    demanded: bool = False
    """Whether this answer only prepares or reads back: what it lacks is broken then, not missed."""

    @property
    def text(self) -> str:
        """The body as text, bad bytes replaced."""
        return self.content.decode("utf-8", "replace")

    def json(self, kind: type | tuple[type, ...] = (dict, list)) -> Any:
        """The body as JSON of the kind that is due; ServiceError, naming the service, when it is not.

        A field or an entry that is asked of it and not there is a missed expectation where the platform
        promises it, and else a ServiceError.
        """
        try:
            value = read_json(self.content)
        except ValueError:
            raise self._on_missing("JSON") from None
        if not isinstance(value, kind):
            raise self._on_missing(f"JSON of its kind (this is a {type(value).__name__})")
        return strict_json(value, self._on_missing)

    def _on_missing(self, what: str) -> AssayError:
        if self.demanded or self.service not in PROMISED:
            return ServiceError(self.service, f"{self.asked} answers without {what}: {self.said()}")
        return Missed(
            f"{self.asked} answers with all that it promises",
            expected=what,
            saw=self.said(),
            service=self.service,
        )

    @property
    def code(self) -> str:
        """The error code that the body names, in any of the platform's dialects; empty when there is none."""
        value = self._refusal
        return str(value.get("error_code") or value.get("code") or "")

    @property
    def details(self) -> dict[str, Any]:
        """What the platform adds to an error's code; empty when there is nothing."""
        found = self._refusal.get("details")
        return found if isinstance(found, dict) else {}

    @property
    def _refusal(self) -> dict[str, Any]:
        try:
            value = read_json(self.content)
        except ValueError:
            return {}
        if not isinstance(value, dict):
            return {}
        inner = value.get("error")
        return inner if isinstance(inner, dict) else value

    def said(self) -> str:
        """Status and the start of the body, tokens masked, for a message."""
        return f"{self.status} {_TOKENS.text(self.text[:20_000])[:200]}".strip()

    def expect(self, *statuses: int, claim: str) -> WireAnswer:
        """Raises Missed with `claim` unless the status is one of these; returns itself."""
        reached.note()
        if self.status not in statuses:
            wanted = " or ".join(map(str, statuses))
            raise Missed(
                claim, expected=f"{self.asked} answers {wanted}", saw=self.said(), service=self.service
            )
        return self

    def demand(self, *statuses: int) -> WireAnswer:
        """Raises ServiceError unless the status is one of these: for calls that only prepare or read back."""
        if self.status not in statuses:
            raise ServiceError(self.service, f"{self.asked} answers {self.said()}, not {statuses}")
        return replace(self, demanded=True)


class HttpPort:
    """`core.port.Port` over a guarded httpx client.

    `base` is put before addresses that begin with a slash; `headers` go with each request. `allow` are
    5xx and 3xx codes that this service may answer by its own contract. What an answer's JSON calls a token or signs
    (links that are secrets themselves) becomes known to `redactor`.
    """

    def __init__(
        self,
        service: str,
        permit: Permit,
        *,
        base: str = "",
        headers: Mapping[str, str] | None = None,
        allow: Collection[int] = (),
        source: str | None = None,
        timeout: httpx.Timeout = http.TIMEOUT,
        client: httpx.Client | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        self.service = service
        self._redactor = redactor
        self.base = base.rstrip("/")
        self._headers = dict(headers or {})
        self._allow = frozenset(allow)
        self.client = client or http.client(service, permit, source=source, timeout=timeout)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        params: Mapping[str, Any] | None = None,
        allow: Collection[int] = (),
    ) -> WireAnswer:
        """Sends one request. A `body` that is no bytes (nor an iterator of them) is sent as JSON."""
        address = self.base + url if url.startswith("/") else url
        sent_headers = {**self._headers, **(headers or {})}
        content = body
        if body is not None and isinstance(body, dict | list | str | int | bool):
            content = json.dumps(body).encode()
            sent_headers.setdefault("Content-Type", "application/json")
        if isinstance(content, bytes) and len(content) > LARGE:
            sent_headers.setdefault("Connection", "close")  # nobody else is sent on a connection that may end
        request = self.client.build_request(
            method,
            address,
            headers=sent_headers,
            content=content,
            params=params,
            extensions={http.ALLOW: self._allow | frozenset(allow), "timeout": self.client.timeout.as_dict()},
        )
        start = now_ns()
        try:
            response = self.client.send(request)
        except httpx.HTTPError as error:  # what httpx itself finds wrong, e.g. a broken Content-Encoding
            raise ServiceError(
                self.service, f"{method} {request.url.path} failed: {type(error).__name__}: {error}"
            ) from error
        if self._redactor and "json" in response.headers.get("content-type", ""):
            self._redactor.learn(named_secrets(response.content[:LARGE].decode("utf-8", "replace")))
        return WireAnswer(
            service=self.service,
            asked=f"{method} {request.url.path}",
            status=response.status_code,
            headers=response.headers,
            content=response.content,
            intended=start,
            sent=start,
            done=now_ns(),
        )

    def close(self) -> None:
        """Closes the client's connections."""
        self.client.close()
