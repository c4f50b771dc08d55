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
from typing import Any

import gevent
from locust import constant, task

from clients.services.builder import MODEL, page_entry
from core.load_needs import Needs
from loadengine.api import ClosedUser, Measure, OpenUser, Poisson
from loadengine.runtime import LoadEngine
from loadprofiles.oracles.pages import CachedPage, ChangingPage, fresh, pages_made
from loadprofiles.users.platform_user import PlatformUser

NEEDS = Needs(uses=("platform.api", "content.api", "cache.kv"), pages=6)
AT_ONCE = 40
"""Visitors of a stampede."""
STALE, STALE_EMBEDDED = 60.0, 10.0
"""Seconds after which a replaced text must be gone: Cloudflare's KV needs up to a minute until all places know."""

HIT, CHANGING, STAMPEDE = (Measure("cache", kind=kind) for kind in ("hit", "changing", "stampede"))
REFRESH = Measure("cache.refresh")


def still(engine: LoadEngine) -> list[dict[str, Any]]:
    """Pages that nobody changes."""
    made = pages_made(engine)
    return made[: len(made) // 2]


def stale(engine: LoadEngine) -> float:
    """STALE of this target."""
    return STALE_EMBEDDED if engine.target.embedded else STALE


class Moving(dict[str, ChangingPage]):
    """Pages that the writer changes, by path; one truth for all users of a process."""

    @classmethod
    def of(cls, engine: LoadEngine) -> Moving:
        """Those of this process."""
        return engine.once(cls, lambda: cls._made(engine))

    @classmethod
    def _made(cls, engine: LoadEngine) -> Moving:
        made = pages_made(engine)
        return cls({page["path"]: ChangingPage(page, stale(engine)) for page in made[len(made) // 2 :]})


class Reader(PlatformUser, OpenUser):
    """Somebody who is not signed in, at an address of their own."""

    own_address = True
    arrivals = Poisson
    weight = 1000

    def on_start(self) -> None:
        """One port for each page."""
        self.still = [(page["path"], self.port(HIT, CachedPage(page))) for page in still(self.engine)]
        self.moving = [(path, self.port(CHANGING, truth)) for path, truth in Moving.of(self.engine).items()]

    @task(3)
    def open_still_page(self) -> None:
        """A page that is kept."""
        path, port = random.choice(self.still)  # noqa: S311 (a choice, not a secret)
        self.adapter.page(port, path)

    @task(2)
    def open_changing_page(self) -> None:
        """A page that somebody changes meanwhile."""
        path, port = random.choice(self.moving)  # noqa: S311
        self.adapter.page(port, path)


class Writer(PlatformUser, ClosedUser):
    """Changes a page, and waits until the platform shows it."""

    fixed_count = 1
    wait_time = constant(3)

    def on_start(self) -> None:
        """Refreshes are awaited as messages are."""
        self.stale = stale(self.engine)
        self.refreshes = self.engine.expecting(REFRESH, within=self.stale)
        target = self.engine.target
        self.key = target.secret("BUILDER_PRIVATE_KEY")
        self.entries = f"{target.get('BUILDER_WRITE_URL').rstrip('/')}/api/v1/write/{MODEL}"
        self.write = self.port(Measure("cache.write"))

    @task
    def change(self) -> None:
        """Another text at Builder.io; its webhook tells the platform."""
        path, truth = random.choice(list(Moving.of(self.engine).items()))  # noqa: S311
        entry = page_entry(path, truth.title, truth.next_text())
        headers = {
            "authorization": f"Bearer {self.key.reveal()}",
            "content-type": "application/json",
        }
        key = (path, truth.written + 1)
        self.refreshes.sent(key, time.monotonic_ns())
        answer = self.write.request(
            "PATCH", f"{self.entries}/{truth.id}", headers=headers, body=truth.encode(entry)
        )
        if answer.error:
            self.refreshes.arrived(key, wrong=answer.error)
            return
        truth.was_written()
        port = self.port(CHANGING, truth)
        while not self.engine.closing and truth.seen < truth.written and truth.age() < self.stale:
            self.adapter.page(port, path)
            gevent.sleep(0.05)
        if truth.seen >= truth.written:
            self.refreshes.arrived(key)


class BurstUser(PlatformUser, ClosedUser):
    """Opens a page all at once for an audience that has never been."""

    fixed_count = 1
    wait_time = constant(5)
    own_address = True

    @task
    def stampede(self) -> None:
        """Whoever comes first is a miss; everybody gets the right page."""
        page = random.choice(still(self.engine))  # noqa: S311 (a choice, not a secret)
        audience = f"crowd-{os.getpid()}-{self.engine.number('crowd')}"
        port = self.port(STAMPEDE, fresh(page, first=False))
        burst = [
            gevent.spawn(self.adapter.page, port, page["path"], audience=audience) for _ in range(AT_ONCE)
        ]
        gevent.joinall(burst)
