"""One TCP connection on the reactor, plain or TLS: connects, moves bytes, and says in words what failed."""

from __future__ import annotations

import errno
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gevent.monkey
from greenlet import getcurrent

from loadengine.net.reactor import READ, TIMED_OUT, WRITE, Reactor

_Socket = gevent.monkey.get_original("socket", "socket")
RECEIVE = 65536
_IP_BIND_ADDRESS_NO_PORT = 24  # Linux: a source address, without spending a port before connecting
_SOL_IP, _SOL_SOCKET, _SO_ERROR, _IPPROTO_TCP, _TCP_NODELAY = 0, 1, 4, 6, 1
CLOSED_EARLY = "the server closed the connection before its answer was whole"


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


def _nothing(events: int) -> None:
    """What a closed wire does with events."""


class TcpConnection:
    """A connected socket with one owner.

    `send` and `receive` are the socket's own methods, or those of its TLS session: they raise
    BlockingIOError where the caller has to wait. Subclasses put their handler into `reactor.handlers[fd]`.
    """

    __slots__ = ("fd", "idle_handler", "plain", "reactor", "receive", "reusable", "send", "sock", "tls")

    def __init__(self, reactor: Reactor, endpoint: Endpoint, deadline: int) -> None:
        """Connects before `deadline` (monotonic ns). Raises NoAnswer."""
        self.reactor = reactor
        self.reusable = True
        """False once closed or about to be."""
        self.fd = -1
        self.plain = endpoint.tls is None
        """True without TLS: the descriptor may be read and written directly, which is cheaper."""
        self.idle_handler: Callable[[int], None] = self.idle
        """`idle`, bound once."""
        self.sock = _Socket(endpoint.family, 1)
        try:
            self._connect(endpoint, deadline)
        except (OSError, ssl.SSLError) as error:
            self.close()
            raise NoAnswer(cause_of(error, "connecting")) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the socket; may be called again."""
        self.reusable = False
        self.idle_handler = _nothing  # no cycle, so no work for the collector
        if self.fd >= 0:
            self.reactor.remove(self.fd)
            self.fd = -1
        self.sock.close()

    def idle(self, events: int) -> None:
        """Handler while nobody waits: whatever comes then (usually the other side closing) ends the connection."""
        if self.tls is not None:
            try:
                self.receive(RECEIVE)
            except BlockingIOError:
                return  # a TLS session ticket
            except OSError:
                pass
        self.close()

    def _connect(self, endpoint: Endpoint, deadline: int) -> None:
        sock, reactor = self.sock, self.reactor
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
        self.send: Callable[[Any], int] = sock.send
        self.receive: Callable[[int], bytes] = sock.recv
        self.tls: TlsConnection | None = None
        if endpoint.tls:
            self.tls = layer = TlsConnection(endpoint.tls, endpoint.host, sock)
            reactor.deadlines[fd] = deadline
            while not layer.shake():
                if reactor.wait() == TIMED_OUT:
                    raise TimeoutError(errno.ETIMEDOUT, "time-out")
            self.send, self.receive = layer.send, layer.receive
        reactor.deadlines[fd] = 0
        reactor.handlers[fd] = self.idle_handler


class TlsConnection:
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
                data = self._sock.recv(RECEIVE)
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
            data = self._sock.recv(RECEIVE)
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


def cause_of(error: Exception, doing: str) -> str:
    """The same words for the same fault."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{doing}: the server's certificate is not valid ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return f"{doing}: TLS failed ({error.reason or error})"
    if isinstance(error, OSError):
        return f"{doing}: {errno.errorcode.get(error.errno or 0, type(error).__name__)} {error.strerror or ''}".strip()
    return f"{doing}: the server does not speak HTTP/1.1 ({error})"
