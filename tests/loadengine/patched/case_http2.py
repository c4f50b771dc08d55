import gevent
import h2.config
import h2.connection
import h2.events
import pytest

from core.errors import ConfigError
from loadengine.net.http2 import Http2Client
from tests.loadengine.patched.helpers import counts, within


def speaking(answer):
    """A handler with h2's own server side; answer(protocol, stream, headers, body) replies."""

    def talk(connection, reader):
        protocol = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        protocol.initiate_connection()
        connection.sendall(protocol.data_to_send())
        requests = {}
        while data := connection.recv(65536):
            for event in protocol.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    requests[event.stream_id] = (dict(event.headers), b"")
                elif isinstance(event, h2.events.DataReceived):
                    headers, body = requests[event.stream_id]
                    requests[event.stream_id] = (headers, body + event.data)
                    protocol.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    answer(protocol, event.stream_id, *requests.pop(event.stream_id))
            connection.sendall(protocol.data_to_send())

    return talk


def echo(protocol, stream, headers, body):
    protocol.send_headers(stream, [(":status", "200"), ("x-path", headers[b":path"].decode())])
    protocol.send_data(stream, body or b"hello", end_stream=True)


def test_requests_and_answers(engine, serve):
    seen = []

    def note(protocol, stream, headers, body):
        seen.append(headers)
        echo(protocol, stream, headers, body)

    client = Http2Client(engine, serve(speaking(note)))
    client.headers["Authorization"] = "Bearer x"
    answer = client.request("GET", "/a?b=c")
    assert (answer.status, answer.body, answer.headers["x-path"]) == (200, b"hello", "/a?b=c")
    assert client.request("POST", "/p", body=b"sent").body == b"sent"
    assert seen[0][b"authorization"] == b"Bearer x"
    assert seen[0][b"x-assay-run"] == b"test-run"
    assert seen[0][b"traceparent"].decode().split("-")[1] == engine.tracer.trace_id(answer.span)
    assert counts(engine) == {"ok": 2}


def test_requests_share_one_connection_and_answers_may_come_in_any_order(engine, serve):
    held = []

    def backwards(protocol, stream, headers, body):
        held.append((stream, headers[b":path"]))
        if len(held) == 3:
            for number, path in reversed(held):
                protocol.send_headers(number, [(":status", "200")])
                protocol.send_data(number, path, end_stream=True)

    client = Http2Client(engine, serve(speaking(backwards)))
    jobs = [gevent.spawn(client.request, "GET", f"/{i}") for i in range(3)]
    gevent.joinall(jobs, timeout=5)
    assert [job.value.body for job in jobs] == [b"/0", b"/1", b"/2"]


def test_a_body_larger_than_the_windows(engine, serve):
    def size(protocol, stream, headers, body):
        protocol.send_headers(stream, [(":status", "200")])
        protocol.send_data(stream, str(len(body)).encode(), end_stream=True)

    client = Http2Client(engine, serve(speaking(size)))
    assert client.request("PUT", "/big", body=b"x" * 1_000_000).body == b"1000000"


def test_a_reset_a_silence_and_an_end_are_errors_in_words(engine, serve):
    def reset(protocol, stream, headers, body):
        protocol.reset_stream(stream, 2)

    def silent(protocol, stream, headers, body):
        pass

    def cut(connection, reader):
        connection.recv(100)
        connection.shutdown(2)

    assert (
        "reset the stream (code 2)" in Http2Client(engine, serve(speaking(reset))).request("GET", "/x").error
    )
    quiet = Http2Client(engine, serve(speaking(silent)), timeout=0.2)
    assert quiet.request("GET", "/x").error == "no whole answer within the time-out"
    assert Http2Client(engine, serve(cut)).request("GET", "/x").error
    assert counts(engine) == {"error": 3}
    within(2, lambda: engine.under_way() == 0)


def test_a_cut_connection_is_replaced(engine, serve):
    def once(protocol, stream, headers, body):
        echo(protocol, stream, headers, body)
        protocol.close_connection()

    client = Http2Client(engine, serve(speaking(once)))
    for _ in range(3):
        assert client.request("GET", "/x").status == 200
        gevent.sleep(0.02)


def test_a_bad_address_is_said(engine):
    with pytest.raises(ConfigError, match="is no HTTP address"):
        Http2Client(engine, "h2://x")
