"""P1.3: a person keeps a profile and writes posts; what is not theirs stays closed."""

from __future__ import annotations

from clients.sdk import refused, row, rows
from clients.service_clients import ServiceClients
from core.expect import expect, expect_denied, expect_equal
from core.outcome import SampleOutcome
from core.passport import check
from core.run import Run
from scenarios.adapter import Adapter
from stack.platform.assay.posts import journeys as database
from suites.types import NewActor, Witness

DATABASE = "supabase.database"


@check(
    "database.profile_and_post",
    "A person changes their profile and publishes a post",
    requirement=("P1.1", "P1.3", "done.nomocks"),
    service=DATABASE,
    needs=("database.rest", "auth.email", "database.tables.posts", "database.tables.profiles"),
)
def test_profile_and_post(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, witness: Witness
) -> None:
    """Both writes answer with the row; PostgreSQL holds the same, and the audit log an entry for each."""
    person = actor()
    words = run.tag()
    update = person.supabase.table("profiles").update({"display_name": words}).eq("id", person.id)
    row(update.execute(), "changing one's own profile answers with it")

    answer = database.write_post(
        services.database.port,
        adapter,
        person.access_token,
        title=words,
        body="with a body",
        status="published",
    )
    right = database.is_right("insert", answer, title=words)
    run.journal.sample(
        run.journal.series("perf.database", {"kind": "insert"}),
        intended=answer.intended,
        sent=answer.sent,
        done=answer.done,
        outcome=SampleOutcome.OK if right else SampleOutcome.WRONG,
    )
    expect(
        right,
        "writing a post answers with the row as stored",
        expected="201 and one row with the title",
        saw=f"{answer.status} {answer.text[:200]}",
        service=DATABASE,
    )
    post = answer.json()[0]

    [profile] = services.database.witness_rows("profiles", id=person.id) or [{}]
    [stored] = services.database.witness_rows("posts", id=post["id"]) or [{}]
    witness(services.database.channel, "profile and post as stored")
    expect_equal(profile.get("display_name"), words, "the profile's change is stored", service=DATABASE)
    expect_equal(
        (stored.get("title"), stored.get("body"), stored.get("status"), stored.get("author_id")),
        (words, "with a body", "published", person.id),
        "the post is stored as written, by its author",
        service=DATABASE,
    )
    entries = services.database.witness_rows("audit_log", entity_id=post["id"])
    expect(
        [(e["action"], e["entity"], e["actor"]) for e in entries] == [("insert", "posts", person.id)],
        "the audit log has one entry for the new post, by its author",
        saw=[(e["action"], e["entity"], e["actor"]) for e in entries],
        service=DATABASE,
    )


@check(
    "database.stranger_denied",
    "A stranger neither reads a draft nor changes a post",
    requirement=("P1.3", "P6.3"),
    service=DATABASE,
    needs=("database.rest", "auth.email", "database.tables.posts"),
)
def test_stranger_denied(run: Run, services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """What the author may do works; the same from a stranger or nobody changes nothing, whatever it answers."""
    author, stranger = actor(), actor()
    words = run.tag()
    new = {"title": words, "body": "mine", "status": "draft"}
    posts, other = author.supabase.table("posts"), stranger.supabase.table("posts")
    draft = row(posts.insert(new).execute(), "an author writes a draft")["id"]
    public = row(posts.insert({**new, "status": "published"}).execute(), "an author publishes a post")["id"]

    own = rows(posts.select("id").eq("title", words).execute())
    expect_equal(
        sorted(r["id"] for r in own),
        sorted([draft, public]),
        "the author reads both of their posts, and no other (positive control)",
        service=DATABASE,
    )
    for who, seen in (
        ("a stranger", rows(other.select("id").eq("title", words).execute())),
        (
            "nobody",
            services.database.rest("GET", f"/posts?select=id&title=eq.{words}").demand(200).json(list),
        ),
    ):
        expect_equal(
            [r["id"] for r in seen],
            [public],
            f"{who} reads the published post and not the draft",
            service=DATABASE,
        )

    for identifier in (draft, public):
        changed = rows(other.update({"body": "taken over"}).eq("id", identifier).execute())
        removed = rows(other.delete().eq("id", identifier).execute())
        [stored] = services.database.witness_rows("posts", id=identifier) or [{}]
        expect_denied(
            not changed and not removed,
            stored.get("body") == "mine",
            "a stranger can neither change nor delete somebody's post",
            service=DATABASE,
        )
    with refused("42501", claim="a stranger cannot write a post in somebody's name", service=DATABASE):
        other.insert({**new, "author_id": author.id}).execute()
    mine = services.database.witness_rows("posts", author_id=author.id)
    witness(services.database.channel, "both posts unchanged, no third one")
    expect_equal(len(mine), 2, "nothing was written in the author's name", service=DATABASE)

    claim = "the author changes their own post (positive control)"
    after = row(posts.update({"body": "changed"}).eq("id", draft).execute(), claim)
    expect_equal(after["body"], "changed", claim, service=DATABASE)
    claim = "the author deletes their own post, and it is gone (positive control)"
    gone = [r["id"] for r in rows(posts.delete().eq("id", draft).execute())]
    left = [str(r["id"]) for r in services.database.witness_rows("posts", author_id=author.id)]
    expect_equal((gone, left), ([draft], [public]), claim, service=DATABASE)
