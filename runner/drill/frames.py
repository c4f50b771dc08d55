"""WebSocket messages between a client and the platform (RFC 6455, section 5), with what rules make of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runner.drill.catalogue import Frames

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Rule = tuple[Frames, Callable[[], None]]
"""A rule, and whom to tell that it changed something."""
TEXT, CLOSE = 1, 8


@dataclass
class Frame:
    """One frame, unmasked. `head` is its first byte: FIN, reserved bits and opcode."""

    head: int
    payload: bytes
    masked: bool

    @property
    def opcode(self) -> int:
        """What kind of frame it is."""
        return self.head & 0x0F

    def raw(self) -> bytes:
        """The frame as it is sent, with a new mask where it had one."""
        n = len(self.payload)
        bit = 0x80 if self.masked else 0
        if n < 126:
            size = bytes([bit | n])
        elif n <= 0xFFFF:
            size = bytes([bit | 126]) + n.to_bytes(2, "big")
        else:
            size = bytes([bit | 127]) + n.to_bytes(8, "big")
        if not self.masked:
            return bytes([self.head]) + size + self.payload
        mask = os.urandom(4)
        return bytes([self.head]) + size + mask + _xor(self.payload, mask)


def _xor(data: bytes, mask: bytes) -> bytes:
    n = len(data)
    key = (mask * (n // 4 + 1))[:n]
    return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(n, "big")


async def read(reader: asyncio.StreamReader) -> Frame:
    """The next frame. Raises IncompleteReadError at the end."""
    head, size = await reader.readexactly(2)
    length = size & 0x7F
    if length >= 126:
        length = int.from_bytes(await reader.readexactly(2 if length == 126 else 8), "big")
    mask = await reader.readexactly(4) if size & 0x80 else b""
    payload = await reader.readexactly(length)
    return Frame(head, _xor(payload, mask) if mask else payload, bool(mask))


class Line:
    """One direction of a connection."""

    def __init__(self, writer: asyncio.StreamWriter, rules: Sequence[Rule]) -> None:
        self._writer = writer
        self._rules = [(*rule, [0]) for rule in rules]
        self._held: Frame | None = None
        self._late: set[asyncio.Task[None]] = set()

    async def take(self, frame: Frame) -> None:
        """Passes a frame on, as the rules say."""
        rule = self._rule(frame) if frame.opcode == TEXT else None
        if rule and rule.find:
            frame.payload = re.sub(rule.find.encode(), rule.replace.encode(), frame.payload)
        if rule and rule.close:
            frame = Frame(0x80 | CLOSE, rule.close.to_bytes(2, "big"), frame.masked)
        if rule and rule.lose:
            return
        if rule and rule.late:
            task = asyncio.create_task(self._later(frame, rule.late / 1000))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
            return
        if rule and rule.swap and self._held is None:
            self._held = frame
            return
        await self._send(frame)
        if rule and rule.twice:
            await self._send(frame)
        if self._held is not None:
            held, self._held = self._held, None
            await self._send(held)

    def _rule(self, frame: Frame) -> Frames | None:
        for rule, did, met in self._rules:
            if re.search(rule.match.encode(), frame.payload):
                met[0] += 1
                if met[0] % rule.every == 0:
                    if re.search(rule.find.encode(), frame.payload):
                        did()
                    return rule
        return None

    async def _later(self, frame: Frame, seconds: float) -> None:
        await asyncio.sleep(seconds)
        with contextlib.suppress(OSError):
            await self._send(frame)

    async def _send(self, frame: Frame) -> None:
        self._writer.write(frame.raw())
        await self._writer.drain()


async def relay(client: Pair, platform: Pair, rules: Sequence[Rule]) -> None:
    """Passes frames both ways until one side ends."""
    up = Line(platform[1], [rule for rule in rules if rule[0].direction == "up"])
    down = Line(client[1], [rule for rule in rules if rule[0].direction == "down"])

    async def pump(reader: asyncio.StreamReader, line: Line) -> None:
        while True:
            await line.take(await read(reader))

    pumps = [asyncio.create_task(pump(client[0], up)), asyncio.create_task(pump(platform[0], down))]
    _, rest = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    await asyncio.gather(*pumps, return_exceptions=True)
