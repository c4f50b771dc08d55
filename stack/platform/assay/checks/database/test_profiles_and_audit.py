"""P1.1, P1.3: profiles and their limits; the audit log misses nothing and changes for nobody."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from clients.made_files import MadeFile
from clients.sdk import refused, row, rows
from clients.service_clients import ServiceClients
from core.expect import expect, expect_equal
from core.passport import check
from core.run import Run
from scenarios.adapter import Adapter
from stack.platform.assay.checks.storage.uploads import prepared
from suites.types import NewActor, NewFile, Witness

DATABASE = "supabase.database"


@check(
    "database.profile_limits",
    "A profile takes what fits, refuses what does not, and no username twice",
    requirement="P1.3",
    service=DATABASE,
    needs=("database.rest", "auth.email", "database.tables.profiles"),
)
def test_profile_limits(run: Run, services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """Fields at and past their limits; columns that nobody may set; the version rises by one a change."""
    person, other = actor(), actor()
    profiles = person.supabase.table("profiles")
    tag = run.tag()
    good = {"display_name": "Ünï " + "x" * 76, "bio": "b" * 500, "username": f"n_{tag}"}
    changed = row(
        profiles.update(good).eq("id", person.id).execute(), "a profile takes values at their limits"
    )
    expect_equal(
        {k: changed[k] for k in good}, good, "the profile answers with what was written", service=DATABASE
    )
    expect_equal(changed["version"], 2, "a change raises the profile's version by one", service=DATABASE)
    for what, wrong, code in (
        ("a display name of 81 characters", {"display_name": "x" * 81}, "23514"),
        ("a bio of 501 characters", {"bio": "x" * 501}, "23514"),
        ("a username in capitals", {"username": "UPPER"}, "23514"),
        ("a username of two letters", {"username": "ab"}, "23514"),
        ("somebody's username", {"username": other.username}, "23505"),
        ("another id", {"id": other.id}, "42501"),
        ("a version", {"version": 99}, "42501"),
        ("a time of making", {"created_at": "2000-01-01T00:00:00Z"}, "42501"),
    ):
        with refused(code, claim=f"{what} is refused", service=DATABASE):
            profiles.update(wrong).eq("id", person.id).execute()
    [stored] = services.database.witness_rows("profiles", id=person.id) or [{}]
    witness(services.database.channel, "the profile after eight refused changes")
    expect_equal(
        {k: stored.get(k) for k in (*good, "version")},
        {**good, "version": 2},
        "refused changes changed nothing",
        service=DATABASE,
    )


@check(
    "database.audit_complete",
    "Every change has its audit entry, with before and after, by its actor",
    requirement="P1.3",
    service=DATABASE,
    needs=("database.rest", "auth.email", "database.tables.audit_log"),
)
def test_audit_complete(run: Run, services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """One profile change, a post's whole life and two consents; the entries tell exactly this story."""
    person, stranger = actor(), actor()
    tag = run.tag()
    person.supabase.table("profiles").update({"bio": tag}).eq("id", person.id).execute()
    posts = person.supabase.table("posts")
    post = row(posts.insert({"title": tag}).execute(), "a post is written")["id"]
    posts.update({"body": "second"}).eq("id", post).execute()
    posts.update({"status": "published"}).eq("id", post).execute()
    posts.delete().eq("id", post).execute()
    for analytics in (True, False):
        person.supabase.rpc("save_consent", {"analytics": analytics}).execute()

    entries = sorted(services.database.witness_rows("audit_log", actor=person.id), key=lambda e: e["id"])
    witness(services.database.channel, f"{len(entries)} audit entries of the person")
    story = [(e["entity"], e["action"]) for e in entries]
    expect_equal(
        story,
        [
            ("profiles", "insert"),
            ("profiles", "update"),
            ("posts", "insert"),
            ("posts", "update"),
            ("posts", "update"),
            ("posts", "delete"),
            ("consents", "insert"),
            ("consents", "update"),
        ],
        "the audit log tells each change once, in order",
        service=DATABASE,
    )
    of_post = [e for e in entries if e["entity"] == "posts"]
    expect_equal({e["entity_id"] for e in of_post}, {post}, "the entries name the post", service=DATABASE)
    for earlier, later in pairwise(of_post):
        expect_equal(
            later["before"],
            earlier["after"],
            "each entry begins where the one before it ended",
            service=DATABASE,
        )
    expect_equal(
        (
            of_post[0]["before"],
            (of_post[1]["after"] or {}).get("body"),
            (of_post[2]["after"] or {}).get("status"),
            of_post[3]["after"],
        ),
        (None, "second", "published", None),
        "entries hold the row before and after",
        service=DATABASE,
    )
    own = rows(person.supabase.table("audit_log").select("id").execute())
    expect_equal(len(own), len(entries), "a person reads their own entries, all of them", service=DATABASE)
    theirs = rows(stranger.supabase.table("audit_log").select("id").eq("actor", person.id).execute())
    expect_equal(theirs, [], "a stranger reads none of them", service=DATABASE)


