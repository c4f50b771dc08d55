"""WebSockets by the thousand in one process: no greenlet, no thread and no task a socket.

A socket is a `TcpConnection` whose handler cuts frames and calls `on_message` straight from the reactor, in the hub;
sending is one system call. Measured against the alternatives inside Locust (`bench/load_sockets.py`, round trips
per CPU-second): picows on uvloop in a native thread is as fast (most of a round trip is the kernel's), but needs
29 kB a connection where this needs 4, and its thread takes turns with Locust's for the interpreter lock;
asyncio's `websockets` there and `websocket-client` with a greenlet each are a third to a quarter as fast. This
one also keeps callbacks in the hub, where profiles may use everything of Locust and gevent without locks.
"""

from __future__ import annotations

import base64
import hashlib
import os
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from greenlet import getcurrent

from core.errors import ConfigError
from loadengine.context import LoadContext
from loadengine.net.frames import (
    ABNORMAL,
    BINARY,
    CLOSE,
    NO_STATUS,
    NORMAL,
    PING,
    PONG,
    TEXT,
    TEXT_HEADS,
    BadFrame,
    Decoder,
    encode,
    mask,
    new_key,
    text_head,
)
from loadengine.net.reactor import READ, TIMED_OUT, WRITE
from loadengine.net.response import Response
from loadengine.net.send_buffer import BufferedTcpConnection
from loadengine.net.tcp import CLOSED_EARLY, RECEIVE, NoAnswer, cause_of

_now = time.monotonic_ns
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_LONGEST_HEAD = 65536
_SHORT, _LONGER = 470, 4096
"""Bytes asked for at a time: the first fits into Python's own small blocks and is cheaper; the second once that was
not enough for a message."""
_WHOLE_TEXT, _WHOLE_BINARY = 0x80 | TEXT, 0x80 | BINARY
ENDED = "the server closed the connection without a close frame"
_read, _write = os.read, os.write


