"""Builder.io's content delivery network, as far as a reader can tell it is there.

Source: Builder.io, "Performance and uptime": answers are cached under their full URL, a changed entry is
served from the old copy for a while (stale-while-revalidate), `cachebust=true` goes past the cache; "Content
API": `cacheSeconds` sets max-age, `staleCacheSeconds` how long a stale copy may be held (one day).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from starlette.requests import Request

ENTRIES = 2_000
DAY = 86_400


def cache_control(parameters: dict[str, str]) -> str:
    """Return the Cache-Control header of an answer to these query parameters."""
    if parameters.get("cachebust") == "true" or parameters.get("preview") == "true":
        return "no-cache, no-store"
    fresh = _seconds(parameters.get("cacheSeconds"), 60)
    stale = _seconds(parameters.get("staleCacheSeconds"), DAY)
    return f"public, max-age={fresh}, stale-while-revalidate={stale}, stale-if-error={DAY}"


def _seconds(text: str | None, default: int) -> int:
    return int(text) if text and text.isdigit() else default


class Edge:
    """A cache by URL that goes on serving the old answer for `delay` seconds after a change."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self._changed_at = 0.0
        self._copies: OrderedDict[str, tuple[float, Any]] = OrderedDict()

    def changed(self) -> None:
        """Note that content changed now."""
        self._changed_at = time.monotonic()

    def serve(self, request: Request, parameters: dict[str, str], make: Callable[[], Any]) -> Any:
        """Return the copy of this URL where it is still served, else what `make` answers now."""
        if parameters.get("cachebust") == "true" or "preview" in parameters:
            return make()
        now = time.monotonic()
        url = str(request.url)
        copy = self._copies.get(url)
        if copy is not None:
            made, answer = copy
            if made > self._changed_at or now < self._changed_at + self.delay:
                return answer
        answer = make()
        self._copies[url] = (now, answer)
        self._copies.move_to_end(url)
        while len(self._copies) > ENTRIES:
            self._copies.popitem(last=False)
        return answer
