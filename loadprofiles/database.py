"""The seed's typical queries through the REST API, each person under row-level security.

    assay load database --users 50 --for 30s
    locust -f loadprofiles/database.py --headless -u 50 -t 30s

Twenty posts with their authors, one profile, an insert with its audit row: 6 : 3 : 1, one arrival a second
for each user unless a rate is given. Every answer is checked beyond its status. What is inserted goes with
its author, whom the pool removes.
"""

from __future__ import annotations

import os
from itertools import count

from locust import task

from loadprofiles.engine import Expect, Measure, OpenUser, Poisson, Response
from scenarios.api import database
from scenarios.api.place import Place

PEOPLE = 20
"""Identities that this load shares out among its users."""

PLACE = Place(
    platform=os.environ.get("PLATFORM_URL", "").rstrip("/"),
    supabase=os.environ.get("VITE_SUPABASE_URL", "").rstrip("/"),
    key=os.environ.get("VITE_SUPABASE_ANON_KEY") or os.environ.get("SUPABASE_PUBLISHABLE_KEY", ""),
)
POSTS, PROFILE, INSERT = (Measure("perf.database", kind=kind) for kind in database.KINDS)
_numbers = count(1)


class Database(OpenUser):
    """A signed-in person whose web app asks the database."""

    arrivals = Poisson

    def on_start(self) -> None:
        """Takes an identity; makes one port for each kind of query, with its check."""
        me = self.person.id
        self.posts = self.port(POSTS, right("posts"))
        self.profile = self.port(PROFILE, right("profile", user=me))

    @task(6)
    def read_posts(self) -> None:
        """Twenty posts with author."""
        database.latest_posts(self.posts, PLACE, self.person.token)

    @task(3)
    def read_profile(self) -> None:
        """One's own profile."""
        database.profile(self.profile, PLACE, self.person.token, self.person.id)

    @task(1)
    def write_post(self) -> None:
        """A draft, with the audit row that a trigger writes."""
        title = f"load {os.getpid()} {next(_numbers)}"
        port = self.port(INSERT, right("insert", title=title))
        database.write_post(port, PLACE, self.person.token, title=title, body="written under load")


def right(kind: str, **wanted: str) -> Expect:
    """The check of one kind of query, as the suites have it."""

    def judge(answer: Response) -> str | None:
        return (
            None
            if database.is_right(kind, answer, **wanted)
            else f"wrong answer to '{kind}' ({answer.status})"
        )

    return judge
