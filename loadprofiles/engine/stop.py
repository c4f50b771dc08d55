"""Stops a load that does more harm than it teaches: too many failures, or answers far too slow."""

from __future__ import annotations

from loadprofiles.engine.settings import Settings
from loadprofiles.engine.view import View

WINDOW = 1.0
"""Seconds looked back; a live load stops within about one more."""
FEWEST = 20
"""Samples in the window below which nothing is concluded."""


def reason_to_stop(view: View, now: int, settings: Settings) -> str | None:
    """Why the load must stop now, in a sentence, or None."""
    recent = view.recent(now, WINDOW)
    if recent.count < FEWEST:
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
            f"p95 of the last {recent.count} answers is {slow:.0f} ms (limit {settings.stop_p95_ms:.0f} ms)"
        )
    return None
