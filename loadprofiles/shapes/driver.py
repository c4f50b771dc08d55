"""The Locust file that follows a shape: given beside a profile's, `-f database.py,shapes/driver.py`."""

from __future__ import annotations

import logging
import time
from typing import Any

from locust import LoadTestShape

from core.load_events import LoadKnee
from loadprofiles import shapes
from loadprofiles.shapes.knee import CONFIDENCE, KneeSearch
from loadprofiles.shapes.level import CLIMB, Level

_AT_ONCE = 500.0
"""Users spawned in a second at most."""
_CALM_MS = 50
"""p95 of the last second below which an overload is over."""


class Driver(LoadTestShape):
    """Asked by Locust each second how many users there shall be."""

    use_common_options = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._steps: Steps | None = None

    def tick(self) -> tuple[int, float] | None:
        """(users, users a second while they change), None at the end."""
        environment: Any = self.runner.environment  # type: ignore[union-attr]
        at = self.get_run_time()  # type: ignore[no-untyped-call]
        peak = int(environment.parsed_options.num_users or 1)
        settings = environment.assay_process.settings
        if settings.shape == "step":
            if self._steps is None:
                logging.getLogger("locust.runners").setLevel(logging.ERROR)  # it warns of each quick change
                self._steps = Steps(environment, peak, settings.shape_seconds)
            users = self._steps.now(at)
            return None if users is None else (users, max(20.0, peak / 64, users / CLIMB))
        for end, users in shapes.stages(settings.shape, peak, settings.shape_seconds):
            if at < end:
                return users, _AT_ONCE
        return None


class Steps:
    """Tries one level after another: settle, measure, judge; after an overload it waits until that is gone."""

    def __init__(self, environment: Any, peak: int, seconds: float) -> None:
        self.search = KneeSearch(peak)
        self._controller = environment.assay_controller
        self._process = environment.assay_process
        self._seconds = seconds
        self._each = min(max(seconds / 30, 9.0), 25.0)
        self._calm = max(1, peak // 64)
        """Users while an overload goes away; half of what is known to hold, so that few need to come anew."""
        self._level: Level | None = None
        self._resting_since = 0.0

    def now(self, at: float) -> int | None:
        """How many users there shall be at this second of the load."""
        if self._level is None:
            if self._resting_since and not self._rested(at):
                return self._calm
            if self.search.level is None or at + self._each > self._seconds:
                self._over()
                return None
            self._resting_since = 0.0
            profile = self._process.settings.profile
            self._level = Level(self._controller, profile, self.search.level, self._each, time.monotonic_ns())
            return self.search.level
        result = self._level.judge(time.monotonic_ns())
        if result is None:
            return self._level.users
        level, self._level = self._level, None
        self._process.write(result)
        print(f"level {level.users} users: {'holds' if result.holds else result.why}", flush=True)
        self.search.record(result.holds)
        self._calm = max(self._calm, self.search.held // 2)
        if not result.holds:
            self._resting_since = at
            return self._calm
        return self.now(at)

    def _rested(self, at: float) -> bool:
        since = at - self._resting_since
        if since < 2:
            return False
        recent = self._controller.view.recent(time.monotonic_ns(), 1.0)
        return since > 20 or bool(recent.response.percentile(95) < _CALM_MS)

    def _over(self) -> None:
        search = self.search
        profile = self._process.settings.profile
        knee = LoadKnee(profile, search.users, search.low, search.high, search.sure, search.peak)
        self._process.write(knee, durable=True)
        high = "beyond" if search.high is None else search.high
        print(f"knee: {search.users} users hold ({CONFIDENCE:.0%} sure: {search.low} to {high})", flush=True)
