"""Sending without waiting: what the kernel does not take stays here and leaves when the socket is writable."""

from __future__ import annotations

from loadengine.net.reactor import READ, WRITE
from loadengine.net.tcp import TcpConnection


class BufferedTcpConnection(TcpConnection):
    """A wire whose handler runs in the hub; `write` keeps order and never waits."""

    __slots__ = ("unsent",)

    def write(self, data: bytes) -> None:
        """Sends or keeps. Raises OSError when the connection is broken."""
        if self.fd < 0:
            return
        if self.unsent:
            self.unsent += data
            return
        try:
            sent = self.send(data)
            waits = self.tls is not None and bool(self.tls.unsent)
        except BlockingIOError:
            sent, waits = 0, True
        if sent != len(data) or waits:
            self.keep(data[sent:])

    def keep(self, rest: bytes) -> None:
        """Keeps what the kernel refused and waits for room."""
        self.unsent = rest
        self.reactor.change(self.fd, READ | WRITE)

    def writable(self) -> None:
        """There is room again. Raises OSError when the connection is broken."""
        data, self.unsent = self.unsent, b""
        self.reactor.change(self.fd, READ)
        self.write(data)
