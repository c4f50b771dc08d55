"""One HTTP/1.1 keep-alive connection, plain or TLS, on the reactor.

llhttp (through httptools) does the parsing; this module moves bytes, knows when an answer is whole, and
says in words why one is not.
"""

from __future__ import annotations

import errno
import os
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import gevent.monkey
import httptools
from greenlet import getcurrent

from loadprofiles.engine.reactor import READ, TIMED_OUT, WRITE, Reactor

_now = time.monotonic_ns
_Socket = gevent.monkey.get_original("socket", "socket")
_RECEIVE = 65536
_IP_BIND_ADDRESS_NO_PORT = 24  # Linux: a source address, without spending a port before connecting
_SOL_IP, _SOL_SOCKET, _SO_ERROR, _IPPROTO_TCP, _TCP_NODELAY = 0, 1, 4, 6, 1
_CLOSED_EARLY = "the server closed the connection before its answer was whole"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where connections of one client go: a resolved address, and how."""

    family: int
    address: tuple[Any, ...]
    host: str
    tls: ssl.SSLContext | None = None
    source: str | None = None
    """Local address to send from, None to let the kernel choose."""


class NoAnswer(Exception):
    """No whole answer came. The text is the cause, alike for alike failures, so that causes can be counted."""


class Connection:
    """A socket, its parser, and at most one exchange at a time.

    `reusable` turns False once the server closed, asked to close, or broke the protocol.
    """

    __slots__ = (
        "_bodies", "_feed", "_finished", "_head_done", "_headless", "_parser", "_raw", "_reactor",
        "_receive", "_send", "_status", "_tls", "done", "fd", "fresh", "reusable", "sock",
    )  # fmt: skip

    def __init__(self, reactor: Reactor, endpoint: Endpoint, deadline: int) -> None:
        """Connects before `deadline` (monotonic ns). Raises NoAnswer."""
        self._reactor = reactor
        self.fresh = True
        """True until the first whole answer: before it, a cut connection is not a stale keep-alive."""
        self.reusable = True
        self.fd = -1
        self._headless = False
        self.sock = _Socket(endpoint.family, 1)
        try:
            self._connect(endpoint, deadline)
        except (OSError, ssl.SSLError) as error:
            self.close()
            raise NoAnswer(_cause(error, "connecting")) from error
        except BaseException:
            self.close()
            raise
        self._new_parser()

    # -- one exchange ------------------------------------------------------------------------------------

    def exchange(
        self,
        head: bytes,
        deadline: int,
        body: Iterable[bytes | memoryview] | None = None,
        headless: bool = False,
    ) -> tuple[int, bytes, bytes]:
        """Sends a request, waits for its whole answer: status, the head as received, body.

        `headless` says that the answer has no body whatever its headers say (HEAD). `done` is then the time
        of the last byte. Raises NoAnswer; whatever is raised, being killed included, the connection closes.
        """
        reactor, fd = self._reactor, self.fd
        wait, feed, receive, tls = reactor.wait, self._feed, self._receive, self._tls
        self._finished = self._head_done = False
        self._raw = b""
        self._bodies: list[bytes] = []
        self._headless = headless
        try:
            reactor.handlers[fd] = getcurrent().switch
            reactor.deadlines[fd] = deadline
            sent = self._send(head)
            if sent != len(head) or (tls is not None and tls.unsent):
                self._write(memoryview(head)[sent:])
            if body is not None:
                for block in body:
                    if not self._write(memoryview(block)):
                        self.reusable = False  # answered before the body was sent
                        break
            while not self._finished:
                if (tls is None or not tls.more) and wait() == TIMED_OUT:
                    raise NoAnswer("no whole answer within the time-out")
                try:
                    data = receive(_RECEIVE)
                except BlockingIOError:
                    continue
                if not data:
                    self._end_of_stream()
                    break
                if not self._head_done:
                    self._raw += data
                feed(data)
            self.done = _now()
            reactor.deadlines[fd] = 0
            reactor.handlers[fd] = self._idle
        except (OSError, ssl.SSLError, httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.close()
            raise NoAnswer(_cause(error, "waiting for the answer")) from error
        except BaseException:
            self.close()
            raise
        self.fresh = False
        if not self.reusable:
            self.close()
        elif headless:
            self._new_parser()
        bodies = self._bodies
        return self._status, self._raw, bodies[0] if len(bodies) == 1 else b"".join(bodies)

    def close(self) -> None:
        """Closes the socket; may be called again."""
        self.reusable = False
        if self.fd >= 0:
            self._reactor.remove(self.fd)
            self.fd = -1
        self.sock.close()

    # -- what the parser tells ---------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Anything after the answer's end would be taken for the answer to the next request."""
        if self._finished:
            raise ValueError("bytes after the end of the answer")

    def on_headers_complete(self) -> None:
        """The head is whole; an answer to HEAD ends here."""
        self._head_done = True
        if self._headless and self._parser.get_status_code() >= 200:
            self.on_message_complete()

    def on_body(self, data: bytes) -> None:
        """A piece of the body, chunk framing removed."""
        self._bodies.append(data)

    def on_message_complete(self) -> None:
        """The answer is whole, unless it is an interim one (1xx), which is dropped."""
        self._status: int = self._parser.get_status_code()
        if self._status >= 200:
            self._finished = True
            if not self._parser.should_keep_alive():
                self.reusable = False
        else:
            self._head_done = False
            self._raw = self._raw.partition(b"\r\n\r\n")[2]

    # -- the socket --------------------------------------------------------------------------------------

    def _new_parser(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._feed = self._parser.feed_data

    def _connect(self, endpoint: Endpoint, deadline: int) -> None:
        sock, reactor = self.sock, self._reactor
        sock.setblocking(False)
        sock.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
        if endpoint.source:
            sock.setsockopt(_SOL_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((endpoint.source, 0))
        code = sock.connect_ex(endpoint.address)
        self.fd = fd = sock.fileno()
        reactor.add(fd, getcurrent().switch, WRITE if code else READ)
        if code:
            if code not in (errno.EINPROGRESS, errno.EAGAIN):
                raise OSError(code, os.strerror(code))
            reactor.deadlines[fd] = deadline
            if reactor.wait() == TIMED_OUT:
                raise TimeoutError(errno.ETIMEDOUT, "time-out")
            if code := sock.getsockopt(_SOL_SOCKET, _SO_ERROR):
                raise OSError(code, os.strerror(code))
            reactor.change(fd, READ)
        self._send: Callable[[Any], int] = sock.send
        self._receive: Callable[[int], bytes] = sock.recv
        self._tls: _Tls | None = None
        if endpoint.tls:
            self._tls = layer = _Tls(endpoint.tls, endpoint.host, sock)
            reactor.deadlines[fd] = deadline
            while not layer.shake():
                if reactor.wait() == TIMED_OUT:
                    raise TimeoutError(errno.ETIMEDOUT, "time-out")
            self._send, self._receive = layer.send, layer.receive
        reactor.deadlines[fd] = 0
        reactor.handlers[fd] = self._idle

    def _write(self, view: memoryview) -> bool:
        """Sends everything, waiting as the kernel demands; False when the answer came before that was done."""
        reactor, fd, tls = self._reactor, self.fd, self._tls
        waiting = False
        try:
            while view or (tls is not None and tls.unsent):
                if self._finished:
                    return False
                try:
                    view = view[self._send(view) :]
                    continue
                except BlockingIOError:
                    if not waiting:
                        waiting = True
                        reactor.change(fd, READ | WRITE)
                events = reactor.wait()
                if events == TIMED_OUT:
                    raise NoAnswer("the request could not be sent within the time-out")
                if events & ~WRITE:
                    self._take()
        finally:
            if waiting and self.fd >= 0:
                reactor.change(fd, READ)
        return not self._finished

    def _take(self) -> None:
        """Reads what has come, while still sending."""
        try:
            data = self._receive(_RECEIVE)
        except BlockingIOError:
            return
        if not data:
            raise NoAnswer(_CLOSED_EARLY)
        if not self._head_done:
            self._raw += data
        self._feed(data)

    def _idle(self, events: int) -> None:
        """Nobody waits: whatever comes now (usually the server closing) ends this connection."""
        if self._tls is not None:
            try:
                self._receive(_RECEIVE)
            except BlockingIOError:
                return  # a TLS session ticket
            except OSError:
                pass
        self.close()

    def _end_of_stream(self) -> None:
        """The server closed: fine only for an answer that is delimited by closing."""
        self.reusable = False
        head = self._raw.lower()
        if not self._head_done or b"\r\ncontent-length:" in head or b"\r\ntransfer-encoding:" in head:
            raise NoAnswer(_CLOSED_EARLY)
        self._status = self._parser.get_status_code()


class _Tls:
    """A TLS session between memory and a non-blocking socket; raises BlockingIOError where a socket would."""

    __slots__ = ("_in", "_out", "_session", "_sock", "more", "unsent")

    def __init__(self, context: ssl.SSLContext, host: str, sock: Any) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session = context.wrap_bio(self._in, self._out, server_hostname=host)
        self._sock = sock
        self.more = False
        """True when bytes may be ready that the socket will not announce."""
        self.unsent = b""
        """Encrypted bytes that the kernel has not taken yet."""

    def shake(self) -> bool:
        """Takes the handshake one step on; True when it is complete. Raises ssl.SSLError, OSError."""
        try:
            self._session.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            try:
                data = self._sock.recv(_RECEIVE)
            except BlockingIOError:
                return False
            if not data:
                raise ConnectionResetError(errno.ECONNRESET, "closed during the TLS handshake") from None
            self._in.write(data)
            return self.shake()
        self._flush()
        return True

    def send(self, data: Any) -> int:
        """Encrypts and sends; the number of plain bytes taken. What the kernel refused stands in `unsent`."""
        if self.unsent:
            self._flush()
            if self.unsent:
                raise BlockingIOError
        taken = self._session.write(data) if len(data) else 0
        self._flush()
        return taken

    def receive(self, size: int) -> bytes:
        """Plain bytes, empty at the end of the stream."""
        session = self._session
        try:
            if self.more:
                try:
                    return session.read(size)
                except ssl.SSLWantReadError:
                    self.more = False
            data = self._sock.recv(_RECEIVE)
            if not data:
                return b""
            self._in.write(data)
            plain = session.read(size)
            self.more = bool(session.pending() or self._in.pending)
            return plain
        except ssl.SSLWantReadError:
            raise BlockingIOError from None
        except ssl.SSLZeroReturnError:
            return b""

    def _flush(self) -> None:
        data = self.unsent + self._out.read()
        if not data:
            return
        try:
            self.unsent = data[self._sock.send(data) :]
        except BlockingIOError:
            self.unsent = data


def _cause(error: Exception, doing: str) -> str:
    """The same words for the same fault."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{doing}: the server's certificate is not valid ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return f"{doing}: TLS failed ({error.reason or error})"
    if isinstance(error, OSError):
        return f"{doing}: {errno.errorcode.get(error.errno or 0, type(error).__name__)} {error.strerror or ''}".strip()
    return f"{doing}: the server does not speak HTTP/1.1 ({error})"
