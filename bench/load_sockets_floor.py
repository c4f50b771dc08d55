"""What a WebSocket round trip costs at least: epoll, read and write, nothing looked at, no Locust.

    python bench/load_sockets_floor.py ADDRESS SOCKETS

The kernel's share of a round trip, and so the limit of every tool on this machine; a started program of
`load_sockets.py`. It knows no closing and no errors.
"""

from __future__ import annotations

import base64
import os
import select
import socket
import sys
from urllib.parse import urlsplit

_MESSAGE = (
    b"\x81\xfe\x00\x80" + bytes(4) + b"x" * 128
)  # masked with zeros: right for a bench on loopback alone


def main(address: str, sockets: int) -> None:
    """Sends back and forth for ever."""
    parts = urlsplit(address)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    epoll, kept = select.epoll(), []
    nonce = base64.b64encode(os.urandom(16)).decode()
    for _ in range(sockets):
        one = socket.create_connection((host, port))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        one.sendall(
            f"GET / HTTP/1.1\r\nhost: {host}\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
            f"sec-websocket-key: {nonce}\r\nsec-websocket-version: 13\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in one.recv(4096):
            pass
        epoll.register(one.fileno(), select.EPOLLIN)
        kept.append(one)
    for one in kept:
        one.sendall(_MESSAGE)
    poll, read, write = epoll.poll, os.read, os.write
    while True:
        for number, _ in poll(-1, 128):
            read(number, 470)
            write(number, _MESSAGE)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
