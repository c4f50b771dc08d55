"""The seed's typical queries through the REST API, each person under row-level security.

    assay load database --users 50 --for 30s

Twenty posts with their authors, one profile, an insert with its audit row are what perf.database is judged on;
beside them searching, paging, one's own drafts (a stranger's never appear), one row that everybody changes, and a
crowd that asks at once for more connections than a pool holds. What may be read was made before the load, so each
answer is compared with the truth, word for word. What is inserted goes with its author, whom the pool removes.
"""

from __future__ import annotations

import os
import random
import uuid

import gevent
from locust import constant, task

from core.load_needs import Needs
from loadengine.api import ClosedUser, Measure, OpenUser, Poisson
from loadprofiles.users.platform_user import PlatformUser
from stack.platform.assay.posts import journeys as database
from stack.platform.assay.posts.expected import ExpectedPosts, written

NEEDS = Needs(uses=("auth.email", "database.rest", "load.posts"), people=20, posts=3)
CROWD = 64
"""Queries at once: more than the connections of a small hosted project's pool."""

POSTS_OF_ALL, PROFILE, INSERT = (Measure("perf.database", kind=kind) for kind in database.KINDS)
SEARCH, PAGE, DRAFTS, AUDIT, HOT, AT_ONCE = (
    Measure("database", kind=kind) for kind in ("search", "page", "drafts", "audit", "hot row", "crowd")
)


class Database(PlatformUser, OpenUser):
    """A signed-in person whose web app asks the database."""

    arrivals = Poisson
    weight = 1000

    def on_start(self) -> None:
        """Takes an identity; makes one port for each kind of query, with its check."""
        self.truth = ExpectedPosts.of(self.engine)
        me = self.person.id
        self.posts = self.port(POSTS_OF_ALL, self.truth.latest)
        self.profile = self.port(PROFILE, self.truth.profile(me))
        self.own = self.port(DRAFTS, self.truth.drafts(me))

    @task(12)
    def read_posts(self) -> None:
        """Twenty posts with author."""
        database.latest_posts(self.posts, self.adapter, self.person.token)

    @task(6)
    def read_profile(self) -> None:
        """One's own profile."""
        database.profile(self.profile, self.adapter, self.person.token, self.person.id)

    @task(2)
    def write_post(self) -> None:
        """A draft, and the audit row that a trigger wrote with it."""
        me, token, new = self.person.id, self.person.token, str(uuid.uuid4())
        title, body = written(new, f"{os.getpid()} {self.engine.number('written')}")
        port = self.port(INSERT, self.truth.inserted(me, new, title, body))
        answer = database.write_post(port, self.adapter, token, title=title, body=body, identifier=new)
        if answer.status == 201:
            database.audit_of(self.port(AUDIT, self.truth.audited(me, new)), self.adapter, token, new)

    @task(2)
    def search(self) -> None:
        """The published posts of somebody, by their name in the title."""
        name = self.truth.somebody()
        port = self.port(SEARCH, self.truth.search(name))
        database.search_posts(port, self.adapter, self.person.token, f"{name} ")  # no longer name begins so

    @task(2)
    def turn_pages(self) -> None:
        """One page of all posts of this load, with the total."""
        number = random.randrange(self.truth.pages)  # noqa: S311 (a choice, not a secret)
        port = self.port(PAGE, self.truth.page(number))
        database.page_of_posts(port, self.adapter, self.person.token, self.truth.start, number)

    @task(2)
    def read_drafts(self) -> None:
        """One's own drafts: under row-level security nobody else's."""
        database.drafts(self.own, self.adapter, self.person.token)

    @task(1)
    def change_hot_row(self) -> None:
        """One row that all change at once; its version must rise with each change."""
        body = f"changed by {os.getpid()} {self.engine.number('written')}"
        port = self.port(HOT, self.truth.changed(body))
        database.rewrite_post(port, self.adapter, self.engine.people[0].token, self.truth.hot, body)


class BurstUser(PlatformUser, ClosedUser):
    """Asks for many profiles at the same moment: none may fail for want of a connection."""

    fixed_count = 1
    wait_time = constant(10)

    @task
    def ask_at_once(self) -> None:
        """Everybody waits for a connection, and everybody gets the right row."""
        me = self.person
        port = self.port(AT_ONCE, ExpectedPosts.of(self.engine).profile(me.id))
        burst = [gevent.spawn(database.profile, port, self.adapter, me.token, me.id) for _ in range(CROWD)]
        gevent.joinall(burst, raise_error=False)
