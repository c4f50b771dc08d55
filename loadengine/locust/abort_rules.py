"""Abort rules: a load ends early at too many failures, at answers that are far too slow, or at silence."""

from __future__ import annotations

from loadengine.locust.live_stats import LiveStats
from loadengine.settings import LoadSettings

WINDOWS = (0.75, 5.0, 25.0)
"""Seconds looked back, the shortest that holds enough answers; a busy live load stops within a second."""
FEWEST = 20
"""Answers in the window below which nothing is concluded, and operations under way whose silence tells."""


class AbortRules:
    """Judges a running load a few times a second."""

    def __init__(self, settings: LoadSettings) -> None:
        self._settings = settings
        self._count, self._since, self._waiting = -1, 0, 0

    def reason_to_stop(self, view: LiveStats, now: int, under_way: int) -> str | None:
        """Why the load must stop now, in a sentence, or None. `under_way`: operations that have not ended."""
        return self._answers(view, now) or self._silence(view, now, under_way)

    def _answers(self, view: LiveStats, now: int) -> str | None:
        settings = self._settings
        for window in WINDOWS:
            recent = view.recent(now, window)
            if recent.count >= FEWEST:
                break
        else:
            return None
        if 0 < settings.stop_errors <= recent.failure_share:
            causes = "; ".join(f"{cause} ({count})" for cause, count in view.causes(2))
            return (
                f"{recent.failure_share:.0%} of the last {recent.count} answers failed "
                f"(limit {settings.stop_errors:.0%}): {causes}"
            )
        slow = recent.response.percentile(95)
        if 0 < settings.stop_p95_ms <= slow:
            return (
                f"p95 of the last {recent.count} answers is {slow:.0f} ms "
                f"(limit {settings.stop_p95_ms:.0f} ms)"
            )
        return None

    def _silence(self, view: LiveStats, now: int, under_way: int) -> str | None:
        """A target that hangs answers nothing, so that its answers say nothing."""
        if view.count != self._count:
            self._count, self._since, self._waiting = view.count, now, under_way
        self._waiting = min(self._waiting, under_way)
        silent = (now - self._since) / 1e9
        if 0 < self._settings.stop_silence <= silent and self._waiting >= FEWEST:
            return (
                f"nothing was answered for {silent:.1f} s while {under_way} operations wait "
                f"(limit {self._settings.stop_silence:g} s)"
            )
        return None
