"""A small HTTP server that misbehaves on purpose and knows, to the nanosecond, when it answered what.

    python bench/load_server.py PORT MODE [LOG.npy]

Modes: `plain`; `stall` (its whole process sleeps 2 s in every 10 s); `ramp` (each answer is delayed, by 0 at
first and 20 ms more each second, up to 500 ms); `queue` (one server: every request takes 2 ms, so capacity
is 500/s). After SIGUSR1 every answer is 500, after SIGUSR2 a second late. At SIGTERM it writes rows of (number
from the traceparent or -1, received, answered), monotonic nanoseconds, and prints how many requests it saw.
First line on stdout: READY.
"""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import time
from array import array
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

BODY = b'[{"id":0,"room_id":"3f1b8a52-8a0b-4c1c-9d5e-0c7f6a1b2c3d","text":"' + b"x" * 380 + b'"}]'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
FAILURE = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno"
SERVICE_NS = 2_000_000
STALL_EVERY, STALL_FOR = 10.0, 2.0
_NUMBER = re.compile(rb"traceparent: 00-[0-9a-f]{16}([0-9a-f]{16})-")
now = time.monotonic_ns


class Server:
    """State shared by all connections."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.log = array("q")
        self.started = 0
        self.free_at = 0
        self.body = ANSWER
        self.late = 0.0

    def fail(self) -> None:
        """From now on nothing works."""
        self.body = FAILURE

    def crawl(self) -> None:
        """From now on everything takes a second."""
        self.late = 1.0

    def delay(self, received: int) -> float:
        """Seconds until the answer to a request received now."""
        if self.mode == "ramp":
            self.started = self.started or received
            return min((received - self.started) / 1e9 * 0.020, 0.5)
        if self.mode == "queue":
            self.free_at = max(self.free_at, received) + SERVICE_NS
            return (self.free_at - received) / 1e9
        return self.late


class Talk(asyncio.Protocol):
    """One connection; requests without bodies only."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.rest = b""

    def connection_made(self, transport: Any) -> None:
        """Remembers where to answer."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers every whole request in `data`, now or later."""
        *heads, self.rest = (self.rest + data).split(b"\r\n\r\n")
        for head in heads:
            received = now()
            found = _NUMBER.search(head)
            number = int(found[1], 16) if found else -1
            delay = self.server.delay(received)
            if delay:
                asyncio.get_running_loop().call_later(delay, self.answer, number, received)
            else:
                self.answer(number, received)

    def answer(self, number: int, received: int) -> None:
        """Answers and logs when."""
        self.transport.write(self.server.body)
        self.server.log.extend((number, received, now()))


async def serve(port: int, mode: str) -> Server:
    """Serves until SIGTERM."""
    loop = asyncio.get_running_loop()
    state = Server(mode)
    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    loop.add_signal_handler(signal.SIGUSR1, state.fail)
    loop.add_signal_handler(signal.SIGUSR2, state.crawl)
    server = await loop.create_server(lambda: Talk(state), "127.0.0.1", port, backlog=8192)
    print("READY", server.sockets[0].getsockname()[1], flush=True)
    while not over.is_set():
        try:
            await asyncio.wait_for(over.wait(), STALL_EVERY - STALL_FOR)
        except TimeoutError:
            if mode == "stall":
                time.sleep(STALL_FOR)  # noqa: ASYNC251 (the point)
    server.close()
    return state


if __name__ == "__main__":
    result = uvloop.run(serve(int(sys.argv[1]), sys.argv[2]))
    rows = np.array(result.log, np.int64).reshape(-1, 3)
    if len(sys.argv) > 3:
        np.save(Path(sys.argv[3]), rows)
    print("SAW", len(rows), flush=True)
