"""Probes of what people need, ten at a time: is each answer right within its deadline?

    assay load uptime --users 10 --rate 25 --for 130s

Availability is an exact binomial interval: for 99.9 % at 95 % confidence 2,995 probes must pass without a failure.
A probe that is refused (429), wrong or later than DEADLINE seconds has failed; none is repeated.
"""

from __future__ import annotations

from locust import task

from core.description import pick
from core.description.people import Ready
from core.load_needs import Needs
from loadengine.api import Measure, OpenUser, Response, Uniform
from loadprofiles.users.platform_user import PlatformUser

NEEDS = Needs(
    uses=(
        "platform.api",
        "platform.web",
        "auth.email",
        "database.rest",
        "storage.supabase",
        "platform.health",
        "platform.pages.public",
        "platform.files.*.list",
        "people.ready",
    ),
    people=5,
)
DEADLINE = 5.0

PROBES = {
    what: Measure("prod.uptime", probe=what) for what in ("health", "page", "sign-in", "database", "files")
}


class PagesSeen:
    """The web pages that this process was given, by ETag."""

    def __init__(self) -> None:
        self._bodies: dict[str, bytes] = {}

    def whole(self, answer: Response) -> str | None:
        """The whole web page, and the same one as before under the same ETag."""
        if answer.status != 200:
            return f"answered {answer.status}"
        text = answer.text.lower()
        if "<html" not in text or not text.rstrip().endswith("</html>"):
            return "no whole web page"
        tag = answer.headers.get("etag")
        if tag is None or self._bodies.setdefault(tag, answer.body) == answer.body:
            return None
        return "another page under the same ETag"


class Prober(PlatformUser, OpenUser):
    """Asks from outside, signed in where people are."""

    own_address = True
    timeout = DEADLINE
    arrivals = Uniform

    def on_start(self) -> None:
        """A port for each kind of probe, with its check."""
        me = self.person.id
        self.health = self.port(PROBES["health"], self._healthy)
        self.page = self.port(PROBES["page"], self.engine.once(PagesSeen, PagesSeen).whole)
        self.me = self.port(PROBES["sign-in"], lambda answer: _holds(answer, "id", me))
        self.row = self.port(
            PROBES["database"], lambda answer: _holds(answer, self._ready().column, me, rows=True)
        )
        self.list = self.port(PROBES["files"], self._empty)

    @task
    def probe_health(self) -> None:
        """The platform's own word on every core service."""
        self.adapter.health(self.health)

    @task
    def probe_page(self) -> None:
        """The web app's first page."""
        path = self.adapter.description.platform.pages.public[0]
        self.page.request("GET", f"{self.adapter.platform}{path}", headers={"accept": "text/html"})

    @task
    def probe_sign_in(self) -> None:
        """Auth knows whose token this is."""
        headers = self.adapter.rest_headers(self.person.token)
        self.me.request("GET", f"{self.adapter.supabase}/auth/v1/user", headers=headers)

    @task
    def probe_database(self) -> None:
        """One's own row, which the platform makes for each person."""
        ready = self._ready()
        query = f"select={ready.column}&{ready.column}=eq.{self.person.id}"
        headers = self.adapter.rest_headers(self.person.token)
        self.row.request("GET", f"{self.adapter.supabase}/rest/v1/{ready.table}?{query}", headers=headers)

    @task
    def probe_files(self) -> None:
        """The list of one's own files, of which there are none."""
        self.adapter.list_files(self.list, self.person.token)

    def _ready(self) -> Ready:
        ready = self.adapter.description.people.ready
        assert ready is not None
        return ready

    def _healthy(self, answer: Response) -> str | None:
        """200, and the platform says that it serves people."""
        if answer.status != 200:
            return f"answered {answer.status}"
        try:
            return None if self.adapter.serves(answer) else "does not say that it serves people"
        except ValueError:
            return "the body is no JSON (cut or altered)"

    def _empty(self, answer: Response) -> str | None:
        """A list without files."""
        if answer.status != 200:
            return f"answered {answer.status}"
        try:
            found = pick(answer.json(), self.adapter.files().listed)
        except ValueError:
            return "the body is no JSON (cut or altered)"
        return None if found == [] else "the list is not what it must be"


def _holds(answer: Response, key: str, value: object, *, rows: bool = False) -> str | None:
    if answer.status != 200:
        return f"answered {answer.status}"
    try:
        body = answer.json()
    except ValueError:
        return "the body is no JSON (cut or altered)"
    one = body[0] if rows and isinstance(body, list) and len(body) == 1 else body
    if not isinstance(one, dict) or one.get(key) != value:
        return f"{key} is not what it must be"
    return None
