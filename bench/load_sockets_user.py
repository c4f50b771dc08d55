"""Locust file of the socket benches. BENCH_PERIOD=0: round trips as fast as they go; else one message each.

Every round trip is recorded and its echo checked, but with BENCH_KIND=assay-bare.
"""

from __future__ import annotations

import os
import time

from gevent.event import Event
from locust import task

from loadengine.api import Measure, OpenUser, WebSocket
from loadengine.locust.users import LeanUser
from loadengine.measure.recorder import CLOSED, OK, WRONG

URL = os.environ.get("BENCH_WS", "ws://127.0.0.1:8090/")
PERIOD = float(os.environ.get("BENCH_PERIOD", "0"))
BARE = os.environ.get("BENCH_KIND") == "assay-bare"
MESSAGE = b"x" * 128
ECHO = Measure("perf.rooms", kind="echo")


class Paced(OpenUser):
    """A message each PERIOD seconds, echo awaited without blocking anything."""

    abstract = PERIOD == 0
    rate = 1 / PERIOD if PERIOD else 1.0

    def on_start(self) -> None:
        """Opens the socket."""
        self.waiting = self.engine.expecting(ECHO)
        self.ws = WebSocket(self.engine, URL)
        self.ws.on_message = lambda payload: self.waiting.arrived(self, len(payload))

    @task
    def speak(self) -> None:
        """One message."""
        self.waiting.sent(self, self.intended())
        self.ws.say_text(MESSAGE)


class PingPong(LeanUser):
    """The next message leaves when the echo comes."""

    abstract = PERIOD != 0

    def on_start(self) -> None:
        """Opens the socket."""
        self.recorder = recorder = self.engine.recorder
        self.record = recorder.record
        self.series = recorder.new_series(ECHO.metric, **ECHO.labels).number
        self.sent = 0
        self.ws = WebSocket(self.engine, URL)
        self.ws.on_message = self.came if BARE else self.echoed

    def echoed(self, payload: bytes) -> None:
        """One round trip is over, the next begins."""
        now, sent = time.monotonic_ns(), self.sent
        if payload == MESSAGE:
            self.record(self.series, OK, CLOSED, sent, sent, now)
        else:
            self.recorder.failed(self.series, WRONG, CLOSED, sent, sent, now, "another message")
        self.sent = now
        if not self.engine.closing:
            self.ws.say_text(MESSAGE)

    def came(self, payload: bytes) -> None:
        """The next message, and nothing else."""
        if not self.engine.closing:
            self.ws.say_text(MESSAGE)

    @task
    def nothing(self) -> None:
        """Locust wants a task; everything happens in `echoed`."""

    def live(self) -> None:
        """Starts the first round trip and stays."""
        self.sent = time.monotonic_ns()
        self.ws.say_text(MESSAGE)
        Event().wait()
