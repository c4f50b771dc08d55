"""What data cannot say of the reference platform: its posts, of which the loads `database` and `mixed` know every word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from scenarios.adapter import Adapter, LoadPerson

if TYPE_CHECKING:
    from clients.service_clients import ServiceClients


class ReferenceAdapter(Adapter):
    """The reference platform."""

    def make_posts(self, services: ServiceClients, people: Sequence[LoadPerson], each: int) -> dict[str, Any]:
        """`each` published posts and one draft of every person."""
        from stack.platform.assay.posts.material import made_posts  # an SDK is no load's

        return made_posts(services, people, each)
