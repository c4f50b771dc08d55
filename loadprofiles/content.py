"""Visitors open content pages, cached and not; each page must be word for word what Builder.io holds.

    assay load content --users 20 --for 60s

perf.content is judged on what was not in the cache (`cache=miss`): each such request names an audience of its own,
for which nothing can be kept yet. Pages are made before the load at Builder.io and go afterwards, kept copies too.
"""

from __future__ import annotations

import os
import random

from locust import task

from core.load_needs import Needs
from loadengine.api import Measure, OpenUser, Poisson
from loadprofiles.oracles.pages import CachedPage, fresh, pages_made
from loadprofiles.users.platform_user import PlatformUser

NEEDS = Needs(uses=("platform.api", "content.api"), pages=8)

MISS, HIT = (Measure("perf.content", cache=state) for state in ("miss", "hit"))


class Visitor(PlatformUser, OpenUser):
    """Somebody who is not signed in, at an address of their own."""

    own_address = True
    arrivals = Poisson

    def on_start(self) -> None:
        """One port for each page that is kept."""
        self.pages = pages_made(self.engine)
        self.kept = [(page["path"], self.port(HIT, CachedPage(page))) for page in self.pages]

    @task(2)
    def open_page_anew(self) -> None:
        """A page for an audience that nobody was before: Builder.io is asked."""
        page = random.choice(self.pages)  # noqa: S311 (a choice, not a secret)
        audience = f"load-{os.getpid()}-{self.engine.number('audience')}"
        self.adapter.page(self.port(MISS, fresh(page)), page["path"], audience=audience)

    @task(3)
    def open_page(self) -> None:
        """A page that is kept."""
        path, port = random.choice(self.kept)  # noqa: S311
        self.adapter.page(port, path)
