"""Which requests only read: every GET, HEAD and OPTIONS, and the POSTs that stand in one table here.

A run whose target permits `read` alone sends these and nothing else. What goes over a WebSocket nobody can tell by its
opening, so that one counts as writing.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
READING_POSTS = {
    r"/storage/v1/object/list/[^/]+": "Supabase Storage lists a folder (supabase.com/docs/reference/api)",
    r"/v1beta/properties/[^/:]+:runRealtimeReport": "GA4 Data API: properties.runRealtimeReport, a report",
    r"/v1beta/properties/[^/:]+:runReport": "GA4 Data API: properties.runReport, a report",
    r"/debug/mp/collect": "GA4 Measurement Protocol: the validation server, which stores no event",
    r"/api/v2/rum/events/search": "DataDog API: Search RUM events",
    r"/api/v2/rum/analytics/aggregate": "DataDog API: Aggregate RUM events",
}
"""Path -> what it reads, by the vendor's documentation: searches whose question is a body."""
_POSTS = re.compile("|".join(f"(?:{path})" for path in READING_POSTS))
_ADMIN = re.compile(r"/auth/v1/admin(?:/|$)")


def only_reads(method: str, address: str) -> bool:
    """Whether a request of this method changes nothing; `address` is a URL or a path."""
    parts = urlsplit(address)
    if parts.scheme in ("ws", "wss"):
        return False
    return method in METHODS or (method == "POST" and _POSTS.fullmatch(parts.path) is not None)


def is_admin(address: str) -> bool:
    """Whether a request to this URL or path is one of Supabase Auth's admin API."""
    parts = urlsplit(address)
    return parts.scheme not in ("ws", "wss") and _ADMIN.search(parts.path) is not None
