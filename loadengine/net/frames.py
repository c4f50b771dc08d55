"""WebSocket frames of RFC 6455, client side: masked ones out, unmasked ones in, no extensions."""

from __future__ import annotations

import secrets
import struct

try:
    from websockets.speedups import apply_mask as mask
except ImportError:  # a platform without its C extension
    from websockets.utils import apply_mask as mask

__all__ = ["BadFrame", "Decoder", "encode", "mask", "new_key", "text_head"]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
NORMAL, GOING_AWAY, PROTOCOL_ERROR, NO_STATUS, ABNORMAL, TOO_BIG = 1000, 1001, 1002, 1005, 1006, 1009
LARGEST = 16 * 2**20
"""Bytes of a message beyond which the connection is closed with 1009."""

_TWO, _EIGHT = struct.Struct("!BBH"), struct.Struct("!BBQ")
_FIN, _MASKED = 0x80, 0x80
_HEADS_KEPT = 4096


class BadFrame(Exception):
    """The server broke the protocol; `code` is the close code to answer with."""

    def __init__(self, code: int, what: str) -> None:
        super().__init__(what)
        self.code = code


TEXT_HEADS: dict[int, bytes] = {}
"""First bytes of a text frame by the length of its payload, as far as `text_head` was asked for them."""


def text_head(size: int) -> bytes:
    """The first bytes of a masked text frame, up to its key; kept for short ones."""
    head = _head(TEXT, size)
    if size < 65536 and len(TEXT_HEADS) < _HEADS_KEPT:
        TEXT_HEADS[size] = head
    return head


def encode(opcode: int, payload: bytes, key: bytes) -> bytes:
    """One whole frame, masked with `key` (4 bytes)."""
    return _head(opcode, len(payload)) + key + mask(payload, key)


def _head(opcode: int, size: int) -> bytes:
    if size < 126:
        return bytes((_FIN | opcode, _MASKED | size))
    if size < 65536:
        return _TWO.pack(_FIN | opcode, _MASKED | 126, size)
    return _EIGHT.pack(_FIN | opcode, _MASKED | 127, size)


def new_key() -> bytes:
    """A masking key. One a connection is enough here: masking protects proxies from scripts in browsers."""
    return secrets.token_bytes(4)


class Decoder:
    """Cuts a byte stream into messages; control frames may stand between the pieces of one."""

    __slots__ = ("_kind", "_parts", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._parts: list[bytes] = []
        self._kind = 0

    @property
    def between(self) -> bool:
        """True when nothing is half read: a piece of the stream may be looked at on its own."""
        return not self._rest and not self._kind

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The whole messages and control frames that `data` completes: (opcode, payload). Raises BadFrame."""
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        found: list[tuple[int, bytes]] = []
        while end - at >= 2:
            first, size = data[at], data[at + 1]
            start = at + 2
            if size >= 126:
                if size & _MASKED:
                    raise BadFrame(PROTOCOL_ERROR, "a masked frame from the server")
                wide = 2 if size == 126 else 8
                if end < start + wide:
                    break
                size = int.from_bytes(data[start : start + wide])
                start += wide
                if size > LARGEST:
                    raise BadFrame(TOO_BIG, f"a frame of {size} bytes")
            if end < start + size:
                break
            at = start + size
            if first & 0x70:
                raise BadFrame(PROTOCOL_ERROR, "a reserved bit without an extension")
            payload = data[start:at]
            opcode = first & 0x0F
            if first & _FIN and opcode in (TEXT, BINARY) and not self._kind:
                found.append((opcode, payload))
            else:
                self._piece(first, opcode, payload, found)
        self._rest = data[at:] if at else data
        return found

    def _piece(self, first: int, opcode: int, payload: bytes, found: list[tuple[int, bytes]]) -> None:
        if opcode >= CLOSE:
            if not first & _FIN or len(payload) > 125 or opcode > PONG:
                raise BadFrame(PROTOCOL_ERROR, "a control frame that is cut, too long or unknown")
            found.append((opcode, payload))
            return
        if (opcode == CONTINUATION) != bool(self._kind) or opcode > BINARY:
            raise BadFrame(PROTOCOL_ERROR, "a message out of sequence")
        self._kind = self._kind or opcode
        self._parts.append(payload)
        if sum(map(len, self._parts)) > LARGEST:
            raise BadFrame(TOO_BIG, "a message larger than the limit")
        if first & _FIN:
            found.append((self._kind, b"".join(self._parts)))
            self._parts, self._kind = [], 0
