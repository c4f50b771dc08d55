"""P1.3: what a post may hold, how it is listed, and what happens when two write at once."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from clients.sdk import refused, row, rows
from clients.service_clients import ServiceClients
from core.errors import Missed
from core.expect import expect, expect_equal
from core.outcome import SampleOutcome
from core.passport import check
from core.run import Run
from scenarios.adapter import Adapter
from stack.platform.assay.posts import journeys as database
from suites.types import NewActor, Witness

DATABASE = "supabase.database"
BEYOND_A_PAGE = 1001
"""One more than the data API gives at once (Supabase docs: "Max rows", 1,000)."""
UNICODE = "naïve café · 日本語 · עברית · 👩‍👩‍👧 · \u200f · ﷽ · 'quote' \"double\" ; -- \\ %s {x}"


def moment(post: Mapping[str, Any], column: str) -> datetime:
    """A time that a row tells; Missed when it is none."""
    try:
        return datetime.fromisoformat(str(post[column]))
    except ValueError:
        raise Missed(
            f"a post's {column} is a time", expected="an ISO time", saw=repr(post[column]), service=DATABASE
        ) from None


@check(
    "database.post_values",
    "A post keeps any text whole, has its defaults, and refuses what lies past its limits",
    requirement="P1.3",
    service=DATABASE,
    needs=("database.rest", "auth.email", "database.tables.posts"),
)
def test_post_values(run: Run, services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """At each limit one value that fits (positive control) and one that does not."""
    person = actor()
    posts = person.supabase.table("posts")
    plain = row(posts.insert({"title": run.tag()}).execute(), "a post needs nothing but a title")
    expect_equal(
        (plain["body"], plain["status"], plain["tags"], plain["version"], plain["author_id"]),
        ("", "draft", [], 1, person.id),
        "a new post has its defaults",
        service=DATABASE,
    )
    created = moment(plain, "created_at")
    expect(created.tzinfo is not None, "times carry their zone", saw=plain["created_at"], service=DATABASE)
    expect(
        abs(created - datetime.now(UTC)) < timedelta(minutes=5),
        "a new post's time is now",
        expected=datetime.now(UTC).isoformat(),
        saw=plain["created_at"],
        service=DATABASE,
    )
    long = "ä" * 100_000
    for title, more in (
        (UNICODE, {"body": UNICODE}),
        ("t" * 200, {"body": long}),
        ("x", {"tags": ["t"] * 20}),
    ):
        made = row(posts.insert({"title": title, **more}).execute(), "a post at its limits is taken")
        [stored] = services.database.witness_rows("posts", id=made["id"]) or [{}]
        expect_equal(
            {name: stored.get(name) for name in ("title", *more)},
            {"title": title, **more},
            "a post's text is stored character by character",
            service=DATABASE,
        )
    changed = {"title": "another", "body": "another too", "status": "published", "tags": ["one", "two"]}
    row(posts.update(changed).eq("id", plain["id"]).execute(), "a post is changed")
    [stored] = services.database.witness_rows("posts", id=plain["id"]) or [{}]
    now = {name: stored.get(name) for name in changed}
    expect_equal(
        now, changed, "each value of a post that is changed is the one that is stored", service=DATABASE
    )
    witness(services.database.channel, "long and unusual texts as stored")
    for what, wrong in (
        ("an empty title", {"title": ""}),
        ("a title of 201 characters", {"title": "t" * 201}),
        ("a body of 100,001 characters", {"title": "x", "body": long + "ä"}),
        ("21 tags", {"title": "x", "tags": ["t"] * 21}),
        ("an unknown status", {"title": "x", "status": "secret"}),
    ):
        with refused("23514", claim=f"{what} is refused by a constraint", service=DATABASE):
            posts.insert(wrong).execute()
    with refused("23502", claim="a post without title is refused", service=DATABASE):
        posts.insert({"body": "no title"}).execute()
    mine = services.database.witness_rows("posts", author_id=person.id)
    expect_equal(len(mine), 4, "refused posts left nothing behind", service=DATABASE)


@check(
    "database.pages_without_gaps",
    "Paging through posts shows each once, though others are written meanwhile",
    requirement="P1.3",
    service=DATABASE,
    needs=("database.rest", "auth.email", "database.tables.posts"),
)
def test_pages_without_gaps(run: Run, services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """Keyset paging as the web app does it, with a new post written before each page; counts are exact."""
    person = actor()
    tag = run.tag()
    posts = person.supabase.table("posts")
    made = rows(posts.insert([{"title": f"{tag} {n}"} for n in range(25)]).execute())
    before = {r["id"] for r in made}
    expect_equal(len(before), 25, "twenty-five posts are written at once", service=DATABASE)
    counted = services.database.rest(
        "GET",
        "/posts",
        token=person.access_token,
        params={"select": "id", "author_id": f"eq.{person.id}", "limit": 1},
        headers={"Prefer": "count=exact"},
    )
    expect_equal(
        counted.headers.get("content-range"),
        "0-0/25",
        "the exact count comes beside the page",
        service=DATABASE,
    )
    seen: list[str] = []
    last: dict[str, Any] | None = None
    for page in range(20):
        posts.insert({"title": f"{tag} late {page}"}).execute()
        query = posts.select("id,created_at").eq("author_id", person.id).order("created_at", desc=True)
        query = query.order("id", desc=True).limit(7)
        if last:
            older = f"created_at.lt.{last['created_at']},and(created_at.eq.{last['created_at']},id.lt.{last['id']})"
            query = query.or_(older)
        found = rows(query.execute())
        seen += [r["id"] for r in found]
        if len(found) < 7:
            break
        last = found[-1]
    stored = {r["id"] for r in services.database.witness_rows("posts", author_id=person.id)}
    witness(services.database.channel, f"{len(stored)} posts")
    expect_equal(len(seen), len(set(seen)), "no post is shown on two pages", service=DATABASE)
    expect(
        before <= set(seen),
        "every post that was there at the start is on some page",
        expected="25 of 25",
        saw=f"{len(before & set(seen))} of 25",
        service=DATABASE,
    )
    expect(set(seen) <= stored, "every post shown is stored", service=DATABASE)
    rest = [{"title": f"{tag} more {n}"} for n in range(BEYOND_A_PAGE - len(stored))]
    wrote = services.database.rest(
        "POST", "/posts", token=person.access_token, body=rest, prefer="return=minimal"
    )
    wrote.demand(201)
    beyond = services.database.rest(
        "GET",
        "/posts",
        token=person.access_token,
        params={"select": "id", "author_id": f"eq.{person.id}", "order": "id", "offset": 1000, "limit": 10},
    )
    found = beyond.expect(200, claim="the page past the thousandth post is answered").json(list)
    expect_equal(len(found), 1, "of 1,001 rows the last is on the page past the thousandth", service=DATABASE)


@check(
    "database.conflicting_edits",
    "Of two edits of the same version one wins and the other learns of it",
    requirement="P1.3",
    service=DATABASE,
    needs=("database.rest", "auth.email", "database.tables.posts"),
)
def test_conflicting_edits(run: Run, services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """Eight edits of version 1 at once, each its own request: exactly one answers with the row."""
    person = actor()
    posts = person.supabase.table("posts")
    post = row(posts.insert({"title": run.tag()}).execute(), "a post is written")

    def edit(number: int) -> list[dict[str, Any]]:
        answer = services.database.rest(
            "PATCH",
            "/posts",
            token=person.access_token,
            params={"id": f"eq.{post['id']}", "version": "eq.1"},
            body={"body": f"edit {number}"},
        )
        return list(answer.demand(200).json(list))

    with ThreadPoolExecutor(8) as pool:
        winners = [r for answer in pool.map(edit, range(8)) for r in answer]
    [stored] = services.database.witness_rows("posts", id=post["id"]) or [{}]
    witness(services.database.channel, "the one edit that won")
    expect_equal(len(winners), 1, "exactly one of eight edits of version 1 wins", service=DATABASE)
    expect_equal(
        (stored.get("body"), stored.get("version")),
        (winners[0]["body"], 2),
        "the winner's text is stored, and the version rose by one",
        service=DATABASE,
    )
    expect(
        moment(stored, "updated_at") > moment(post, "updated_at"),
        "an edit moves the time of change",
        saw=stored["updated_at"],
        service=DATABASE,
    )


@check(
    "database.upsert_race",
    "The same row upserted by many at once is one row, and nobody fails",
    requirement="P1.3",
    service=DATABASE,
    needs=("database.rest", "auth.email", "database.tables.posts"),
)
def test_upsert_race(services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """Eight first writes of one person's consent, half by upsert and half by the function."""
    person = actor()

    def save(number: int) -> int:
        body: dict[str, Any] = {"analytics": number % 2 == 0}
        path, params = "/rpc/save_consent", {}
        if number < 4:
            path, body, params = "/consents", {"user_id": person.id, **body}, {"on_conflict": "user_id"}
        answer = services.database.rest(
            "POST",
            path,
            token=person.access_token,
            body=body,
            params=params,
            prefer="resolution=merge-duplicates,return=representation",
        )
        return int(answer.status)

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(set(pool.map(save, range(8))))
    expect(set(statuses) <= {200, 201}, "every one of eight upserts succeeds", saw=statuses, service=DATABASE)
    stored = services.database.witness_rows("consents", user_id=person.id)
    witness(services.database.channel, "the one consent")
    expect_equal(len(stored), 1, "eight upserts of one row make one row", service=DATABASE)


