"""The proxy that stands before one service and answers by one mutation."""

from __future__ import annotations

import http.client
import random
import re
import socket
import threading
import time
from contextlib import suppress
from urllib.parse import urlsplit

from bench.hostile.answer import Answer, Mutate

PATIENCE = 60.0
_LARGEST_HEAD = 256 * 1024


class HostileProxy:
    """Listens on a port of its own before `origin`; answers to paths that match `paths` are mutated.

    Everything else is passed on as bytes, WebSockets included. `mutated` counts the answers that went out changed.
    """

    def __init__(self, origin: str, mutate: Mutate, *, paths: str = "", seed: int = 0) -> None:
        parts = urlsplit(origin)
        self._to = (parts.hostname or "", parts.port or 80)
        self._mutate, self._paths, self._seed = mutate, re.compile(paths), seed
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = origin.replace(parts.netloc, f"127.0.0.1:{self._listener.getsockname()[1]}", 1)
        self.mutated = 0
        self._earlier = b""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError, ValueError, http.client.HTTPException):
            client.settimeout(PATIENCE)
            while self._one(client):
                pass

    def _one(self, client: socket.socket) -> bool:
        """One request and its answer; whether the connection goes on."""
        head = _until_blank_line(client)
        if not head:
            return False
        line, _, fields = head.decode("latin-1").partition("\r\n")
        method, path, _ = line.split(" ", 2)
        headers = [
            (name, value.strip())
            for name, _, value in (f.partition(":") for f in fields.split("\r\n"))
            if name
        ]
        named = {name.lower(): value for name, value in headers}
        if "upgrade" in named.get("connection", "").lower():
            self._tunnel(client, head, mutate=bool(self._paths.search(path)))
            return False
        body = _body_of(client, named)
        answer = self._ask(method, path, headers, body)
        if not self._paths.search(path):
            length = next((int(v) for k, v in answer.headers if k.lower() == "content-length"), 0)
            client.sendall(answer.head(length if method == "HEAD" else len(answer.body)) + answer.body)
            return False
        self.mutated += 1
        for part in self._mutate(answer):
            if isinstance(part, bytes):
                client.sendall(part)
            elif not _wait(client, part):
                break
        self._earlier = answer.body
        return False

    def _ask(self, method: str, path: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        upstream = http.client.HTTPConnection(*self._to, timeout=PATIENCE)
        try:
            upstream.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                if name.lower() not in ("connection", "expect", "transfer-encoding", "content-length"):
                    upstream.putheader(name, "identity" if name.lower() == "accept-encoding" else value)
            if body or method in ("POST", "PUT", "PATCH"):
                upstream.putheader("Content-Length", str(len(body)))
            upstream.endheaders(body or None)
            got = upstream.getresponse()
            return Answer(
                got.status,
                got.reason,
                tuple(got.getheaders()),
                got.read(),
                method,
                self._seed,
                self._earlier,
                random.Random(self._seed + self.mutated),
            )
        finally:
            upstream.close()

    def _tunnel(self, client: socket.socket, head: bytes, *, mutate: bool) -> None:
        """Passes a WebSocket on; a mutated one is answered in the place of the server's first words."""
        if mutate:
            self.mutated += 1
            accepted = Answer(101, "Switching Protocols", (("Upgrade", "websocket"),), b'{"type":"hello"}')
            for part in self._mutate(accepted):
                if isinstance(part, bytes):
                    client.sendall(part)
                elif not _wait(client, part):
                    break
            return
        with socket.create_connection(self._to, timeout=PATIENCE) as server:
            server.sendall(head + b"\r\n")
            server.settimeout(None)
            client.settimeout(None)
            back = threading.Thread(target=_pass, args=(server, client), daemon=True)
            back.start()
            _pass(client, server)
            back.join()

    def close(self) -> None:
        """Takes no further connection."""
        self._listener.close()


def _until_blank_line(client: socket.socket) -> bytes:
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        byte = client.recv(1)
        if not byte or len(head) > _LARGEST_HEAD:
            return b""
        head += byte
    return bytes(head[:-2])


def _exactly(client: socket.socket, length: int) -> bytes:
    body = bytearray()
    while len(body) < length:
        more = client.recv(min(65536, length - len(body)))
        if not more:
            break
        body += more
    return bytes(body)


def _body_of(client: socket.socket, named: dict[str, str]) -> bytes:
    if "100-continue" in named.get("expect", "").lower():
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    if "chunked" not in named.get("transfer-encoding", ""):
        return _exactly(client, int(named.get("content-length", 0)))
    body = b""
    while size := int(_line(client).split(b";")[0], 16):
        body += _exactly(client, size)
        _line(client)
    while _line(client):
        pass
    return body


def _line(client: socket.socket) -> bytes:
    line = bytearray()
    while not line.endswith(b"\r\n"):
        byte = client.recv(1)
        if not byte:
            break
        line += byte
    return bytes(line).strip()


def _wait(client: socket.socket, seconds: float) -> bool:
    """Keeps silent for so long; False as soon as the client is gone."""
    end = time.monotonic() + seconds
    client.settimeout(0.2)
    try:
        while (left := end - time.monotonic()) > 0:
            client.settimeout(min(0.2, left))
            try:
                if not client.recv(65536):
                    return False
            except TimeoutError:
                continue
    finally:
        client.settimeout(PATIENCE)
    return True


def _pass(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
    for end in (one, other):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
