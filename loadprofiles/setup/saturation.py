"""Records when the embedded target's gateway was itself saturated, so that misses then are not put down to the platform.

The gateway tells of each of its last 120 seconds whether its event loop, its connection pool or its CPU were at their
end (`GET /__control/health`, with the control token). Such seconds are journaled by its name; the report takes a miss
in them for unknown.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from core.events import ComponentSaturated, Note, NoteLevel
from core.run import Run
from loadprofiles.setup import network

EVERY = 20.0
"""Seconds between two questions; the gateway remembers two minutes."""
_ORIGIN = "VITE_SUPABASE_URL"


class SaturationWatch(threading.Thread):
    """Asks until it is ended, and once more then."""

    def __init__(self, run: Run, profile: str) -> None:
        super().__init__(name="saturation", daemon=True)
        self._run, self._journal, self._profile = run, run.journal, profile
        self._over = threading.Event()
        self._since = int(time.time())

    def run(self) -> None:
        """Journals each saturated second once."""
        while not self._over.wait(EVERY):
            self.look()

    def end(self) -> None:
        """Waits for the thread and looks a last time."""
        self._over.set()
        self.join()
        self.look()

    def look(self) -> None:
        """Asks the gateway now; one that does not answer is journaled, and judged by the load's own errors."""
        try:
            gauges = _ask(self._run)
        except (OSError, ValueError) as error:
            self._journal.write(Note(NoteLevel.INFO, f"the gateway's state cannot be read: {error}"))
            return
        shift = time.time_ns() - time.monotonic_ns()
        for second in gauges["seconds"]:
            if second["at"] < self._since:
                continue
            self._since = second["at"] + 1
            if second["saturated"]:
                start = second["at"] * 1_000_000_000 - shift
                over = _over(second, gauges["limits"])
                self._journal.write(
                    ComponentSaturated(gauges["component"], self._profile, start, start + 1_000_000_000, over)
                )


@contextmanager
def watched(run: Run, profile: str, origins: tuple[str, ...]) -> Iterator[None]:
    """Journals the way to the target, and its gateway's saturation while the block runs (embedded target only)."""
    with run.part("around") as run:
        network.record(run, profile, origins)
        if not (run.target.control_token and run.target.find(_ORIGIN)):
            yield
            return
        watch = SaturationWatch(run, profile)
        watch.start()
        try:
            yield
        finally:
            watch.end()


def _ask(run: Run) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310 (the target's own address)
        run.permit.contact(f"{run.target.get(_ORIGIN).rstrip('/')}/__control/health"),
        headers={"Authorization": f"Bearer {run.target.control_token}"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=5) as answer:
        return dict(json.load(answer))


def _over(second: dict[str, Any], limits: dict[str, Any]) -> dict[str, float]:
    """What was over its limit in a second, by the gateway's names."""
    return {key: float(second[key]) for key, limit in limits.items() if second[key] > limit}