@check(
    "database.publish_all_or_none",
    "Publishing several posts is one transaction: all of them, or none",
    requirement="P1.3",
    service=DATABASE,
    needs=("database.rest", "auth.email", "database.tables.posts"),
)
def test_publish_all_or_none(run: Run, services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """With a stranger's post among them nothing is published; without it all are (positive control)."""
    person, stranger = actor(), actor()
    new = [{"title": run.tag()} for _ in range(3)]
    mine = [r["id"] for r in rows(person.supabase.table("posts").insert(new).execute())]
    theirs = row(stranger.supabase.table("posts").insert(new[0]).execute(), "a stranger writes a post")["id"]

    def published() -> list[str]:
        return [
            identifier
            for identifier in [*mine, theirs]
            if services.database.witness_rows("posts", id=identifier)[0]["status"] == "published"
        ]

    with refused(claim="publishing a list with somebody else's post in it is refused", service=DATABASE):
        person.supabase.rpc("publish_posts", {"ids": [*mine, theirs]}).execute()
    expect_equal(published(), [], "after the refusal none of the posts is published", service=DATABASE)
    done = person.supabase.rpc("publish_posts", {"ids": mine}).execute().data
    witness(services.database.channel, "which posts are published")
    expect_equal(done, 3, "publishing one's own three posts answers 3", service=DATABASE)
    expect_equal(
        sorted(published()), sorted(mine), "all three are published, the stranger's is not", service=DATABASE
    )


@check(
    "database.typical_queries",
    "The typical queries answer rightly, and their times are on record",
    requirement=("P1.3", "perf.database"),
    service=DATABASE,
    needs=("database.rest", "auth.email", "database.tables.posts", "database.tables.profiles"),
)
def test_typical_queries(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, witness: Witness
) -> None:
    """Twenty posts with their authors, one profile, an insert with its audit row: five times each."""
    person = actor()
    tag = run.tag()
    new = [{"title": f"{tag} {n}", "status": "published"} for n in range(20)]
    person.supabase.table("posts").insert(new).execute()
    port, token = services.database.port, person.access_token
    for number in range(5):
        title = f"{tag} typical {number}"
        answers = {
            "posts": database.latest_posts(port, adapter, token),
            "profile": database.profile(port, adapter, token, person.id),
            "insert": database.write_post(port, adapter, token, title=title, body="typical"),
        }
        for kind, answer in answers.items():
            right = database.is_right(kind, answer, user=person.id, title=title)
            run.journal.sample(
                run.journal.series("perf.database", {"kind": kind}),
                intended=answer.intended,
                sent=answer.sent,
                done=answer.done,
                outcome=SampleOutcome.OK if right else SampleOutcome.WRONG,
            )
            expect(
                right,
                f"the query '{kind}' answers with what was asked for",
                saw=answer.text[:300],
                service=DATABASE,
            )
        expect_equal(len(answers["posts"].json()), 20, "the page holds twenty posts", service=DATABASE)
    stored = services.database.witness_rows("posts", author_id=person.id)
    witness(services.database.channel, "every inserted post")
    expect_equal(len(stored), 25, "all twenty-five posts are stored", service=DATABASE)
