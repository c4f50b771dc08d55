import itertools
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from loadengine.net import frames
from loadengine.net.frames import BINARY, CLOSE, PING, TEXT, BadFrame, Decoder, encode

SIZES = st.lists(st.integers(0, 300) | st.integers(65530, 65540), max_size=5)


def server(opcode, payload, fin=True):
    return Frame(Opcode(opcode), payload, fin).serialize(mask=False)


@settings(max_examples=60, deadline=None)
@given(SIZES, st.lists(st.sampled_from([1, 2, 3, 7, 100, 4096, 70000]), min_size=1, max_size=20))
def test_any_cutting_of_the_stream_gives_the_same_messages(sizes, steps):
    payloads = [bytes(i % 253 for i in range(size)) for size in sizes]
    stream = b"".join(server(BINARY, payload) for payload in payloads)
    decoder, got, at = Decoder(), [], 0
    for step in itertools.cycle(steps):
        got += decoder.feed(stream[at : at + step])
        at += step
        if at >= len(stream):
            break
    assert got == [(BINARY, payload) for payload in payloads]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 100_000])
def test_what_we_send_is_what_a_server_reads(size):
    payload = bytes(i % 251 for i in range(size))
    data = encode(TEXT, payload, b"\x11\x22\x33\x44")
    parser = Frame.parse(_reader(data), mask=True)
    frame = _run(parser)
    assert (frame.opcode, frame.data, frame.fin) == (Opcode.TEXT, payload, True)


def test_pieces_are_joined_with_control_frames_between_them():
    decoder = Decoder()
    stream = (
        server(TEXT, b"one ", fin=False)
        + server(PING, b"?")
        + server(0, b"two ", fin=False)
        + server(0, b"three")
    )
    assert decoder.feed(stream) == [(PING, b"?"), (TEXT, b"one two three")]
    assert decoder.feed(server(TEXT, b"next")) == [(TEXT, b"next")]


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        (server(0, b"no beginning"), frames.PROTOCOL_ERROR),
        (server(TEXT, b"a", fin=False) + server(TEXT, b"b"), frames.PROTOCOL_ERROR),
        (b"\xc1\x01a", frames.PROTOCOL_ERROR),
        (b"\x83\x01a", frames.PROTOCOL_ERROR),
        (b"\x8b\x01a", frames.PROTOCOL_ERROR),
        (b"\x09\x01a", frames.PROTOCOL_ERROR),
        (b"\x81\xff" + struct.pack("!Q", 5), frames.PROTOCOL_ERROR),
        (b"\x82\x7f" + struct.pack("!Q", frames.LARGEST + 1), frames.TOO_BIG),
    ],
)
def test_a_broken_protocol_is_named(stream, code):
    with pytest.raises(BadFrame) as caught:
        Decoder().feed(stream)
    assert caught.value.code == code


def test_a_close_frame_comes_through():
    assert Decoder().feed(server(CLOSE, struct.pack("!H", 4401) + b"expired")) == [
        (CLOSE, b"\x11\x31expired")
    ]


def _reader(data):
    position = 0

    def read_exact(count):
        nonlocal position
        position += count
        return data[position - count : position]
        yield

    return read_exact


def _run(generator):
    try:
        while True:
            next(generator)
    except StopIteration as done:
        return done.value
