"""The content cache under load: hits, misses, a stampede on a page that nobody has opened, and change under load.

    assay load cache --users 20 --for 60s

A writer changes pages at Builder.io while readers read them. Builder.io's webhook must refresh what is kept: no text
may come back that was replaced more than STALE seconds ago. Every answer is compared with the texts that its page has
had. Measured: cache (hit, changing, stampede), and cache.refresh from a change to the first visitor who sees it.
"""

from __future__ import annotations

import os
import random
import time
from itertools import count

import gevent
from locust import constant, task

from clients.control import URL as CONTROL_URL
from clients.services.builder import MODEL, page_entry
from loadengine.api import ClosedUser, Measure, OpenUser, Poisson
from loadprofiles.oracles.pages import PAGES_MADE, Changing, Kept, fresh
from scenarios.api import content
from scenarios.api.place import Place

PAGES = 6
"""Content pages, made before: half of them change."""
AT_ONCE = 40
"""Visitors of a stampede."""
STALE = 10.0 if os.environ.get(CONTROL_URL) else 60.0
"""Seconds after which a replaced text must be gone: Cloudflare's KV needs up to a minute until all places know."""

PLACE = Place(os.environ.get("PLATFORM_URL", "").rstrip("/"), "", "")
WRITE = f"{os.environ.get('BUILDER_WRITE_URL', 'https://builder.io').rstrip('/')}/api/v1/write/{MODEL}"
HIT, CHANGING, STAMPEDE = (Measure("cache", kind=kind) for kind in ("hit", "changing", "stampede"))
REFRESH = Measure("cache.refresh")
STILL = PAGES_MADE[: len(PAGES_MADE) // 2]
MOVING = {page["path"]: Changing(page, STALE) for page in PAGES_MADE[len(PAGES_MADE) // 2 :]}
_numbers = count(1)


class Reader(OpenUser):
    """Somebody who is not signed in, at an address of their own."""

    host = PLACE.platform
    own_address = True
    arrivals = Poisson
    weight = 1000

    def on_start(self) -> None:
        """One port for each page."""
        self.still = [(page["path"], self.port(HIT, Kept(page))) for page in STILL]
        self.moving = [(path, self.port(CHANGING, truth)) for path, truth in MOVING.items()]

    @task(3)
    def open_still_page(self) -> None:
        """A page that is kept."""
        path, port = random.choice(self.still)  # noqa: S311 (a choice, not a secret)
        content.page(port, PLACE, path)

    @task(2)
    def open_changing_page(self) -> None:
        """A page that somebody changes meanwhile."""
        path, port = random.choice(self.moving)  # noqa: S311
        content.page(port, PLACE, path)


class Writer(ClosedUser):
    """Changes a page, and waits until the platform shows it."""

    fixed_count = 1
    wait_time = constant(3)
    host = PLACE.platform

    def on_start(self) -> None:
        """Refreshes are awaited as messages are."""
        self.refreshes = self.engine.expecting(REFRESH, within=STALE)
        self.write = self.port(Measure("cache.write"))

    @task
    def change(self) -> None:
        """Another text at Builder.io; its webhook tells the platform."""
        path, truth = random.choice(list(MOVING.items()))  # noqa: S311
        entry = page_entry(path, truth.title, truth.next_text())
        headers = {
            "authorization": f"Bearer {os.environ.get('BUILDER_PRIVATE_KEY', '')}",
            "content-type": "application/json",
        }
        key = (path, truth.written + 1)
        self.refreshes.sent(key, time.monotonic_ns())
        answer = self.write.request("PATCH", f"{WRITE}/{truth.id}", headers=headers, body=truth.encode(entry))
        if answer.error:
            self.refreshes.arrived(key, wrong=answer.error)
            return
        truth.was_written()
        port = self.port(CHANGING, truth)
        while not self.engine.closing and truth.seen < truth.written and truth.age() < STALE:
            content.page(port, PLACE, path)
            gevent.sleep(0.05)
        if truth.seen >= truth.written:
            self.refreshes.arrived(key)


class Crowd(ClosedUser):
    """Opens a page all at once for an audience that has never been."""

    fixed_count = 1
    wait_time = constant(5)
    host = PLACE.platform
    own_address = True

    @task
    def stampede(self) -> None:
        """Whoever comes first is a miss; everybody gets the right page."""
        page, audience = random.choice(STILL), f"crowd-{os.getpid()}-{next(_numbers)}"  # noqa: S311
        port = self.port(STAMPEDE, fresh(page, first=False))
        crowd = [
            gevent.spawn(content.page, port, PLACE, page["path"], audience=audience) for _ in range(AT_ONCE)
        ]
        gevent.joinall(crowd)
