"""A reverse proxy on loopback that spoils one answer in so many, so that a profile can be seen to notice.

    with Faulty(os.environ["PLATFORM_URL"], "lost", every=100) as proxy:
        run("rooms", PLATFORM_URL=proxy.url)
    assert proxy.altered

HTTP answers (200 or 201 with a body, path matching `paths`):
    altered    one letter or digit in the middle of the body is another one
    truncated  the body lacks its last tenth, and the length says so
    stranger   the body that somebody else (another bearer token) got for the same kind of address
    failed     500 in its place; refused: 429
Room messages, server to client (frames with "type":"message"):
    lost, duplicated, altered, swapped (comes after the one that follows)

Deterministic: of all answers (or messages) that could be spoilt, every `every`-th is. Requests are handed on from
the client's own loopback address, so that the server still counts people apart.
"""

from __future__ import annotations

import asyncio
import re
import struct
import threading
from collections import Counter
from collections.abc import Iterable
from types import TracebackType
from urllib.parse import urlsplit

HTTP = ("altered", "truncated", "stranger", "failed", "refused")
ROOMS = ("lost", "duplicated", "altered", "swapped")
_MOST = 256 * 1024
_BODILESS = (204, 304)
_MESSAGE = b'"type":"message"'
Head = tuple[bytes, dict[bytes, bytes], bytes]


