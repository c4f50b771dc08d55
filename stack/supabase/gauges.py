"""How busy the gateway is, second by second, so that a load interval it spoiled can be marked unknown."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

TICK_S = 0.02
SATURATED = {"loop_lag_ms": 50.0, "pool_wait_ms": 50.0, "cpu": 0.97}


@dataclass(slots=True)
class Second:
    """One wall-clock second: the worst event-loop lag and pool wait (ms), requests, and this process's CPU share."""

    at: int
    loop_lag_ms: float = 0.0
    pool_wait_ms: float = 0.0
    requests: int = 0
    cpu: float = 0.0
    saturated: bool = False


class Gauges:
    """The last two minutes of Second records."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._now = Second(int(time.time()))
        self._past: deque[Second] = deque(maxlen=120)
        self._cpu = time.process_time()

    def request(self) -> None:
        """Count a request."""
        self._now.requests += 1

    def pool_wait(self, seconds: float) -> None:
        """A request waited this long for a database connection."""
        self._now.pool_wait_ms = max(self._now.pool_wait_ms, round(seconds * 1000, 2))

    async def watch(self) -> None:
        """Measure the loop's lag until cancelled."""
        while True:
            due = time.monotonic() + TICK_S
            await asyncio.sleep(TICK_S)
            self._now.loop_lag_ms = max(self._now.loop_lag_ms, round((time.monotonic() - due) * 1000, 2))
            if int(time.time()) != self._now.at:
                self._turn()

    def _turn(self) -> None:
        cpu, wall = time.process_time(), int(time.time())
        done = self._now
        done.cpu = round((cpu - self._cpu) / max(wall - done.at, 1), 3)
        done.saturated = any(getattr(done, name) > limit for name, limit in SATURATED.items())
        self._past.append(done)
        self._now, self._cpu = Second(wall), cpu

    def report(self) -> dict[str, Any]:
        """``saturated`` (in the last whole second) and the ``seconds`` behind it, oldest first."""
        return {
            "component": "supabase",
            "saturated": bool(self._past and self._past[-1].saturated),
            "in_flight": self.in_flight,
            "limits": SATURATED,
            "seconds": [asdict(second) for second in self._past],
        }