@check(
    "database.audit_of_files",
    "What becomes of a file is in the audit log too, though the Worker writes it",
    requirement=("P1.3", "P2.3"),
    service=DATABASE,
    needs=("database.rest", "platform.api", "auth.email", "storage.supabase", "database.tables.audit_log"),
)
def test_audit_of_files(
    services: ServiceClients, adapter: Adapter, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """Two versions, a new name, and the end: each change of the file and of its versions, by its owner."""
    person, first = actor(), made(1000)
    token = person.access_token
    prepared(services, adapter, token, first)
    stored = prepared(services, adapter, token, MadeFile(first.name, 2000, "second"))
    at = f"/api/files/{stored['id']}"
    services.platform.call("PATCH", at, token=token, body={"name": f"new-{first.name}"}).demand(200)
    services.platform.call("DELETE", at, token=token).demand(204)
    entries = sorted(services.database.witness_rows("audit_log", actor=person.id), key=lambda e: e["id"])
    witness(services.database.channel, f"{len(entries)} audit entries of the person")
    for entity, due in (("file_versions", ["delete", "delete", "insert", "insert"]), ("files", None)):
        found = [e for e in entries if e["entity"] == entity]
        actions = [e["action"] for e in found]
        if due is not None:
            expect_equal(sorted(actions), due, f"each change of {entity} is told once", service=DATABASE)
            continue
        expect_equal(
            (actions[:1], actions[-1:], set(actions[1:-1])),
            (["insert"], ["delete"], {"update"}),
            f"the life of {entity} is told from its beginning to its end",
            service=DATABASE,
        )
        names = [(e["after"] or {}).get("name") for e in found[:-1]]
        expect_equal(
            (names[0], names[-1], found[-1]["before"]["name"]),
            (first.name, f"new-{first.name}", f"new-{first.name}"),
            "the entries hold the name before and after",
            service=DATABASE,
        )


@check(
    "database.audit_immutable",
    "Nobody edits the audit log: no person, no service key, no database owner",
    requirement=("P1.3", "prod.compliance"),
    service=DATABASE,
    needs=("database.sql", "auth.email", "database.rest", "database.tables.audit_log"),
)
def test_audit_immutable(run: Run, services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """Insert, update, delete and truncate by each hand; the entries are the same afterwards, and reading works."""
    person = actor()
    row(person.supabase.table("posts").insert({"title": run.tag()}).execute(), "a post is written")
    before = services.database.witness_rows("audit_log", actor=person.id)
    expect(before, "there are entries to protect (positive control)", service=DATABASE)
    forged = {"actor": person.id, "action": "insert", "entity": "posts", "entity_id": run.tag()}
    mine = {"actor": f"eq.{person.id}"}
    for who, send in (
        ("a person", _as_person(services, person.access_token)),
        ("the secret key", services.database.as_admin),
    ):
        for verb, params, body in (
            ("POST", {}, forged),
            ("PATCH", mine, {"entity_id": "x"}),
            ("DELETE", mine, None),
        ):
            answer = send(verb, "/audit_log", params=params, body=body)
            expect(
                answer.status in (401, 403) and answer.code == "42501",
                f"{verb} on the audit log is refused to {who}",
                expected="403 with 42501",
                saw=answer.said(),
                service=DATABASE,
            )
    sql = services.database.demand_sql()
    for statement in (
        "update public.audit_log set entity_id = 'x' where actor = %s",
        "delete from public.audit_log where actor = %s",
        "truncate public.audit_log",
    ):
        expect_equal(
            sql.refusal(statement, (person.id,) if "%s" in statement else ()),
            "42501",
            f"the database's owner is refused: {statement}",
            service=DATABASE,
        )
    after = services.database.witness_rows("audit_log", actor=person.id)
    witness("SQL as the database's owner", "the same entries as before")
    expect_equal(after, before, "the audit log is unchanged after fifteen tries", service=DATABASE)


def _as_person(services: ServiceClients, token: str) -> Any:
    def send(method: str, path: str, *, params: dict[str, str], body: Any) -> Any:
        return services.database.rest(method, path, token=token, params=params, body=body)

    return send
