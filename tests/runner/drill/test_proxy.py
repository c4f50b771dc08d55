"""The proxy on real sockets: without a rule nothing changes, with one exactly what it says."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import httpx
import pytest
import websockets.sync.client
import websockets.sync.server

from runner.drill.catalogue import Change, Frames, Match, Mock, Proxy
from runner.drill.frames import Frame, read
from runner.drill.proxy import Proxies


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked, and counts."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_POST(self):
        type(self).asked += 1
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(200)
        self.send_header("x-asked", str(type(self).asked))
        self.send_header("x-path", self.path)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def proxies():
    made = Proxies()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made.port = made.add("a", urlsplit(f"http://127.0.0.1:{server.server_port}"))
    yield made
    made.close()
    server.shutdown()
    server.server_close()


@contextmanager
def planted(proxies, **rule):
    proxies.rule([Proxy(proxy="a", **rule)])
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{proxies.port}", trust_env=False) as client:
            yield client
    finally:
        proxies.rule([])


def test_without_a_rule_large_bodies_go_through_both_ways_on_one_connection(proxies):
    body = hashlib.sha256(b"x").digest() * 400_000
    connection = http.client.HTTPConnection("127.0.0.1", proxies.port)
    for _ in range(2):
        connection.request("PUT", "/a?b=c", body)
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("x-path"), answer.read()) == (200, "/a?b=c", body)
    connection.request("HEAD", "/a")
    assert connection.getresponse().read() == b""
    connection.close()


@pytest.mark.parametrize(
    ("change", "body"),
    [
        (Change(find="lo$", replace="p!"), b"help!"),
        (Change(cut=2), b"hel"),
    ],
)
def test_an_answer_s_body_is_changed_with_a_length_that_fits(proxies, change, body):
    with planted(proxies, answer=change) as client:
        assert client.post("/", content=b"hello").content == body


def test_a_rule_is_for_each_nth_exchange_that_fits(proxies):
    with planted(
        proxies,
        match=Match(path="^/x", every=3),
        answer=Change(status=503, set={"a": "b"}, remove=["x-path"]),
    ) as client:
        seen = [client.get("/x") for _ in range(6)]
        assert [answer.status_code for answer in seen] == [200, 200, 503, 200, 200, 503]
        assert seen[2].headers["a"] == "b"
        assert "x-path" not in seen[2].headers
        assert client.get("/y").status_code == 200


def test_a_mock_asks_nobody_and_a_request_can_arrive_twice_or_not_at_all(proxies):
    before = Echo.asked
    with planted(proxies, match=Match(method="POST"), mock=Mock(status=201, body="{}")) as client:
        assert (client.post("/").status_code, Echo.asked) == (201, before)
    with planted(proxies, request=Change(twice=True)) as client:
        client.post("/", content=b"a")
        assert Echo.asked == before + 2
    with planted(proxies, request=Change(lose=True)) as client, pytest.raises(httpx.HTTPError):
        client.post("/")
    assert Echo.asked == before + 2


def test_a_stale_answer_is_of_the_same_person_and_address(proxies):
    with planted(proxies, answer=Change(stale=True)) as client:
        first = client.get("/s", headers={"authorization": "a"}).headers["x-asked"]
        assert client.get("/s", headers={"authorization": "a"}).headers["x-asked"] == first
        assert client.get("/s", headers={"authorization": "b"}).headers["x-asked"] != first


def test_a_request_is_changed_on_its_way(proxies):
    with planted(
        proxies, request=Change(path_find="limit=(\\d)", path_replace=r"limit=9\1", find="a", replace="b")
    ) as client:
        answer = client.post("/?limit=1", content=b"aa")
        assert (answer.headers["x-path"], answer.content) == ("/?limit=91", b"bb")


def test_an_answer_that_breaks_off_is_an_error(proxies):
    with planted(proxies, answer=Change(broken=True)) as client, pytest.raises(httpx.HTTPError):
        client.post("/", content=b"hello" * 100)


@pytest.mark.parametrize(
    ("rule", "heard"),
    [
        ({}, ["1", "2", "3", "4"]),
        ({"lose": True, "every": 2}, ["1", "3"]),
        ({"twice": True, "match": "3"}, ["1", "2", "3", "3", "4"]),
        ({"swap": True, "match": "2"}, ["1", "3", "2", "4"]),
        ({"find": "4", "replace": "5"}, ["1", "2", "3", "5"]),
    ],
)
def test_messages_of_a_websocket(rule, heard):
    def say(connection):
        for text in connection:
            connection.send(text)

    with websockets.sync.server.serve(say, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made = Proxies()
        port = made.add("a", urlsplit(f"http://127.0.0.1:{server.socket.getsockname()[1]}"))
        made.rule([Proxy(proxy="a", frames=Frames(**rule))] if rule else [])
        with websockets.sync.client.connect(f"ws://127.0.0.1:{port}/", proxy=None) as client:
            for n in range(1, 5):
                client.send(str(n))
            got = [client.recv(timeout=10) for _ in heard]
        assert got == heard
        assert made.idle() == []
        made.rule([Proxy(proxy="a", frames=Frames(match="nobody says this", lose=True))])
        with websockets.sync.client.connect(f"ws://127.0.0.1:{port}/", proxy=None) as client:
            client.send("1")
            client.recv(timeout=10)
        assert made.idle()
        made.close()


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
@pytest.mark.parametrize("masked", [True, False])
def test_a_frame_is_read_as_it_was_written(size, masked):
    async def there_and_back():
        reader = asyncio.StreamReader()
        reader.feed_data(Frame(0x81, b"a" * size, masked).raw())
        return await read(reader)

    assert asyncio.run(there_and_back()) == Frame(0x81, b"a" * size, masked)


@pytest.mark.parametrize(
    ("rule", "idle"),
    [
        ({"answer": Change(find="hello", replace="x")}, False),
        ({"answer": Change(find="nowhere", replace="x")}, True),
        ({"match": Match(path="^/elsewhere"), "answer": Change(delay=1)}, True),
        ({"answer": Change(delay=1)}, False),
        ({"request": Change(find="nowhere", replace="x")}, True),
        ({"request": Change(set={"x-a": "b"})}, False),
        ({"answer": Change(stale=True)}, True),  # the first answer is as it was
        ({"mock": Mock(body="{}")}, False),
        ({"match": Match(every=2), "mock": Mock(body="{}")}, True),
    ],
)
def test_a_rule_that_changed_nothing_is_told(proxies, rule, idle):
    with planted(proxies, **rule) as client:
        client.post("/", content=b"hello")
        assert bool(proxies.idle()) == idle
