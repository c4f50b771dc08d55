"""Heads met before are not parsed again, and that never changes what is understood."""

import gevent
import pytest

from loadengine.net import connection
from loadengine.net.connection import Heads
from tests.loadengine.patched.helpers import counts, read_request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def heads(monkeypatch):
    """A table of its own."""
    made = Heads()
    monkeypatch.setattr(connection, "HEADS", made)
    return made


def in_turn(*answers):
    """A handler that gives these answers one after the other, again and again."""

    def talk(stream, reader):
        number = 0
        while read_request(reader):
            stream.sendall(answers[number % len(answers)])
            number += 1

    return talk


def test_answers_that_differ_are_told_apart(engine, serve, heads):
    longer = b"HTTP/1.1 404 No\r\ncontent-length: 5\r\n\r\nthere"
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    empty = b"HTTP/1.1 204 No Content\r\n\r\n"
    client = engine.client(serve(in_turn(OK, longer, chunked, empty)), timeout=2.0)
    found = [(a.status, a.body) for a in (client.get("/x") for _ in range(12))]
    assert found == [(200, b"ok"), (404, b"there"), (200, b"ok"), (204, b"")] * 3
    assert len(heads.known) == 2
    assert len(client._idle) == 1


def test_a_known_head_with_its_body_still_to_come(engine, serve, heads):
    def talk(stream, reader):
        for cut in (len(OK), len(OK) - 1, len(OK) - 2, 20, len(OK)):
            read_request(reader)
            stream.sendall(OK[:cut])
            gevent.sleep(0.02)
            stream.sendall(OK[cut:])

    client = engine.client(serve(talk), timeout=2.0)
    assert [client.get("/x").body for _ in range(5)] == [b"ok"] * 5


def test_bytes_after_the_end_of_a_known_answer_are_a_fault(engine, serve, heads):
    client = engine.client(serve(in_turn(OK, OK, OK + OK)), timeout=2.0)
    client.get("/x")
    first = client._idle[0]
    client.get("/x")
    assert client._idle == [first]
    assert client.get("/x").body == b"ok"  # asked again, on a connection of its own
    assert client._idle != [first]
    assert not first.reusable


def test_head_of_the_same_bytes_has_no_body(engine, serve, heads):
    client = engine.client(serve(in_turn(OK, OK[:-2])), timeout=2.0)
    for _ in range(3):
        assert client.get("/x").body == b"ok"
        assert client.request("HEAD", "/x").body == b""
    assert counts(engine) == {"ok": 6}


def test_a_close_is_noticed_though_the_head_is_known(engine, serve, heads):
    closing = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"
    client = engine.client(serve(in_turn(OK, closing)), timeout=2.0)
    for _ in range(3):
        assert client.get("/x").body == b"ok"
        assert client.get("/x").body == b"ok"
        assert client._idle == []


def test_a_known_head_keeps_its_encoding(engine, serve, heads):
    import gzip

    packed = gzip.compress(b"[1]")
    raw = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed)
    client = engine.client(serve(in_turn(raw + packed)), timeout=2.0)
    assert [client.get("/x").json() for _ in range(3)] == [[1]] * 3


def test_heads_that_never_repeat_are_given_up(heads):
    raw = b"HTTP/1.1 200 OK\r\nx-request-id: %d\r\ncontent-length: 2\r\n\r\nok"
    for number in range(2000):
        heads.learn(raw % number, 200, 2, False)
    assert heads.known == {}


def test_an_answer_as_long_as_a_read(engine, serve, heads):
    for size in (65536, 131072, 200_000):
        head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"
        length = size - len(head % size)
        raw = head % length + b"z" * length
        client = engine.client(serve(in_turn(raw)), timeout=5.0)
        assert [len(client.get("/x").body) for _ in range(3)] == [length] * 3
