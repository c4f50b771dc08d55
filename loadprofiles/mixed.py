"""A believable day of many people at once, from sign-in to chat; DAY says how often each thing is done.

    assay load mixed --users 1000 --for 5m

Each user is an identity of its own, signed in, with connections and a socket of its own from a loopback address of its
own where the target is on this host; it does something every twenty seconds. prod.scale is what the server counts:
distinct identities with an open socket, asked room by room. Every answer is compared with what is true: rows with what
was written (a stranger's never appear), pages with what was published, files by hash, messages by their number and
text. A 429 is an outcome of its own.
"""

from __future__ import annotations

import os
import random
import uuid
from itertools import count

from gevent.lock import BoundedSemaphore
from locust import events

from loadengine.api import Measure, OpenUser, Poisson, Response
from loadprofiles.oracles.pages import PAGES_MADE, Kept, fresh
from loadprofiles.oracles.posts import Truth, written
from loadprofiles.users import concurrency_probe
from loadprofiles.users.file_round_trip import Parcel, send
from loadprofiles.users.room_member import Seat
from loadprofiles.users.room_monitor import Chat
from loadprofiles.users.session import Session
from scenarios.api import analytics, content, database
from scenarios.api.place import Place

PEOPLE = 10_000
"""Identities that this load wants at most: one for each user."""
POSTS = 1
"""Published posts of each of them, made before, and one draft."""
PAGES = 8
"""Content pages, made before."""
MINE = {"profile": "mixed"}
"""Label of every series: a plan's own load of the database is not to be mixed with this one."""

PLACE = Place(
    platform=os.environ.get("PLATFORM_URL", "").rstrip("/"),
    supabase=os.environ.get("VITE_SUPABASE_URL", "").rstrip("/"),
    key=os.environ.get("VITE_SUPABASE_ANON_KEY") or os.environ.get("SUPABASE_PUBLISHABLE_KEY", ""),
)
POSTS_OF_ALL, PROFILE, INSERT = (Measure("perf.database", kind=kind, **MINE) for kind in database.KINDS)
SEARCH, DRAFTS, AUDIT = (Measure("database", kind=kind, **MINE) for kind in ("search", "drafts", "audit"))
MISS, HIT = (Measure("perf.content", cache=state, **MINE) for state in ("miss", "hit"))
TRACK = Measure("analytics", kind="track", **MINE)
TRUTH = Truth()
SMALL, LARGE = Parcel(48_000, "48kB"), Parcel(6_000_000, "6MB")
_numbers = count(1)
_joining = BoundedSemaphore(25)


class Somebody(OpenUser):
    """A signed-in person with a socket."""

    host = PLACE.platform
    own_address = True
    rate = 1 / 20
    arrivals = Poisson

    def on_start(self) -> None:
        """Takes a seat in a room; one port for each thing that is often done, with its check."""
        chat = Chat.of(self.engine, PLACE.platform, **MINE)
        me = self.person.id
        self.seat = Seat(chat, self, self.person.token)
        self.session = Session(self, PLACE, self.seat, **MINE)
        self.newest = self.port(POSTS_OF_ALL, TRUTH.latest)
        self.mine = self.port(PROFILE, TRUTH.profile(me))
        self.own = self.port(DRAFTS, TRUTH.drafts(me))
        with _joining:
            self.seat.come()
        self.session.who_am_i()

    def on_stop(self) -> None:
        """Leaves."""
        self.seat.leave()

    def read_posts(self) -> None:
        """Twenty posts with their authors."""
        database.latest_posts(self.newest, PLACE, self.session.token)

    def read_profile(self) -> None:
        """One's own profile."""
        database.profile(self.mine, PLACE, self.session.token, self.person.id)

    def read_drafts(self) -> None:
        """One's own drafts: nobody else's may appear."""
        database.drafts(self.own, PLACE, self.session.token)

    def search(self) -> None:
        """Somebody's posts, by their name in the title."""
        name = TRUTH.somebody()
        database.search_posts(self.port(SEARCH, TRUTH.search(name)), PLACE, self.session.token, name)

    def write(self) -> None:
        """A draft, and the audit row that a trigger wrote with it."""
        me, token, new = self.person.id, self.session.token, str(uuid.uuid4())
        title, body = written(new, f"{os.getpid()} {next(_numbers)}")
        port = self.port(INSERT, TRUTH.inserted(me, new, title, body))
        answer = database.write_post(port, PLACE, token, title=title, body=body, identifier=new)
        if answer.status == 201:
            database.audit_of(self.port(AUDIT, TRUTH.audited(me, new)), PLACE, token, new)

    def open_page(self) -> None:
        """A content page, from the cache."""
        number = random.randrange(len(PAGES_MADE))  # noqa: S311 (a choice, not a secret)
        content.page(self.port(HIT, KEPT[number]), PLACE, PAGES_MADE[number]["path"])

    def open_page_anew(self) -> None:
        """A content page for an audience that nobody was before: Builder.io is asked."""
        page = random.choice(PAGES_MADE)  # noqa: S311
        audience = f"load-{os.getpid()}-{next(_numbers)}"
        content.page(self.port(MISS, fresh(page)), PLACE, page["path"], audience=audience)

    def chat(self) -> None:
        """One message to the room."""
        self.seat.say(self.intended())

    def send_small(self) -> None:
        """A small file, to Supabase Storage."""
        send(self, PLACE, self.session.token, SMALL, **MINE)

    def send_large(self) -> None:
        """A large file, to R2."""
        send(self, PLACE, self.session.token, LARGE, **MINE)

    def track(self) -> None:
        """A page view, to the analytics relay."""
        visitor = f"{os.getpid()}.{next(_numbers)}"
        analytics.track(self.port(TRACK, accepted), PLACE, "page_view", visitor, page_path="/posts")

    def who_am_i(self) -> None:
        """Whom the platform sees, from which address."""
        self.session.who_am_i()

    def refresh(self) -> None:
        """A new token for the old one."""
        self.session.refresh()

    def sign_in(self) -> None:
        """A new session by password."""
        self.session.sign_in()


DAY = {
    Somebody.chat: 220,
    Somebody.read_posts: 200,
    Somebody.open_page: 150,
    Somebody.read_profile: 100,
    Somebody.search: 70,
    Somebody.read_drafts: 65,
    Somebody.write: 50,
    Somebody.track: 50,
    Somebody.who_am_i: 30,
    Somebody.open_page_anew: 30,
    Somebody.send_small: 20,
    Somebody.refresh: 12,
    Somebody.sign_in: 2,
    Somebody.send_large: 1,
}
"""What a person does, out of a thousand times."""
Somebody.tasks = [what for what, often in DAY.items() for _ in range(often)]
KEPT = [Kept(page) for page in PAGES_MADE]


def accepted(answer: Response) -> str | None:
    """The relay passed the event on."""
    if answer.status != 202:
        return f"answered {answer.status}"
    return None if answer.json() == {"accepted": True} else "an answer that does not say 'accepted'"


def count_people(environment: object, **_: object) -> None:
    """The server's count begins with the load, so that the ramp is in the evidence."""
    engine = getattr(environment, "assay", None)
    if engine is not None:  # the master of several workers generates nothing
        concurrency_probe.begin(Chat.of(engine, PLACE.platform, **MINE), "prod.scale")


events.test_start.add_listener(count_people)  # type: ignore[no-untyped-call]
