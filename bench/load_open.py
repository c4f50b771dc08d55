"""Locust file of the benches: arrivals at BENCH_RATE a second in all, one checked GET each."""

import os

from locust import task

from loadengine.api import OpenUser, Response


def right(answer: Response) -> str | None:
    """The benches' check: a list whose first row is number 0."""
    return None if answer.json()[0]["id"] == 0 else "another row"


class Arrivals(OpenUser):
    """One slot of the rate."""

    host = os.environ.get("BENCH_URL", "http://127.0.0.1:8080")
    rate = float(os.environ.get("BENCH_RATE", "200")) / float(os.environ.get("BENCH_USERS", "50"))

    def on_start(self) -> None:
        """Headers as a signed-in client sends them."""
        self.http.headers["apikey"] = "k" * 57
        self.http.headers["authorization"] = "Bearer " + "t" * 120
        self.get = self.http.prepare("GET", "/x", expect=right)

    @task
    def read(self) -> None:
        """One arrival."""
        self.http.fetch(self.get)
