"""A body is unpacked whole, within bounds, or not at all."""

from __future__ import annotations

import gzip
import zlib

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from loadengine.net import response
from loadengine.net.response import Response


def _bare(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKED = {
    "gzip": ("gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "bare deflate": ("deflate", _bare),
    "brotli": ("br", brotli.compress),
    "zstd": ("zstd", zstandard.compress),
}
codings = pytest.mark.parametrize("name", PACKED)


def _answer(coding: str, body: bytes) -> Response:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\n\r\n".encode()
    return Response.of((200, head, body, True), 0, 0, 0, 0)


@codings
@given(data=st.binary(max_size=2000), repeated=st.integers(1, 500))
def test_what_was_packed_comes_out(name: str, data: bytes, repeated: int) -> None:
    coding, pack = PACKED[name]
    assert _answer(coding, pack(data * repeated)).content == data * repeated


@codings
def test_a_body_cut_anywhere_is_none_however_often_it_is_read(name: str) -> None:
    coding, pack = PACKED[name]
    whole = pack(b'{"a": 1}' * 100)
    for length in range(1, len(whole)):
        answer = _answer(coding, whole[:length])
        for _ in range(2):
            with pytest.raises(ValueError, match=f"not valid {coding}"):
                answer.content  # noqa: B018 - a property that raises


@codings
def test_a_bomb_is_told_before_it_fills_memory(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response, "MOST", 1_000_000)
    coding, pack = PACKED[name]
    assert len(_answer(coding, pack(bytes(1_000_000))).content) == 1_000_000
    with pytest.raises(ValueError, match="unpacks to over 1000000 bytes"):
        _answer(coding, pack(bytes(50_000_000))).json()


def test_many_encodings_over_one_another_are_not_undone() -> None:
    body = b"{}"
    for _ in range(3):
        body = gzip.compress(body)
    assert _answer("gzip, gzip, gzip", body).json() == {}
    with pytest.raises(ValueError, match="4 encodings"):
        _answer("gzip, gzip, gzip, gzip", gzip.compress(body)).json()
