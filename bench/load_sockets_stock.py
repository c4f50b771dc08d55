"""Locust file of the socket bench: the way Locust's documentation shows, websocket-client in a greenlet each."""

import os
import time

import websocket
from locust import User, constant, task

URL = os.environ.get("BENCH_WS", "ws://127.0.0.1:8090/")
MESSAGE = "x" * 128


class Stock(User):
    """Round trips as fast as they go."""

    wait_time = constant(0)

    def on_start(self) -> None:
        """Opens the socket."""
        self.socket = websocket.create_connection(URL, skip_utf8_validation=True)

    @task
    def round_trip(self) -> None:
        """One message and its echo."""
        before = time.perf_counter()
        self.socket.send(MESSAGE)
        answer = self.socket.recv()
        self.environment.events.request.fire(
            request_type="WS",
            name="echo",
            response_time=(time.perf_counter() - before) * 1000,
            response_length=len(answer),
            exception=None if answer == MESSAGE else ValueError("another message"),
            context={},
        )
