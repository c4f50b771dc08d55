"""Requests and responses over raw ASGI: no framework stands between a wire and its bytes."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Handler = Callable[..., Awaitable[Any]]

JSON = "application/json; charset=utf-8"
MAX_BODY = 20 * 1024 * 1024


class HttpError(Exception):
    """An answer that is an error: raised anywhere, sent by the application as JSON ``body``."""

    def __init__(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status} {body}")
        self.status, self.body, self.headers = status, body, headers or {}


class ClientGone(Exception):
    """The client disconnected before its request was wholly read: nothing may be kept of it."""


@dataclass(slots=True)
class Response:
    """An answer. ``body`` is bytes, or an asynchronous iterator of chunks for what is streamed."""

    status: int = 200
    body: bytes | AsyncIterator[bytes] = b""
    headers: dict[str, str] = field(default_factory=dict)


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """``value`` as compact JSON."""
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str).encode()
    return Response(status, body, {"content-type": JSON, **(headers or {})})


class Request:
    """One HTTP request; header names are lower case, ``path`` is decoded, ``query`` is not."""

    __slots__ = ("_body", "_receive", "headers", "ip", "method", "path", "port", "query", "raw_path")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.raw_path: str = scope["raw_path"].decode("latin1")
        self.query: str = scope["query_string"].decode("latin1")
        self.headers: dict[str, str] = {k.decode("latin1"): v.decode("latin1") for k, v in scope["headers"]}
        self.ip: str = scope["client"][0] if scope.get("client") else "127.0.0.1"
        self.port: int = scope["server"][1]
        self._receive = receive
        self._body: bytes | None = None

    @property
    def bearer(self) -> str:
        """The token in ``Authorization``, or nothing."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    async def json(self) -> Any:
        """The JSON value in the body, {} for none. Raises ValueError."""
        try:
            return json.loads(await self.body() or b"{}")
        except RecursionError as error:
            raise ValueError("nested too deeply") from error

    async def stream(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises ClientGone if the client leaves first."""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            if chunk := message.get("body", b""):
                yield chunk
            if not message.get("more_body"):
                return

    async def body(self, limit: int = MAX_BODY) -> bytes:
        """The whole body. Raises HttpError 413 beyond ``limit`` bytes."""
        if self._body is None:
            chunks, size = [], 0
            async for chunk in self.stream():
                size += len(chunk)
                if size > limit:
                    raise HttpError(413, {"message": f"Payload too large: the limit is {limit} bytes"})
                chunks.append(chunk)
            self._body = b"".join(chunks)
        return self._body

    def params(self) -> list[tuple[str, str]]:
        """The query string's pairs in order, decoded, blanks kept. Raises HttpError 400 if it is not UTF-8."""
        try:
            return parse_qsl(self.query, keep_blank_values=True, errors="strict", max_num_fields=1000)
        except ValueError as error:
            raise HttpError(400, {"message": f"Malformed query string: {error}"}) from error


class Routes:
    """Handlers by ``METHOD|METHOD path``, the first that fits being taken.

    A path is a regular expression, but for ``*``, which is one part, and ``**``, the rest: both are given to the handler.
    """

    def __init__(self, table: dict[str, Handler]) -> None:
        self._table: list[tuple[list[str], re.Pattern[str], Handler]] = []
        for key, handler in table.items():
            methods, path = key.split()
            pattern = path.replace("**", "(.+)").replace("*", "([^/]+)")
            self._table.append((methods.split("|"), re.compile(pattern, re.S), handler))

    def find(self, method: str, path: str) -> tuple[Handler | None, tuple[str, ...], bool]:
        """The handler with the parts of ``path`` that it is given, and whether any method is known for that path."""
        known = False
        for methods, pattern, handler in self._table:
            if matched := pattern.fullmatch(path):
                known = True
                if method in methods:
                    return handler, matched.groups(), True
        return None, (), known


async def respond(send: Send, response: Response, head: bool = False) -> None:
    """Send ``response``; for a HEAD request only its headers."""
    headers = [(k.encode("latin1"), v.encode("latin1", "replace")) for k, v in response.headers.items()]
    body = response.body
    if isinstance(body, bytes):
        if response.status not in (204, 304) and b"content-length" not in dict(headers):
            headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if head else body})
        return
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if not head:
        async for chunk in body:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
