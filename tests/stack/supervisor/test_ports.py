"""Ports are kept for a stack from its first moment to its last."""

import socket

import pytest

from stack.supervisor.errors import StackError
from stack.supervisor.ports import FIRST, LAST, Ports


@pytest.fixture
def ports():
    found = Ports(["one", "two", "three"])
    yield found
    found.close()


def test_each_name_has_a_port_below_the_ephemeral_range(ports):
    numbers = set(ports.numbers.values())
    assert len(numbers) == 3
    assert all(FIRST <= number <= LAST < 32768 for number in numbers)


def test_a_component_may_listen_on_a_kept_port_end_and_listen_again(ports):
    address = ("127.0.0.1", ports.numbers["one"])
    for _ in range(3):
        # `create_server` sets SO_REUSEADDR, as every server does.
        with socket.create_server(address) as server, socket.create_connection(address) as client:
            accepted, _ = server.accept()
            accepted.close()
            assert client.recv(1) == b""


def test_a_second_listener_is_refused(ports):
    with (
        socket.create_server(("127.0.0.1", ports.numbers["one"])),
        pytest.raises(OSError, match="in use"),
        socket.create_server(("127.0.0.1", ports.numbers["one"])),
    ):
        pass


def test_two_stacks_never_get_the_same_port(ports, monkeypatch):
    taken = sorted(ports.numbers.values())
    picks = iter([*taken, *taken, 15555, 16666, 17777, 18888])
    monkeypatch.setattr("random.randint", lambda *_: next(picks))
    other = Ports(["a"])
    try:
        assert other.numbers["a"] not in taken
    finally:
        other.close()


def test_a_port_is_free_again_after_the_stack(ports):
    number = ports.numbers["two"]
    ports.close()
    with socket.socket() as plain:
        plain.bind(("127.0.0.1", number))


def test_when_nothing_is_free_it_is_said(ports, monkeypatch):
    monkeypatch.setattr("random.randint", lambda *_: ports.numbers["one"])
    with pytest.raises(StackError, match=r"^No free port was found"):
        Ports(["a"])
