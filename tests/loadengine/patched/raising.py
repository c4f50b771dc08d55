"""A profile with mistakes of its own: a task that raises (with a password in its words), and a stranger's host."""

from __future__ import annotations

import os

from locust import task

from loadengine.api import Measure, OpenUser
from loadprofiles.users.platform_user import PlatformUser


class MixedUser(PlatformUser, OpenUser):
    rate = 5

    @task
    def probe(self) -> None:
        """Is answered."""
        self.port(Measure("made")).request("GET", f"{self.adapter.platform}/")

    @task
    def stumble(self) -> None:
        """Raises, or contacts what the target does not name."""
        if stranger := os.environ.get("STRANGER"):
            self.port(Measure("strange")).request("GET", f"{stranger}/")
        elif os.environ.get("STUMBLE"):
            raise ValueError(f"cannot log in with {self.person.password}")
