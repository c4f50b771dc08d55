"""What every shipped profile's users share: the platform that the run is about, and what was made for the load."""

from __future__ import annotations

from typing import Any

from loadengine.locust.users import LeanUser
from scenarios.adapter import adapter_of


class PlatformUser(LeanUser):
    """Knows the target by the run that the load belongs to; a load without one does not begin."""

    abstract = True
    needs_run = True

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.adapter = adapter_of(self.engine.target)
        self.host = self.adapter.platform
