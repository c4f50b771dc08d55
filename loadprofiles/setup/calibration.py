"""Locust file by which `assay doctor --load` measures the generator itself: one checked GET after the other, no platform."""

from __future__ import annotations

from locust import constant, task

from loadengine.api import ClosedUser, Response


def right(answer: Response) -> str | None:
    """A list whose first row is number 0."""
    return None if answer.json()[0]["id"] == 0 else "another row"


class Asking(ClosedUser):
    """Asks again as soon as it is answered."""

    wait_time = constant(0)

    def on_start(self) -> None:
        """Headers as a signed-in client sends them."""
        self.http.headers["authorization"] = "Bearer " + "t" * 120
        self.get = self.http.prepare("GET", "/", expect=right)

    @task
    def read(self) -> None:
        """One request."""
        self.http.fetch(self.get)
