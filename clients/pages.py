"""Reading a listing page by page, with an end to it whatever the service says."""

from __future__ import annotations

from collections.abc import Iterator

from core.errors import ServiceError

MOST_PAGES = 1000
"""Pages of a listing after which it is taken for one without end; those of the services hold 100 or 1,000 entries."""


def pages(service: str, what: str) -> Iterator[int]:
    """The number of each page to ask for, from 0; the caller leaves when it has the last.

    Raises ServiceError of that service where there are more than MOST_PAGES: what was read so far is no whole listing.
    """
    yield from range(MOST_PAGES)
    raise ServiceError(service, f"{what} never ends ({MOST_PAGES} pages)")
