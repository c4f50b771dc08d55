import gzip
import hashlib
import zlib

import gevent
import pytest
from locust.exception import StopUser

from core.errors import ConfigError
from loadengine.measure.measure import Measure
from loadengine.net import connection
from loadengine.net.http1 import StreamedBody
from tests.loadengine.patched.helpers import counts, read_request, within

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def answering(*answers):
    """A handler that gives these answers in turn, for ever the last."""

    def talk(connection, reader):
        left = list(answers)
        while read_request(reader):
            answer = left.pop(0) if len(left) > 1 else left[0]
            connection.sendall(answer)

    return talk


def one(engine, address, path="/x", **options):
    return engine.client(address, timeout=2.0).get(path, **options)


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (OK, b"ok"),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n3;x=y\r\ncde\r\n0\r\nt: v\r\n\r\n",
            b"abcde",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + OK, b"ok"),
        (b"HTTP/1.1 200 OK\r\nCONTENT-LENGTH: 0\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + b"z" * 100_000, b"z" * 100_000),
    ],
)
def test_framings_on_a_kept_connection(engine, serve, raw, body):
    client = engine.client(serve(answering(raw)), timeout=2.0)
    for _ in range(3):
        answer = client.get("/x")
        assert (answer.error, answer.body) == (None, body)
    assert len(client._idle) == 1
    assert counts(engine) == {"ok": 3}


def test_an_answer_cut_into_single_bytes(engine, serve):
    def slowly(connection, reader):
        while read_request(reader):
            for byte in OK:
                connection.sendall(bytes([byte]))
                gevent.sleep(0)

    assert one(engine, serve(slowly)).body == b"ok"


def test_an_answer_that_ends_with_the_connection(engine, serve):
    def talk(connection, reader):
        read_request(reader)
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nall of it")
        connection.close()

    def and_close(connection, reader):
        read_request(reader)
        connection.sendall(b"HTTP/1.1 200 OK\r\nx: y\r\n\r\nall")
        connection.shutdown(2)

    for handler, body in ((talk, b"all of it"), (and_close, b"all")):
        answer = one(engine, serve(handler))
        assert (answer.status, answer.body, answer.error) == (200, body, None)


def test_head_has_no_body_whatever_it_says(engine, serve):
    address = serve(
        answering(
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
        )
    )
    client = engine.client(address, timeout=2.0)
    assert client.request("HEAD", "/x").headers["content-length"] == "5"
    assert client.request("HEAD", "/x").status == 200


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("gzip", gzip.compress(b'{"a": 1}')),
        ("deflate", zlib.compress(b'{"a": 1}')),
        ("deflate", zlib.compress(b'{"a": 1}')[2:-4]),
        ("identity", b'{"a": 1}'),
        ("br", __import__("brotli").compress(b'{"a": 1}')),
        ("zstd", __import__("zstandard").compress(b'{"a": 1}')),
    ],
)
def test_compressed_bodies(engine, serve, encoding, data):
    raw = b"HTTP/1.1 200 OK\r\ncontent-encoding: %s\r\ncontent-length: %d\r\n\r\n" % (
        encoding.encode(),
        len(data),
    )
    assert one(engine, serve(answering(raw + data))).json() == {"a": 1}


def test_a_damaged_body_is_a_wrong_answer(engine, serve):
    raw = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nabcd"
    answer = one(engine, serve(answering(raw)), expect=lambda r: None if r.json() else "empty")
    assert "not valid gzip" in answer.error
    assert counts(engine) == {"wrong": 1}


@pytest.mark.parametrize(
    ("raw", "cause"),
    [
        (b"", "closed the connection before"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort", "closed the connection before"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab", "closed the connection before"),
        (b"<html>no HTTP at all</html>\r\n\r\n", "does not speak HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", "does not speak HTTP/1.1"),
    ],
)
def test_no_whole_answer_is_an_error_with_its_cause(engine, serve, raw, cause):
    def talk(connection, reader):
        read_request(reader)
        connection.sendall(raw)
        connection.shutdown(2)

    answer = one(engine, serve(talk))
    assert answer.status == 0
    assert cause in answer.error
    assert counts(engine) == {"error": 1}


def test_bytes_after_the_answer_are_never_taken_for_the_next_one(engine, serve):
    other = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nother"
    answer = one(engine, serve(answering(OK + other)))
    assert answer.status == 0
    assert "does not speak HTTP/1.1" in answer.error


def test_refused_failed_and_wrong_are_told_apart(engine, serve):
    def status(code):
        return b"HTTP/1.1 %d X\r\ncontent-length: 2\r\n\r\nok" % code

    client = engine.client(serve(answering(*map(status, (429, 503, 404, 200, 200)))), timeout=2.0)
    assert [client.get("/x").error for _ in range(3)] == ["answered 429", "answered 503", "answered 404"]
    assert client.get("/x", expect=lambda r: "not mine").error == "not mine"
    assert client.get("/x", expect=lambda r: {}["missing"]).error == "KeyError: 'missing'"
    assert counts(engine) == {"refused": 1, "error": 1, "wrong": 3}


