"""P1.3: long random histories of several people, compared step by step with a model of what must hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from clients.identities import Actor
from clients.service_clients import ServiceClients
from core.expect import expect, expect_equal
from core.passport import check
from core.run import Run
from suites.histories import FirstError, noted, run_histories
from suites.types import NewActor, Witness

DATABASE = "supabase.database"
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=30)
WHO = st.integers(0, 2)
EXAMPLES, STEPS = 6, 30
Post = dict[str, Any]


@dataclass
class World:
    """What all histories share: the target, the three people, and how many requests were made."""

    services: ServiceClients
    people: list[Actor]
    steps: int = 0
    first_error: FirstError = field(default_factory=FirstError)


class Posts(RuleBasedStateMachine):
    """Three people write, change, publish and delete posts, theirs and others'; the model knows the outcome."""

    world: ClassVar[World]
    posts = Bundle("posts")

    def __init__(self) -> None:
        super().__init__()
        self.people = self.world.people
        self.model: dict[str, Post] = {}

    def _rest(self, who: int, method: str, path: str, **more: Any) -> Any:
        self.world.steps += 1
        return self.world.services.database.rest(method, path, token=self.people[who].access_token, **more)

    @rule(target=posts, who=WHO, title=TEXT, status=st.sampled_from(["draft", "published"]))
    @noted
    def write(self, who: int, title: str, status: str) -> str:
        """Somebody writes a post of their own."""
        answer = self._rest(who, "POST", "/posts", body={"title": title, "status": status})
        stored = answer.expect(201, claim=f"writing a post titled {title!r} is taken").json(list)[0]
        self.model[stored["id"]] = {
            "author_id": self.people[who].id,
            "title": title,
            "body": "",
            "status": status,
            "version": 1,
        }
        return str(stored["id"])

    @rule(post=posts, who=WHO, body=TEXT, stale=st.booleans())
    @noted
    def change(self, post: str, who: int, body: str, stale: bool) -> None:
        """Somebody changes a post, with the version they saw or an older one; only the author's fresh one counts."""
        known = self.model.get(post)
        version = (known["version"] if known else 1) - (1 if stale else 0)
        answer = self._rest(
            who,
            "PATCH",
            "/posts",
            params={"id": f"eq.{post}", "version": f"eq.{version}"},
            body={"body": body},
        )
        done = answer.expect(200, claim="changing a post answers 200, with the row or nothing").json(list)
        may = known is not None and known["author_id"] == self.people[who].id and not stale
        expect_equal(
            len(done),
            int(may),
            f"a change by {self._role(post, who)}, stale: {stale}, does what it may",
            service=DATABASE,
        )
        if known and may:
            known.update(body=body, version=version + 1)

    @rule(post=posts, who=WHO)
    @noted
    def delete(self, post: str, who: int) -> None:
        """Somebody deletes a post; only the author's deletion counts."""
        answer = self._rest(who, "DELETE", "/posts", params={"id": f"eq.{post}"})
        done = answer.expect(200, claim="deleting a post answers 200, with the row or nothing").json(list)
        known = self.model.get(post)
        may = known is not None and known["author_id"] == self.people[who].id
        expect_equal(
            len(done), int(may), f"a deletion by {self._role(post, who)} does what it may", service=DATABASE
        )
        if may:
            del self.model[post]

    @rule(some=st.lists(posts, min_size=1, max_size=3, unique=True), who=WHO)
    @noted
    def publish(self, some: list[str], who: int) -> None:
        """Somebody publishes several posts at once: all are theirs, or nothing happens."""
        mine = all(self.model.get(p, {}).get("author_id") == self.people[who].id for p in some)
        answer = self._rest(who, "POST", "/rpc/publish_posts", body={"ids": some})
        expect_equal(
            answer.status == 200,
            mine,
            "publishing several posts succeeds only for their author",
            service=DATABASE,
        )
        if mine:
            for post in some:
                self.model[post]["status"] = "published"
                self.model[post]["version"] += 1

    @rule(who=WHO)
    @noted
    def read(self, who: int) -> None:
        """Somebody reads: their own posts and the published ones of the three, no others."""
        reader = self.people[who].id
        ids = ",".join(p.id for p in self.people)
        answer = self._rest(who, "GET", "/posts", params={"select": "*", "author_id": f"in.({ids})"})
        seen = {
            r["id"]: _known_fields(r)
            for r in answer.expect(200, claim="reading posts answers 200").json(list)
        }
        due = {k: p for k, p in self.model.items() if p["author_id"] == reader or p["status"] == "published"}
        expect_equal(
            seen,
            due,
            "a person reads their own posts and the published ones, as modelled",
            service=DATABASE,
        )

    @invariant()
    @noted
    def stored_is_the_model(self) -> None:
        """PostgreSQL holds exactly what the model says, whatever was answered."""
        if not self.model and not self.world.steps:
            return
        stored = {
            r["id"]: _known_fields(r)
            for person in self.people
            for r in self.world.services.database.witness_rows("posts", author_id=person.id)
        }
        expect_equal(
            sorted(stored.keys() - self.model.keys()),
            [],
            "no post is stored that nobody wrote, or that was deleted",
            service=DATABASE,
        )
        expect_equal(stored, self.model, "what is stored is what the history leads to", service=DATABASE)

    @noted
    def teardown(self) -> None:
        """The next history begins with no posts."""
        for person in self.people:
            self.world.services.database.rest(
                "DELETE", "/posts", token=person.access_token, params={"author_id": f"eq.{person.id}"}
            ).demand(200)

    def _role(self, post: str, who: int) -> str:
        known = self.model.get(post)
        if known is None:
            return "somebody, of a post that is gone"
        return "the author" if known["author_id"] == self.people[who].id else "a stranger"


def _known_fields(stored: Post) -> Post:
    return {name: stored[name] for name in ("author_id", "title", "body", "status", "version")}


@check(
    "database.random_histories",
    "Long random histories of three people end as a model says they must",
    requirement=("P1.3", "P6.3"),
    service=DATABASE,
    needs=("database.rest", "auth.email", "database.tables.posts"),
    timeout=60,
    why_slow="some two hundred random steps, each compared with what PostgreSQL holds",
)
def test_random_histories(run: Run, services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """Hypothesis makes the histories; on a failure its last lines show the one that failed, step by step."""

    class Machine(Posts):
        pass

    world = Machine.world = World(services, [actor() for _ in range(3)])
    run_histories(Machine, world.first_error, examples=EXAMPLES, steps=STEPS)
    witness(services.database.channel, f"the stored posts after each of {world.steps} steps")
    expect(world.steps >= EXAMPLES, "the histories had steps", saw=world.steps, service=DATABASE)
