import gevent
import pytest
from websockets.frames import CloseCode, Opcode
from websockets.server import ServerProtocol

from core.errors import ConfigError
from loadengine.net.tcp import NoAnswer
from loadengine.net.websocket import HandshakeRefused, WebSocket
from tests.loadengine.patched.helpers import within


def speaking(on_frame=None, after=None, subprotocols=None, requests=None):
    """A handler with the `websockets` library's own server protocol behind it."""

    def talk(connection, reader):
        protocol = ServerProtocol(subprotocols=subprotocols, max_size=None)

        def flush():
            for data in protocol.data_to_send():
                if data:
                    connection.sendall(data)

        first = True
        while data := connection.recv(65536):
            protocol.receive_data(data)
            for event in protocol.events_received():
                if first:
                    first = False
                    if requests is not None:
                        requests.append(event)
                    protocol.send_response(protocol.accept(event))
                    if after:
                        after(protocol)
                elif on_frame:
                    on_frame(protocol, event)
            flush()
            if protocol.close_expected():
                return

    return talk


def echo(protocol, frame):
    if frame.opcode is Opcode.TEXT:
        protocol.send_text(frame.data)
    elif frame.opcode is Opcode.BINARY:
        protocol.send_binary(frame.data)


def ws(engine, address, path="/room", **options):
    return WebSocket(engine, "ws" + address.removeprefix("http") + path, timeout=3.0, **options)


def test_echo_of_every_size(engine, serve):
    socket = ws(engine, serve(speaking(echo)))
    sent = [b"", b"a", b"b" * 125, b"c" * 126, b"d" * 65535, b"e" * 65536, b"f" * 1_000_000]
    for payload in sent:
        socket.say(payload)
    socket.say("grüße")
    within(5, lambda: len(socket.inbox) == len(sent) + 1)
    assert socket.inbox == [*sent, "grüße".encode()]


def test_messages_that_come_alone_around_the_sizes_that_are_read_at_once(engine, serve):
    socket = ws(engine, serve(speaking(echo)))
    sizes = [0, 1, 125, 126, 465, 466, 467, 466, 5, 126, 4091, 4092, 4093, 0, 70_000, 466]
    for number, size in enumerate(sizes, 1):
        socket.say_text(b"x" * size)
        within(5, lambda wanted=number: len(socket.inbox) == wanted)
    assert socket.inbox == [b"x" * size for size in sizes]


def test_the_handshake_carries_headers_protocols_and_trace(engine, serve):
    requests = []
    address = serve(speaking(echo, subprotocols=["assay.v1"], requests=requests))
    socket = ws(
        engine, address, "/room?x=1", protocols=["assay.v1", "token.abc"], headers={"Origin": "http://me"}
    )
    assert socket.protocol == "assay.v1"
    (request,) = requests
    assert request.path == "/room?x=1"
    assert request.headers["Origin"] == "http://me"
    assert request.headers["x-assay-run"] == "test-run"
    assert request.headers["traceparent"].startswith(f"00-{engine.tracer.prefix}")


def test_frames_that_come_with_the_handshake_are_not_lost(engine, serve):
    socket = ws(engine, serve(speaking(after=lambda p: p.send_text(b"welcome"))))
    within(3, lambda: socket.inbox == [b"welcome"])


def test_pings_are_answered(engine, serve):
    pongs = []

    def note(protocol, frame):
        if frame.opcode is Opcode.PONG:
            pongs.append(frame.data)

    socket = ws(engine, serve(speaking(note, after=lambda p: p.send_ping(b"there?"))))
    within(3, lambda: pongs == [b"there?"])
    assert socket.open


def test_the_servers_close_code_is_told_once(engine, serve):
    closed = []

    def close(protocol, frame):
        protocol.send_close(4401, "token expired")

    socket = ws(engine, serve(speaking(close)))
    socket.on_close = lambda code, reason: closed.append((code, reason))
    socket.say("x")
    within(3, lambda: bool(closed))
    gevent.sleep(0.05)
    assert closed == [(4401, "token expired")]
    assert not socket.open
    socket.say("nobody hears this")


def test_hanging_up_is_answered(engine, serve):
    closed = []
    socket = ws(engine, serve(speaking(echo)))
    socket.on_close = lambda code, reason: closed.append(code)
    socket.hang_up()
    within(3, lambda: closed == [CloseCode.NORMAL_CLOSURE])


def test_a_cut_connection_is_1006(engine, serve):
    closed = []

    def cut(connection, reader):
        speaking(after=lambda p: None)

        protocol = ServerProtocol()
        protocol.receive_data(connection.recv(65536))
        (request,) = protocol.events_received()
        protocol.send_response(protocol.accept(request))
        connection.sendall(b"".join(protocol.data_to_send()))
        connection.shutdown(2)

    socket = ws(engine, serve(cut))
    socket.on_close = lambda code, reason: closed.append(code)
    within(3, lambda: closed == [1006])


def test_a_refused_handshake_says_what_the_server_said(engine, serve):
    def refuse(connection, reader):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno")

    with pytest.raises(HandshakeRefused) as caught:
        ws(engine, serve(refuse))
    assert caught.value.response.status == 401


@pytest.mark.parametrize(
    ("raw", "cause"),
    [
        (b"", "closed the connection"),
        (b"HTTP/1.1 101 X\r\nsec-websocket-accept: wrong\r\n\r\n", "not for our key"),
        (b"nonsense\r\n\r\n", "answered 0"),
    ],
)
def test_a_bad_handshake_is_an_error_in_words(engine, serve, raw, cause):
    def talk(connection, reader):
        connection.recv(65536)
        connection.sendall(raw)
        connection.shutdown(2)

    with pytest.raises(NoAnswer, match=cause):
        ws(engine, serve(talk))
    assert engine.under_way() == 0


def test_a_server_that_breaks_the_protocol_is_left(engine, serve):
    closed = []
    socket = ws(engine, serve(speaking(echo)))
    socket.on_close = lambda code, reason: closed.append((code, reason))
    socket._take(b"\xc1\x01a")
    assert closed == [(1002, "the server sent a reserved bit without an extension")]


def test_what_the_kernel_refuses_is_sent_later_and_in_order(engine, serve):
    got = []

    def slowly(protocol, frame):
        got.append(frame.data)

    socket = ws(engine, serve(speaking(slowly)))
    sent = [bytes([i]) * 300_000 for i in range(40)]
    for payload in sent:
        socket.say(payload)
    assert socket.unsent
    within(20, lambda: len(got) == len(sent))
    assert got == sent


def test_a_wrong_address_is_said(engine):
    with pytest.raises(ConfigError, match="no WebSocket address"):
        WebSocket(engine, "http://127.0.0.1/x")


def test_what_does_not_arrive_is_lost_and_counted(engine):
    from loadengine.measure.measure import Measure
    from tests.loadengine.patched.helpers import counts

    waiting = engine.expecting(Measure("perf.rooms"), within=0.01)
    waiting.sent("a", 1)
    waiting.sent("b", 1)
    waiting.sent("c", 1)
    assert waiting.arrived("a")
    assert not waiting.arrived("a")
    assert waiting.arrived("b", wrong="twice")
    gevent.sleep(0.02)
    waiting.sweep()
    assert len(waiting) == 0
    assert counts(engine) == {"ok": 1, "wrong": 1, "error": 1}