class Faulty:
    """Stands before one origin; `url` is its own. `altered` counts what was spoilt, `seen` what could have been."""

    def __init__(
        self, upstream: str, kind: str, *, every: int = 100, paths: str = "", where: str = "", after: int = 0
    ) -> None:
        """`where` = "http" or "rooms" when the kind exists for both; `paths` is a regex searched in the path.

        The first `after` answers that could be spoilt are not: what a load makes before it begins is its truth.
        """
        parts = urlsplit(upstream)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self.kind, self.every, self._paths = kind, every, re.compile(paths.encode())
        self._after = after
        self.where = where or ("http" if kind in HTTP else "rooms")
        self.seen = self.altered = 0
        self.errors: Counter[str] = Counter()
        self._earlier: dict[bytes, tuple[bytes, bytes]] = {}
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Faulty:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def wait(self, seconds: float) -> None:
        """Lets the proxy go on for a moment."""
        threading.Event().wait(seconds)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._client, "127.0.0.1", 0, limit=1 << 20, backlog=4096)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._over.wait()
        server.close()
        everything = asyncio.all_tasks() - {asyncio.current_task()}
        for task in everything:
            task.cancel()
        await asyncio.gather(*everything, return_exceptions=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up: asyncio.StreamWriter | None = None
        try:
            address = (writer.get_extra_info("peername")[0], 0)
            server, up = await asyncio.open_connection(
                self._host, self._port, local_addr=address, limit=1 << 20
            )
            while await self._exchange(reader, writer, server, up):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError) as error:
            self.errors[type(error).__name__] += 1
        finally:
            for one in (writer, up):
                if one is not None:
                    one.close()

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        server: asyncio.StreamReader,
        up: asyncio.StreamWriter,
    ) -> bool:
        """One request and its answer; False when the connection is over."""
        asked, headers, _ = await _head(reader)
        method, path = asked.split(b" ")[:2]
        headers.pop(b"accept-encoding", None)
        headers.pop(b"sec-websocket-extensions", None)
        up.write(_joined(asked, headers))
        await _copy(reader, up, headers)
        while True:
            line, back, raw = await _head(server)
            status = int(line.split(b" ")[1])
            if status == 101:
                writer.write(raw)
                await self._frames(reader, writer, server, up)
                return False
            if status >= 200:
                break
            writer.write(raw)
        body = b"" if method == b"HEAD" or status in _BODILESS else await _body(server, back)
        if self.where == "http" and status in (200, 201, 206) and body and self._paths.search(path):
            line, body = self._alter(line, path, headers.get(b"authorization", b""), body)
        if method != b"HEAD" and status not in _BODILESS:
            back.pop(b"transfer-encoding", None)
            back[b"content-length"] = b"%d" % len(body)
        writer.write(_joined(line, back) + body)
        await writer.drain()
        return back.get(b"connection", b"").lower() != b"close"

    def _due(self) -> bool:
        self.seen += 1
        return self.seen > self._after and self.seen % self.every == 0

    def _alter(self, line: bytes, path: bytes, token: bytes, body: bytes) -> tuple[bytes, bytes]:
        if self.kind == "stranger":
            kind = re.sub(rb"[0-9a-f-]{36}", b"", path)
            whose, before = self._earlier.get(kind, (token, b""))
            self._earlier[kind] = (token, body)
            if whose == token or not before or not self._due():
                return line, body
            self.altered += 1
            return line, before
        if not self._due():
            return line, body
        self.altered += 1
        match self.kind:
            case "altered":
                return line, _altered(body)
            case "truncated":
                return line, body[: len(body) * 9 // 10]
            case "failed":
                return b"HTTP/1.1 500 Internal Server Error", b'{"error":{"code":"internal"}}'
        return b"HTTP/1.1 429 Too Many Requests", b'{"error":{"code":"rate_limited"}}'

    async def _frames(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        server: asyncio.StreamReader,
        up: asyncio.StreamWriter,
    ) -> None:
        async def upwards() -> None:
            while data := await reader.read(_MOST):
                up.write(data)
                await up.drain()
            up.close()

        async def downwards() -> None:
            held = b""
            while True:
                frame, payload = await _frame(server)
                for one in self._frames_sent(frame, payload):
                    if one is None:
                        held = frame
                    else:
                        writer.write(one)
                    if held and one is not None and _MESSAGE in payload[:40]:
                        writer.write(held)
                        held = b""
                await writer.drain()

        ways = [asyncio.ensure_future(upwards()), asyncio.ensure_future(downwards())]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    def _frames_sent(self, frame: bytes, payload: bytes) -> Iterable[bytes | None]:
        """The frames that take this one's place; None holds it back until after the next."""
        if self.where != "rooms" or _MESSAGE not in payload[:40] or not self._due():
            return (frame,)
        self.altered += 1
        match self.kind:
            case "lost":
                return ()
            case "duplicated":
                return (frame, frame)
            case "swapped":
                return (None,)
        begin = payload.rindex(b'"body":"') + 8
        end = payload.index(b'"', begin)
        said = payload[:begin] + _altered(payload[begin:end]) + payload[end:]
        return (frame[: -len(payload)] + said,)


def _altered(body: bytes) -> bytes:
    """One letter or digit changed, near the middle."""
    places = [m.start() for m in re.finditer(rb"[a-zA-Z0-9]", body[:65536])]
    at = places[len(places) // 2] if places else len(body) // 2
    return body[:at] + (b"8" if body[at : at + 1] == b"7" else b"7") + body[at + 1 :]


async def _head(reader: asyncio.StreamReader) -> Head:
    raw = await reader.readuntil(b"\r\n\r\n")
    line, *lines = raw[:-4].split(b"\r\n")
    found: dict[bytes, bytes] = {}
    for name, _, value in (one.partition(b":") for one in lines):
        found[name.lower()] = value.strip()
    return line, found, raw


def _joined(line: bytes, headers: dict[bytes, bytes]) -> bytes:
    return b"\r\n".join([line, *(b"%s: %s" % pair for pair in headers.items())]) + b"\r\n\r\n"


async def _copy(reader: asyncio.StreamReader, up: asyncio.StreamWriter, headers: dict[bytes, bytes]) -> None:
    left = int(headers.get(b"content-length", 0))
    while left:
        data = await reader.read(min(left, _MOST))
        if not data:
            raise asyncio.IncompleteReadError(b"", left)
        left -= len(data)
        up.write(data)
        await up.drain()


async def _body(server: asyncio.StreamReader, headers: dict[bytes, bytes]) -> bytes:
    if b"chunked" in headers.get(b"transfer-encoding", b""):
        whole = b""
        while size := int((await server.readuntil(b"\r\n")).split(b";")[0], 16):
            whole += (await server.readexactly(size + 2))[:-2]
        await server.readuntil(b"\r\n")
        return whole
    if b"content-length" in headers:
        return await server.readexactly(int(headers[b"content-length"]))
    headers[b"connection"] = b"close"
    return await server.read()


async def _frame(server: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """(the whole frame, its payload); servers do not mask."""
    head = await server.readexactly(2)
    size = head[1] & 127
    if size > 125:
        more = await server.readexactly(2 if size == 126 else 8)
        head += more
        (size,) = struct.unpack("!H" if size == 126 else "!Q", more)
    payload = await server.readexactly(size)
    return head + payload, payload
