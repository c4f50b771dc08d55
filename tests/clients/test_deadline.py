"""A check's end holds for all that it asks: a service that is silent or drips cannot draw it out, request by request."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from clients import deadline
from clients.http import GuardedTransport
from core.errors import ServiceError
from core.permit import EVERYTHING, Permit


@pytest.fixture(autouse=True)
def no_deadline() -> Iterator[None]:
    yield
    deadline.begin(float("inf"))


@pytest.fixture
def dripping() -> Iterator[str]:
    """A server that sends a byte of its answer each tenth of a second, without end."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
                with client:
                    client.recv(65536)
                    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                    while True:
                        client.sendall(b"x")
                        time.sleep(0.1)
            except OSError:
                if listener.fileno() < 0:
                    return

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()


def client(service: str, inner: httpx.BaseTransport | None = None) -> httpx.Client:
    return httpx.Client(
        transport=GuardedTransport(service, Permit(EVERYTHING, frozenset({"127.0.0.1"})), inner=inner)
    )


def test_nothing_is_asked_after_the_end_and_the_slowest_is_named() -> None:
    def slow(request: httpx.Request) -> httpx.Response:
        time.sleep(0.3)
        return httpx.Response(200)

    deadline.begin(0.2)
    with client("kv", httpx.MockTransport(slow)) as kv, client("r2", httpx.MockTransport(slow)) as r2:
        kv.get("http://127.0.0.1/")
        with pytest.raises(ServiceError, match=r"kv took 0 s of them|kv: .*kv took") as raised:
            r2.get("http://127.0.0.1/")
    assert raised.value.service == "kv"


def test_a_drip_ends_with_the_check(dripping: str) -> None:
    deadline.begin(1.5)
    with client("r2") as http, pytest.raises(ServiceError):
        http.get(dripping)
    assert deadline.left() < 1


def test_waiting_for_ones_turn_is_no_time_of_the_check() -> None:
    deadline.begin(0.1)
    deadline.extend(60)
    time.sleep(0.15)
    deadline.demand("GET /")
    assert 59 < deadline.left() < 60
