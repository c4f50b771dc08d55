"""Recorders before every address of a live target: whatever a command sends to any of its services is seen here.

A recorder either answers by itself, so that no stack is needed, or passes everything on to the real address. Ports have
five digits as the embedded stack's do, so that a real address can be replaced by its recorder's in what goes by.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from core.permit import Action

_HEAD = re.compile(rb"([A-Z]{3,7}) (\S+) HTTP/1\.1\r\n((?:[^\r\n]+\r\n)*)\r\n")
_ADMIN = re.compile(r"/auth/v1/admin(/|\?|$)")
_READING_POSTS = re.compile(
    r"/storage/v1/object/list/[^/]+|.*:run(Realtime)?Report|.*/debug/mp/collect|.*/api/v2/rum/(events/search|analytics/aggregate)"
)
"""Written here by hand, apart from `core.reading`: what the documentation calls a search, a list or a report."""
LOADS = "x-assay-run"
"""Header of every request that the load generator sends."""
Answering = Callable[["Request"], bytes]


@dataclass(frozen=True)
class Request:
    """What came: an HTTP request, or as `method` TLS (a handshake) or SQL (PostgreSQL's start; `path` its statement)."""

    method: str
    path: str
    headers: str = ""

    @property
    def host(self) -> str:
        """Of its Host header."""
        found = re.search(r"(?m)^host: *(\S+)", self.headers)
        return found[1] if found else ""

    @property
    def actions(self) -> set[Action]:
        """The permits that it needs."""
        return {self._of_method, *([Action.LOAD] if LOADS in self.headers else [])}

    @property
    def _of_method(self) -> Action:
        path = self.path.partition("?")[0]
        if self.method == "SQL":
            return Action.READ
        if re.search(r"(?m)^upgrade: *websocket", self.headers):
            return Action.WRITE
        if self.method in ("GET", "HEAD", "OPTIONS"):
            return Action.READ
        if self.method == "POST" and _READING_POSTS.fullmatch(path):
            return Action.READ
        return Action.ADMIN if _ADMIN.search(self.path) else Action.WRITE


def nothing_here(request: Request) -> bytes:
    """A refusal that every service may give."""
    return http_answer(404, b'{"code":"not_found","message":"nothing here"}')


def http_answer(status: int, body: bytes, *fields: str, kind: str = "application/json") -> bytes:
    """One whole answer, after which the connection ends."""
    head = [f"HTTP/1.1 {status} Made", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join([*head, "Connection: close", "", ""]).encode() + body


class Recorder:
    """One listener. Without `origin` it answers by itself."""

    def __init__(self, answering: Answering, origin: str = "", swap: Mapping[bytes, bytes] | None = None):
        parts = urlsplit(origin)
        self._to = (parts.hostname, parts.port or 80) if origin else None
        self._answering = answering
        self._swap = swap if swap is not None else {}
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self.requests: list[Request] = []
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Takes no further connection."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            if self._to is None:
                self._answer(client)
                return
            with socket.create_connection(self._to, timeout=30) as server:
                server.settimeout(None)
                back = threading.Thread(target=self._pass, args=(server, client, None), daemon=True)
                back.start()
                self._pass(client, server, _Heads(self.requests))
                back.join()

    def _answer(self, client: socket.socket) -> None:
        heads, seen = _Heads(self.requests), len(self.requests)
        client.settimeout(10)
        while data := client.recv(65536):
            heads.take(data)
            if new := heads.last:
                client.sendall(self._answering(new))
                client.shutdown(socket.SHUT_WR)
                while client.recv(
                    65536
                ):  # a body, which would else reset the connection before the answer is read
                    pass
                return
            if len(self.requests) > seen:  # TLS or SQL: no answer
                return

    def _pass(self, one: socket.socket, other: socket.socket, heads: _Heads | None) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                if heads is not None:
                    heads.take(data)
                    data = data.replace(b"Accept-Encoding:", b"Accept-Xncoding:")
                    data = data.replace(b"accept-encoding:", b"accept-xncoding:")
                for ours, real in self._swap.items():
                    data = data.replace(ours, real) if heads is not None else data.replace(real, ours)
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class _Heads:
    """Finds requests in what one connection sends."""

    def __init__(self, requests: list[Request]) -> None:
        self._requests = requests
        self._kept = bytearray()
        self._began = False
        self.last: Request | None = None

    def take(self, data: bytes) -> None:
        if not self._began:
            self._began = True
            if data[:2] == b"\x16\x03":
                self._requests.append(Request("TLS", ""))
            elif data[4:8] in (b"\x04\xd2\x16\x2f", b"\0\x03\0\0"):
                self._requests.append(Request("SQL", ""))
        self._kept.extend(data)
        end = 0
        for head in _HEAD.finditer(bytes(self._kept)):
            method, path, headers = (part.decode("latin-1") for part in head.groups())
            self.last = Request(method, path, headers.lower())
            self._requests.append(self.last)
            end = head.end()
        del self._kept[: max(end, len(self._kept) - 20_000)]


class Recorders:
    """A recorder before each origin among a target's variables; `variables` name the recorders instead."""

    def __init__(
        self, variables: Mapping[str, str], *, passing: bool = False, answering: Answering = nothing_here
    ) -> None:
        origins = {_origin(value) for value in variables.values() if _origin(value)}
        swap: dict[bytes, bytes] = {}
        self.of: dict[str, Recorder] = {}
        for origin in sorted(origins):
            signed = _origin(variables.get("R2_ENDPOINT", "")) == origin
            own = {} if signed else swap  # an S3 signature is of its host's name
            self.of[origin] = recorder = Recorder(
                lambda request: self.answering(request), f"http://{origin}" if passing else "", own
            )
            if passing and len(str(recorder.port)) == len(origin.rpartition(":")[2]):
                port = origin.rpartition(":")[2]
                for colon in (":", "%3A"):
                    swap[f"127.0.0.1{colon}{recorder.port}".encode()] = f"127.0.0.1{colon}{port}".encode()
        self.answering = answering
        self.variables = {
            name: value.replace(origin, f"127.0.0.1:{self.of[origin].port}")
            if (origin := _origin(value))
            else value
            for name, value in variables.items()
        }

    def requests(self) -> Iterator[Request]:
        """Everything that came to any of them."""
        for recorder in self.of.values():
            yield from list(recorder.requests)

    @property
    def connections(self) -> int:
        """To all of them, since the beginning."""
        return sum(recorder.connections for recorder in self.of.values())

    def forget(self) -> None:
        """Forgets what came so far."""
        for recorder in self.of.values():
            recorder.requests.clear()

    def close(self) -> None:
        """Ends them all."""
        for recorder in self.of.values():
            recorder.close()


def _origin(value: str) -> str:
    """`host:port` of a variable that is an address on this machine, else ''."""
    parts = urlsplit(value) if "://" in value else urlsplit("")
    return f"{parts.hostname}:{parts.port}" if parts.port and parts.hostname == "127.0.0.1" else ""