def test_a_server_that_is_not_there(engine):
    answer = one(engine, "http://127.0.0.1:9")
    assert "ECONNREFUSED" in answer.error
    assert counts(engine) == {"error": 1}


def test_silence_ends_at_the_time_out(engine, serve):
    def silent(connection, reader):
        read_request(reader)
        gevent.sleep(30)

    client = engine.client(serve(silent), timeout=0.2)
    assert client.get("/x").error == "no whole answer within the time-out"
    assert client._idle == []


def without_end(start, more, pause):
    """A handler that begins an answer and never ends it."""

    def talk(connection, reader):
        read_request(reader)
        connection.sendall(start)
        while True:
            connection.sendall(more)
            gevent.sleep(pause)

    return talk


STATUS, LATER = b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (STATUS + b"content-length: 100000\r\n\r\n", b"z"),
        (STATUS + b"transfer-encoding: chunked\r\n\r\n", b"1\r\nz\r\n"),
        (STATUS + b"\r\n", b"z"),
        (STATUS, b"x-more: 1\r\n"),
        (b"H", b""),
        (LATER, LATER),
    ],
    ids=["body", "chunks", "until it closes", "head", "silence", "interim"],
)
def test_an_answer_that_drips_ends_at_the_time_out(engine, serve, start, more):
    client = engine.client(serve(without_end(start, more, 0.05)), timeout=0.4)
    with gevent.Timeout(10):
        assert client.get("/x").error == "no whole answer within the time-out"
    assert counts(engine) == {"error": 1}


@pytest.mark.parametrize(
    ("start", "more", "cause"),
    [
        (
            STATUS + b"transfer-encoding: chunked\r\n\r\n",
            b"ffff\r\n" + b"z" * 0xFFFF + b"\r\n",
            "over 4000000 bytes",
        ),
        (STATUS + b"\r\n", b"z" * 65536, "over 4000000 bytes"),
        (STATUS, b"x-more: 1\r\n" * 5000, "the answer's head is over"),
        (LATER, LATER * 1000, "over 100 interim answers"),
    ],
    ids=["chunks", "until it closes", "head", "interim"],
)
def test_a_flood_ends_long_before_the_time_out(engine, serve, monkeypatch, start, more, cause):
    monkeypatch.setattr(connection, "MOST", 4_000_000)
    client = engine.client(serve(without_end(start, more, 0)), timeout=60.0)
    with gevent.Timeout(20):
        assert cause in client.get("/x").error
    assert counts(engine) == {"error": 1}