class HandshakeRefused(NoAnswer):
    """The server answered the handshake with something else than 101; `response` is what it said."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"the WebSocket handshake was answered {response.status}")
        self.response = response


class WebSocket(BufferedTcpConnection):
    """One open connection. Callbacks run in the hub and must not block.

    `on_message(payload)` gets each whole message as bytes; `on_close(code, reason)` is called once, with
    1006 when the connection broke. Until they are set, messages wait in `inbox`. Pings are answered.
    """

    __slots__ = (
        "_alone", "_closing", "_decoder", "_head", "_key", "_room", "_size",
        "inbox", "on_close", "on_message", "protocol",
    )  # fmt: skip

    def __init__(
        self,
        engine: LoadContext,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        protocols: Sequence[str] = (),
        source: str | None = None,
        timeout: float = 30.0,
    ) -> None:
        """Connects and shakes hands. Raises Refused, NoAnswer."""
        parts = urlsplit(url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise ConfigError(f"{url!r} is no WebSocket address; write it like wss://host/path.")
        deadline = _now() + int(timeout * 1e9)
        super().__init__(engine.reactor, engine.endpoint(parts, source, None), deadline)
        self._decoder = Decoder()
        self._alone = self.plain
        """Plain and nothing half read: what is read may be looked at on its own."""
        self._room = _SHORT
        self._key = new_key()
        self._size, self._head = 0, text_head(0) + self._key
        """What a text of this size starts with: that of the last one, most often that of the next too."""
        self.unsent = b""
        self._closing = False
        self.protocol = ""
        self.inbox: list[bytes] = []
        self.on_message: Callable[[bytes], Any] = self.inbox.append
        self.on_close: Callable[[int, str], Any] | None = None
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            rest = self._shake_hands(
                engine, parts.netloc.rpartition("@")[2], target, headers or {}, protocols, deadline
            )
        except NoAnswer:
            self.close_now()
            raise
        except OSError as error:
            self.close_now()
            raise NoAnswer(cause_of(error, "opening a WebSocket")) from error
        except BaseException:
            self.close_now()
            raise
        self.reactor.deadlines[self.fd] = 0
        self.reactor.handlers[self.fd] = self._ready
        if rest:
            self._take(rest)

    # -- use -----------------------------------------------------------------------------------------------

    def say(self, message: bytes | str) -> None:
        """Sends one message, text for str; never waits. Quiet once the connection is closed."""
        if isinstance(message, str):
            self._write(encode(TEXT, message.encode(), self._key))
        else:
            self._write(encode(BINARY, message, self._key))

    def say_text(self, payload: bytes) -> None:
        """Sends UTF-8 bytes as one text message: the hot path."""
        size = len(payload)
        if size != self._size:
            self._size, self._head = size, (TEXT_HEADS.get(size) or text_head(size)) + self._key
        data = self._head + mask(payload, self._key)
        if self.unsent or not self.plain or self.fd < 0:
            self._write(data)
            return
        try:
            sent = _write(self.fd, data)
        except OSError:
            self._write(data)  # waits, or says what is wrong
            return
        if sent != len(data):
            self.keep(data[sent:])

    def ping(self, payload: bytes = b"") -> None:
        """Sends a ping."""
        self._write(encode(PING, payload, self._key))

    def hang_up(self, code: int = NORMAL) -> None:
        """Closes politely; the server's answer ends the connection."""
        if self.reusable and not self._closing:
            self._closing = True
            self._write(encode(CLOSE, struct.pack("!H", code), self._key))

    def close_now(self) -> None:
        """Closes without a word, as a lost network does; `on_close` is not called."""
        self.on_close = None
        self.close()

    @property
    def open(self) -> bool:
        """True until either side closed."""
        return self.fd >= 0 and not self._closing

    # -- in the hub ----------------------------------------------------------------------------------------

    def _ready(self, events: int) -> None:
        """Reads once; most often that is one whole short message and nothing else, which needs no decoder."""
        if events != READ or not self._alone:
            self._ready_for_more(events)
            return
        try:
            data = _read(self.fd, self._room)
        except BlockingIOError:
            return
        except OSError as error:
            self._ended(ABNORMAL, cause_of(error, "reading"))
            return
        size = len(data)
        if size > 3 and (data[0] == _WHOLE_TEXT or data[0] == _WHOLE_BINARY):
            length = data[1]
            if length == 126:
                if (data[2] << 8) + data[3] + 4 == size:
                    take = self.on_message
                    take(data[4:])
                    return
            elif length + 2 == size:
                take = self.on_message
                take(data[2:])
                return
        if size:
            if size == self._room:
                self._room = _LONGER
            self._take(data)
        else:
            self._ended(ABNORMAL, ENDED)

    def _ready_for_more(self, events: int) -> None:
        """Any event: room to write, TLS, a message in pieces."""
        if events & WRITE:
            try:
                self.writable()
            except OSError as error:
                self._ended(ABNORMAL, cause_of(error, "sending"))
            if events == WRITE:
                return
        more = True
        while more and self.fd >= 0:
            try:
                data = self.receive(RECEIVE)
            except BlockingIOError:
                return
            except OSError as error:
                self._ended(ABNORMAL, cause_of(error, "reading"))
                return
            if not data:
                self._ended(ABNORMAL, ENDED)
                return
            self._take(data)
            more = self.tls is not None and self.tls.more

    def _take(self, data: bytes) -> None:
        try:
            found = self._decoder.feed(data)
            self._alone = self.plain and self._decoder.between
            for opcode, payload in found:
                if opcode <= BINARY:
                    self.on_message(payload)
                elif opcode == PING:
                    self._write(encode(PONG, payload, self._key))
                elif opcode == CLOSE:
                    self._closed_by_server(payload)
                    return
        except BadFrame as error:
            self._write(encode(CLOSE, struct.pack("!H", error.code), self._key))
            self._ended(error.code, f"the server sent {error}")

    def _closed_by_server(self, payload: bytes) -> None:
        code = struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else NO_STATUS
        if not self._closing:
            self._closing = True
            self._write(encode(CLOSE, payload[:2], self._key))
        self._ended(code, payload[2:].decode("utf-8", "replace"))

    def _write(self, data: bytes) -> None:
        try:
            self.write(data)
        except OSError as error:
            self._ended(ABNORMAL, cause_of(error, "sending"))

    def _ended(self, code: int, reason: str) -> None:
        if self.fd < 0:
            return
        self.close()
        if self.on_close is not None:
            on_close, self.on_close = self.on_close, None
            on_close(code, reason)

    # -- the handshake -------------------------------------------------------------------------------------

    def _shake_hands(
        self,
        engine: LoadContext,
        host: str,
        target: str,
        headers: Mapping[str, str],
        protocols: Sequence[str],
        deadline: int,
    ) -> bytes:
        """Asks for the upgrade; returns what came after the head. Raises NoAnswer, Refused, OSError."""
        nonce = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {target} HTTP/1.1", f"host: {host}", "upgrade: websocket", "connection: Upgrade"]
        lines += [f"sec-websocket-key: {nonce}", "sec-websocket-version: 13"]
        lines += [f"sec-websocket-protocol: {', '.join(protocols)}"] if protocols else []
        lines += [f"{name}: {value}" for name, value in headers.items()]
        tracer = engine.tracer
        tracer.number = number = tracer.number + 1
        sent = _now()
        head = ("\r\n".join(lines) + "\r\n").encode("latin-1") + tracer.lines % (number, number) + b"\r\n"
        if self.send(head) != len(head):
            raise NoAnswer("the WebSocket handshake could not be sent")
        self.reactor.handlers[self.fd] = getcurrent().switch
        self.reactor.deadlines[self.fd] = deadline
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more(len(data))
        head, _, rest = data.partition(b"\r\n\r\n")
        status = head.split(b" ", 2)[1] if head.count(b" ") else b""
        response = Response(
            int(status) if status.isdigit() else 0, head + b"\r\n\r\n", rest, sent, sent, _now(), number
        )
        if response.status != 101:
            raise HandshakeRefused(response)
        wanted = base64.b64encode(hashlib.sha1(nonce.encode() + _GUID).digest()).decode()  # noqa: S324 (RFC 6455)
        if response.headers.get("sec-websocket-accept") != wanted:
            raise NoAnswer("the server's WebSocket handshake is not for our key")
        self.protocol = response.headers.get("sec-websocket-protocol", "")
        return rest

    def _more(self, have: int) -> bytes:
        while True:
            if (self.tls is None or not self.tls.more) and self.reactor.wait() == TIMED_OUT:
                raise NoAnswer("the WebSocket handshake was not answered within the time-out")
            try:
                data = self.receive(RECEIVE)
            except BlockingIOError:
                continue
            if not data or have > _LONGEST_HEAD:
                raise NoAnswer(CLOSED_EARLY)
            return data
