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

from locust import events

from core.load_needs import Needs
from loadengine.api import Measure, OpenUser, Poisson, Response
from loadengine.runtime import LoadEngine
from loadprofiles.oracles.pages import CachedPage, fresh, pages_made
from loadprofiles.users import concurrency_probe
from loadprofiles.users.file_round_trip import RoundTripFile, send
from loadprofiles.users.platform_user import PlatformUser
from loadprofiles.users.room_member import RoomMember
from loadprofiles.users.room_monitor import RoomMonitor
from loadprofiles.users.session import UserSession
from scenarios.adapter import adapter_of
from stack.platform.assay.posts import journeys as database
from stack.platform.assay.posts.expected import ExpectedPosts, written

NEEDS = Needs(
    uses=(
        "platform.api",
        "auth.email",
        "database.rest",
        "storage.supabase",
        "content.api",
        "rooms.websocket",
        "rooms.hears",
        "rooms.history",
        "rooms.presence",
        "load.posts",
    ),
    people=10_000,
    pages=8,
    posts=1,
)
MINE = {"profile": "mixed"}
"""Label of every series: a plan's own load of the database is not to be mixed with this one."""

POSTS_OF_ALL, PROFILE, INSERT = (Measure("perf.database", kind=kind, **MINE) for kind in database.KINDS)
SEARCH, DRAFTS, AUDIT = (Measure("database", kind=kind, **MINE) for kind in ("search", "drafts", "audit"))
MISS, HIT = (Measure("perf.content", cache=state, **MINE) for state in ("miss", "hit"))
TRACK = Measure("analytics", kind="track", **MINE)
JOINING = 25
"""Joins at once."""


class PeoplesFiles:
    """What people send: one of each size for all users of a process."""

    def __init__(self) -> None:
        self.small, self.large = RoundTripFile(48_000, "48kB"), RoundTripFile(6_000_000, "6MB")


class KeptPages(list[CachedPage]):
    """What is known of each page in the cache, for all users of a process."""

    @classmethod
    def of(cls, engine: LoadEngine) -> KeptPages:
        """Those of this process."""
        return engine.once(cls, lambda: cls(CachedPage(page) for page in pages_made(engine)))


class MixedUser(PlatformUser, OpenUser):
    """A signed-in person with a socket."""

    own_address = True
    rate = 1 / 20
    arrivals = Poisson

    def on_start(self) -> None:
        """Takes a seat in a room; one port for each thing that is often done, with its check."""
        monitor = RoomMonitor.of(self.engine, self.adapter, **MINE)
        me = self.person.id
        self.truth, self.pages = ExpectedPosts.of(self.engine), pages_made(self.engine)
        self.member = RoomMember(monitor, self, self.person.token)
        self.session = UserSession(self, self.adapter, self.member, **MINE)
        self.newest = self.port(POSTS_OF_ALL, self.truth.latest)
        self.mine = self.port(PROFILE, self.truth.profile(me))
        self.own = self.port(DRAFTS, self.truth.drafts(me))
        with self.engine.at_most(JOINING, "join"):
            self.member.come()
        self.session.who_am_i()

    def on_stop(self) -> None:
        """Leaves."""
        self.member.leave()

    def read_posts(self) -> None:
        """Twenty posts with their authors."""
        database.latest_posts(self.newest, self.adapter, self.session.token)

    def read_profile(self) -> None:
        """One's own profile."""
        database.profile(self.mine, self.adapter, self.session.token, self.person.id)

    def read_drafts(self) -> None:
        """One's own drafts: nobody else's may appear."""
        database.drafts(self.own, self.adapter, self.session.token)

    def search(self) -> None:
        """Somebody's posts, by their name in the title."""
        name = self.truth.somebody()
        database.search_posts(
            self.port(SEARCH, self.truth.search(name)), self.adapter, self.session.token, name
        )

    def write(self) -> None:
        """A draft, and the audit row that a trigger wrote with it."""
        me, token, new = self.person.id, self.session.token, str(uuid.uuid4())
        title, body = written(new, f"{os.getpid()} {self.engine.number('made')}")
        port = self.port(INSERT, self.truth.inserted(me, new, title, body))
        answer = database.write_post(port, self.adapter, token, title=title, body=body, identifier=new)
        if answer.status == 201:
            database.audit_of(self.port(AUDIT, self.truth.audited(me, new)), self.adapter, token, new)

    def open_page(self) -> None:
        """A content page, from the cache."""
        number = random.randrange(len(self.pages))  # noqa: S311 (a choice, not a secret)
        self.adapter.page(self.port(HIT, KeptPages.of(self.engine)[number]), self.pages[number]["path"])

    def open_page_anew(self) -> None:
        """A content page for an audience that nobody was before: Builder.io is asked."""
        page = random.choice(self.pages)  # noqa: S311
        audience = f"load-{os.getpid()}-{self.engine.number('made')}"
        self.adapter.page(self.port(MISS, fresh(page)), page["path"], audience=audience)

    def chat(self) -> None:
        """One message to the room."""
        self.member.say(self.intended())

    def _files(self) -> PeoplesFiles:
        return self.engine.once(PeoplesFiles, PeoplesFiles)

    def send_small(self) -> None:
        """A small file, to Supabase Storage."""
        send(self, self.adapter, self.session.token, self._files().small, **MINE)

    def send_large(self) -> None:
        """A large file, to R2."""
        send(self, self.adapter, self.session.token, self._files().large, **MINE)

    def track(self) -> None:
        """A page view, to the analytics relay."""
        visitor = f"{os.getpid()}.{self.engine.number('made')}"
        self.adapter.track(self.port(TRACK, accepted), "page_view", visitor, page_path="/posts")

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
    MixedUser.chat: 220,
    MixedUser.read_posts: 200,
    MixedUser.open_page: 150,
    MixedUser.read_profile: 100,
    MixedUser.search: 70,
    MixedUser.read_drafts: 65,
    MixedUser.write: 50,
    MixedUser.track: 50,
    MixedUser.who_am_i: 30,
    MixedUser.open_page_anew: 30,
    MixedUser.send_small: 20,
    MixedUser.refresh: 12,
    MixedUser.sign_in: 2,
    MixedUser.send_large: 1,
}
"""What a person does, out of a thousand times."""
MixedUser.tasks = [what for what, often in DAY.items() for _ in range(often)]


def accepted(answer: Response) -> str | None:
    """The relay passed the event on."""
    if answer.status != 202:
        return f"answered {answer.status}"
    return None if answer.json() == {"accepted": True} else "an answer that does not say 'accepted'"


def count_people(environment: object, **_: object) -> None:
    """The server's count begins with the load, so that the ramp is in the evidence."""
    engine = getattr(environment, "assay", None)
    if engine is not None:  # the master of several workers generates nothing
        concurrency_probe.begin(RoomMonitor.of(engine, adapter_of(engine.target), **MINE), "prod.scale")


events.test_start.add_listener(count_people)  # type: ignore[no-untyped-call]