def test_redirects_without_end_end(engine, serve):
    client = engine.client(
        serve(answering(b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n")), timeout=2.0
    )
    answer = client.get("/x", redirects=5, expect=lambda answer: None if answer.status == 200 else "no page")
    assert answer.status == 302
    assert counts(engine)["wrong"] == 1


def test_a_stale_kept_connection_is_tried_once_more(engine, serve):
    served = []

    def closes_on_the_second(connection, reader):
        while read_request(reader):
            served.append(1)
            if len(served) == 2:
                connection.shutdown(2)
                return
            connection.sendall(OK)

    client = engine.client(serve(closes_on_the_second), timeout=2.0)
    assert client.get("/x").body == b"ok"
    assert client.get("/x").body == b"ok"
    assert len(served) == 3
    assert counts(engine) == {"ok": 2}


def test_a_post_is_never_sent_twice(engine, serve):
    served = []

    def closes_on_the_second(connection, reader):
        while read_request(reader):
            served.append(1)
            if len(served) == 2:
                connection.shutdown(2)
                return
            connection.sendall(OK)

    client = engine.client(serve(closes_on_the_second), timeout=2.0)
    client.post("/x", b"1")
    assert client.post("/x", b"2").status == 0
    assert len(served) == 2


def test_a_connection_that_the_server_closed_while_idle_is_not_used(engine, serve):
    def talk(connection, reader):
        read_request(reader)
        connection.sendall(OK)
        connection.shutdown(2)

    client = engine.client(serve(talk), timeout=2.0)
    for _ in range(3):
        assert client.get("/x").body == b"ok"
        within(2, lambda: not client._idle or not client._idle[0].reusable)


def test_every_request_carries_run_trace_and_headers(engine, serve):
    seen = []

    def talk(connection, reader):
        while request := read_request(reader):
            seen.append(request)
            connection.sendall(OK)

    client = engine.client(serve(talk) + "/base", timeout=2.0)
    client.headers["Authorization"] = "Bearer 100%"
    first = client.get("/a%20b?q=%41")
    client.post("/p", b"body", headers={"Content-Type": "text/plain"})
    assert [s[0] for s in seen] == ["GET /base/a%20b?q=%41 HTTP/1.1", "POST /base/p HTTP/1.1"]
    assert seen[0][1]["x-assay-run"] == "test-run"
    assert seen[0][1]["authorization"] == "Bearer 100%"
    assert seen[1][2] == b"body"
    version, trace, span, flags = seen[0][1]["traceparent"].split("-")
    assert (version, trace, len(span), flags) == ("00", engine.tracer.trace_id(first.span), 16, "01")
    assert seen[1][1]["traceparent"] != seen[0][1]["traceparent"]


def test_a_changed_header_is_noticed(engine, serve):
    seen = []

    def talk(connection, reader):
        while request := read_request(reader):
            seen.append(request[1].get("authorization"))
            connection.sendall(OK)

    client = engine.client(serve(talk), timeout=2.0)
    for token in ("one", "two"):
        client.headers["authorization"] = token
        client.get("/x")
    assert seen == ["one", "two"]


def test_a_large_streamed_body_arrives_whole(engine, serve):
    got = []

    def talk(connection, reader):
        while request := read_request(reader):
            got.append(hashlib.sha256(request[2]).hexdigest())
            connection.sendall(OK)

    block = bytes(range(256)) * 1024
    body = StreamedBody(40 * len(block), lambda: (memoryview(block) for _ in range(40)))
    client = engine.client(serve(talk), timeout=20.0)
    assert client.put("/big", body).body == b"ok"
    assert client.put("/big", block * 40).body == b"ok"
    assert set(got) == {hashlib.sha256(block * 40).hexdigest()}


def test_an_answer_before_the_body_was_sent_is_taken(engine, serve):
    def talk(connection, reader):
        reader.readline()
        connection.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        gevent.sleep(1)

    client = engine.client(serve(talk), timeout=5.0)
    block = b"x" * (1 << 20)
    assert client.put("/big", StreamedBody(200 << 20, lambda: (block for _ in range(200)))).status == 413
    assert client._idle == []


def test_redirects_are_answers_unless_asked_for(engine, serve):
    moved = b"HTTP/1.1 302 Found\r\nlocation: /y?z=1\r\ncontent-length: 0\r\n\r\n"
    client = engine.client(serve(answering(moved, moved, OK)), timeout=2.0)
    assert client.get("/x").status == 302
    assert client.get("/x", redirects=3).body == b"ok"


def test_the_first_request_of_an_arrival_takes_its_intended_time(engine, serve):
    from greenlet import getcurrent

    client = engine.client(serve(answering(OK)), timeout=2.0)
    getcurrent().intended = 12345
    assert client.get("/x").intended == 12345
    later = client.get("/x")
    assert later.intended == later.sent


def test_nothing_is_sent_once_the_load_is_over(engine, serve):
    engine.closing = True
    with pytest.raises(StopUser):
        one(engine, serve(answering(OK)))
    assert counts(engine) == {}


def test_being_killed_records_a_cancelled_sample(engine, serve):
    def silent(connection, reader):
        read_request(reader)
        gevent.sleep(30)

    client = engine.client(serve(silent), timeout=20.0)
    greenlet = gevent.spawn(client.get, "/x")
    within(2, lambda: engine.under_way() == 1)
    gevent.sleep(0.05)
    greenlet.kill()
    assert counts(engine) == {"cancelled": 1}
    assert engine.under_way() == 0


def test_own_source_addresses(engine, serve):
    peers = []

    def talk(connection, reader):
        peers.append(connection.getpeername()[0])
        while read_request(reader):
            connection.sendall(OK)

    address = serve(talk)
    engine.environment.host = address
    for _ in range(3):
        engine.client(address, source=engine.next_address()).get("/x")
    assert len(set(peers)) == 3
    assert all(p.startswith("127.") for p in peers)


@pytest.mark.parametrize("address", ["", "ftp://host", "127.0.0.1:80", "http://"])
def test_a_bad_address_is_said_in_words(engine, address):
    with pytest.raises(ConfigError, match="is no HTTP address"):
        engine.client(address)


def test_bad_paths_and_headers_are_refused(engine):
    client = engine.client("http://127.0.0.1:9")
    with pytest.raises(ConfigError, match="starts with a slash"):
        client.prepare("GET", "x")
    with pytest.raises(ConfigError, match="line break"):
        client.prepare("GET", "/x", headers={"a": "b\r\nc: d"})


def test_measures_are_series_with_labels(engine, serve):
    client = engine.client(serve(answering(OK)), timeout=2.0)
    client.get("/x", measure=Measure("perf.database", kind="posts"))
    (delta,) = engine.recorder.take()
    assert (delta.metric, delta.labels, delta.histograms["response"].total) == (
        "perf.database",
        {"kind": "posts"},
        1,
    )
