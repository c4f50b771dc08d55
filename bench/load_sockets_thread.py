"""Locust file of the socket bench: the engines that we did not choose, on uvloop in one native thread.

BENCH_KIND=picows is the fastest client there is for asyncio; BENCH_KIND=websockets the one most used. Round trips
as fast as they go, each recorded as our own engine's are. Greenlets only wait; what the thread does with the
recorder is safe because nothing else in this bench records.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Coroutine
from typing import Any, ClassVar

import gevent
import gevent.monkey
import uvloop
import websockets
from gevent.event import Event
from locust import task
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from loadengine.api import Measure
from loadengine.locust.users import LeanUser
from loadengine.measure.recorder import CLOSED, OK, WRONG

URL = os.environ.get("BENCH_WS", "ws://127.0.0.1:8090/")
KIND = os.environ.get("BENCH_KIND", "picows")
MESSAGE = b"x" * 128
ECHO = Measure("perf.rooms", kind="echo")


class Threaded(LeanUser):
    """One socket in the thread's loop."""

    loop: ClassVar[list[asyncio.AbstractEventLoop]] = []
    kept: ClassVar[list[Any]] = []

    def on_start(self) -> None:
        """Starts the thread with the first user, and a socket for each."""
        if not self.loop:
            self.loop.append(uvloop.new_event_loop())
            gevent.monkey.get_original("_thread", "start_new_thread")(self.loop[0].run_forever, ())
        record = self.engine.recorder.record
        series = self.engine.recorder.new_series(ECHO.metric, **ECHO.labels).number

        def done(sent: int, right: bool) -> int:
            now = time.monotonic_ns()
            record(series, OK if right else WRONG, CLOSED, sent, sent, now)
            return now

        work: Coroutine[Any, Any, Any] = by_picows(done) if KIND == "picows" else by_websockets(done)
        self.loop[0].call_soon_threadsafe(lambda: self.kept.append(self.loop[0].create_task(work)))
        gevent.sleep(0.001)

    @task
    def nothing(self) -> None:
        """Locust wants a task; everything happens in the thread."""

    def live(self) -> None:
        """Stays."""
        Event().wait()


async def by_picows(done: Any) -> None:
    """Round trips in picows's own callback."""

    class Listener(WSListener):
        sent = 0

        def on_ws_connected(self, transport: WSTransport) -> None:
            self.sent = time.monotonic_ns()
            transport.send(WSMsgType.TEXT, MESSAGE)

        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            self.sent = done(self.sent, frame.get_payload_as_bytes() == MESSAGE)
            transport.send(WSMsgType.TEXT, MESSAGE)

    transport, _ = await ws_connect(Listener, URL, enable_auto_ping=False)
    await transport.wait_disconnected()


async def by_websockets(done: Any) -> None:
    """Round trips in a coroutine."""
    text = MESSAGE.decode()
    async with websockets.connect(URL, compression=None, ping_interval=None) as socket:
        sent = time.monotonic_ns()
        while True:
            await socket.send(text)
            sent = done(sent, await socket.recv() == text)
