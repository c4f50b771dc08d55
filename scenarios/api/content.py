"""A visitor opens a content page."""

from __future__ import annotations

from urllib.parse import urlencode

from core.port import Answer, Port
from scenarios.api.place import Place


def page(port: Port, place: Place, path: str, **targeting: str) -> Answer:
    """The rendered content of a path; `X-Cache` says hit, miss or stale. Targeting: locale, device, audience."""
    query = urlencode({"path": path, **targeting})
    return port.request("GET", f"{place.platform}/api/content?{query}", headers=place.platform_headers())


def cache_state(answer: Answer) -> str:
    """`hit`, `miss`, `stale`, or what else the header says."""
    return str(answer.headers.get("x-cache", ""))
