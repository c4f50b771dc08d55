"""P6.3, prod.compliance: what the platform holds about a person is handed out whole, and goes away whole."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from clients.identities import Actor
from clients.made_files import MIB, sha256
from clients.service_clients import ServiceClients
from core.clock import eventually
from core.expect import expect, expect_equal, expect_one, expect_status
from core.passport import check
from core.run import Run
from scenarios.adapter import Adapter
from stack.platform.assay.checks.storage.uploads import holdings, prepared
from suites.realtime.room_recorder import NewRoom, RoomRecorder
from suites.telemetry.arrival import DEADLINES
from suites.types import NewActor, NewFile, Witness

PLATFORM = "platform"
DATABASE = "supabase.database"
OWNED = (
    ("profiles", "id"),
    ("posts", "author_id"),
    ("files", "owner_id"),
    ("uploads", "owner_id"),
    ("consents", "user_id"),
    ("audit_log", "actor"),
    ("audit_log", "subject"),
)
"""Tables, and their columns that name a person."""
DONE = ("done", "not_configured")
BEYOND_A_PAGE, BEYOND_A_LISTING = 1001, 101
"""One more than the Data API and the stores' listings give at once: what is read in pages shows all of them."""


@dataclass
class Life:
    """What one person has on the platform, in every place that holds something."""

    person: Actor
    tag: str
    files: dict[str, str]
    """SHA-256 by name: a small file and a large one."""
    room: RoomRecorder


def live(
    services: ServiceClients,
    adapter: Adapter,
    person: Actor,
    made: NewFile,
    room: RoomRecorder,
    tag: str,
) -> Life:
    """Gives a person a profile, two posts, a file in each store, an unfinished upload, a picture, and words in a room."""
    rest = services.database.rest
    token = person.access_token
    rest("PATCH", f"/profiles?id=eq.{person.id}", token=token, body={"bio": f"bio {tag}"}).demand(200)
    for status in ("draft", "published"):
        row = {"title": f"{status} {tag}", "status": status}
        rest("POST", "/posts", token=token, body=row).demand(201)
    small, large = made(1000), made(6 * MIB)
    for file in (small, large):
        prepared(services, adapter, token, file)
    begun = {"name": f"begun-{tag}", "size": 6 * MIB, "mime": "application/octet-stream"}
    services.platform.call("POST", "/api/upload/start", token=token, body=begun).demand(201)
    picture = {"Content-Type": "image/png"}
    services.storage.as_user(
        "POST", f"/object/avatars/{person.id}/me.png", token, body=b"\x89PNG\r\n\x1a\nme", headers=picture
    ).demand(200)
    rest("POST", "/rpc/save_consent", token=token, body={"analytics": True}).demand(200)
    member = room.join(person)
    member.say(f"words {tag}", f"c-{tag}")
    member.wait_message(f"words {tag}")
    return Life(person, tag, {small.name: small.sha256, large.name: large.sha256}, room)


def by_id(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows by their id."""
    return {str(row["id"]): row for row in rows}


@check(
    "privacy.export",
    "The export holds everything that the platform has of a person, and nothing of anybody else",
    requirement=("P6.3", "prod.compliance"),
    service=PLATFORM,
    needs=(
        "platform.api",
        "auth.email",
        "database.rest",
        "storage.supabase",
        "rooms.websocket",
        "privacy.export",
    ),
)
def test_export(
    run: Run,
    services: ServiceClients,
    adapter: Adapter,
    actor: NewActor,
    made: NewFile,
    new_room: NewRoom,
    witness: Witness,
) -> None:
    """Compared row by row with what PostgreSQL holds, file by file with what was uploaded."""
    ada, ben = actor(), actor()
    room = new_room()
    other = room.join(ben)
    life = live(services, adapter, ada, made, room, run.tag())
    many = [{"title": f"{n} of many {life.tag}"} for n in range(BEYOND_A_PAGE)]
    services.database.rest("POST", "/posts", token=ada.access_token, body=many).demand(201)
    other.say(f"of ben {life.tag}", "b")
    other.wait_message(f"of ben {life.tag}")
    refused = services.platform.call("GET", "/api/privacy/export")
    expect_status(refused, 401, "nobody gets an export without signing in", service=PLATFORM)
    answer = services.platform.call("GET", "/api/privacy/export", token=ada.access_token)
    document = answer.expect(200, claim="a person's export is answered").json(dict)

    seen = services.database.witness_rows
    witness(services.database.channel, "every row of the person, beside the export")
    expect_equal(
        (document.get("user") or {}).get("email"),
        ada.email,
        "the export holds the account with its address",
        service=PLATFORM,
    )
    profile = expect_one(seen("profiles", id=ada.id), "the person has one profile", service=DATABASE)
    consent = expect_one(seen("consents", user_id=ada.id), "the person's choice is kept", service=DATABASE)
    posts = {post["title"]: post for post in seen("posts", author_id=ada.id)}
    titles = {post["title"] for post in document.get("posts") or []}
    for part, saw, due in (
        ("profile", (document.get("profile") or {}).get("bio"), profile["bio"]),
        ("consent", (document.get("consents") or {}).get("analytics"), consent["analytics"]),
        (
            f"posts, of which there are {len(posts)}",
            sorted(titles - posts.keys())
            + [f"without {title!r}" for title in sorted(posts.keys() - titles)][:5],
            [],
        ),
        (
            "files",
            {f["name"]: f["sha256"] for f in document.get("files") or [] if f["status"] == "ready"},
            life.files,
        ),
        (
            "versions of the files",
            sorted(v["sha256"] for f in document.get("files") or [] for v in f.get("versions") or []),
            sorted(life.files.values()),
        ),
        (
            "unfinished uploads",
            sorted(by_id(document.get("uploads") or [])),
            sorted(by_id(seen("uploads", owner_id=ada.id))),
        ),
        (
            "words in rooms",
            [m["body"] for words in (document.get("room_messages") or {}).values() for m in words],
            [f"words {life.tag}"],
        ),
    ):
        expect_equal(saw, due, f"the export holds the person's {part}", service=PLATFORM)
    log = by_id([*seen("audit_log", actor=ada.id), *seen("audit_log", subject=ada.id)])
    exported = by_id(document.get("audit_log") or [])
    missing = sorted({f"{log[i]['action']} {log[i]['entity']}" for i in log.keys() - exported.keys()})
    expect_equal(missing, [], "the export holds every audit entry about the person", service=PLATFORM)
    for file in document["files"]:
        if file["status"] != "ready":
            continue
        links = [link["url"] if isinstance(link, dict) else str(link) for link in file.get("links") or []]
        expect(
            links, "the export leads to every file's bytes", expected="a link", saw="none", service=PLATFORM
        )
        got = services.platform.call("GET", links[0])
        expect_equal(
            (got.status, sha256(got.content)),
            (200, file["sha256"]),
            "an export's link reads the file",
            service=PLATFORM,
        )
    for mark in (ben.email, f"of ben {life.tag}"):
        expect(
            mark not in answer.text,
            "the export holds nothing of another person",
            saw="another's words or address",
            service=PLATFORM,
        )


def counted(services: ServiceClients, adapter: Adapter, person: Actor, title: str) -> None:
    """One visit of a signed-in person at both analytics services, readable there."""
    body = {
        "name": "page_view",
        "params": {"page_title": title},
        "client_id": f"{uuid.uuid4().int % 10**9}.1",
        "consent": "granted",
    }
    services.platform.call("POST", "/api/track", token=person.access_token, body=body).demand(202)
    event = services.mixpanel.event("page_view", person.id, str(uuid.uuid4()), assay=title)
    adapter.report_event(services.platform.port, event)
    for service, probe in (
        ("ga4", lambda: services.ga4.realtime(page_title=title)),
        ("mixpanel", lambda: services.mixpanel.export("page_view", distinct_id=person.id)),
    ):
        eventually(
            probe, within=DEADLINES[service], every=0.1, claim="the visit is readable", service=service
        )


@check(
    "privacy.erase",
    "A deleted account leaves nothing of the person, in any store and at any service, and cannot be used",
    requirement=("P6.3", "prod.compliance"),
    service=PLATFORM,
    needs=(
        "platform.api",
        "auth.email",
        "database.rest",
        "storage.r2",
        "storage.supabase",
        "rooms.websocket",
        "privacy.erase",
    ),
    timeout=150,
    why_slow="a visit is readable at the analytics services only after indexing, before it can be seen to go",
)
def test_erase(
    run: Run,
    services: ServiceClients,
    adapter: Adapter,
    actor: NewActor,
    made: NewFile,
    new_room: NewRoom,
    witness: Witness,
) -> None:
    """Without the right address nothing goes; with it everything does, as each store's own API tells."""
    ada, ben = actor(), actor()
    room = new_room()
    other = room.join(ben)
    title = f"assay gone {run.tag()}"
    life = live(services, adapter, ada, made, room, run.tag())
    token = ada.access_token
    picture = {"Content-Type": "image/png"}
    for name in ("old/0", *map(str, range(BEYOND_A_LISTING))):
        path = f"/object/avatars/{ada.id}/{name}.png"
        services.storage.as_user("POST", path, token, body=b"\x89PNG\r\n\x1a\n", headers=picture).demand(200)
    folder = {"prefix": ada.id, "limit": 1000}
    listed = (
        services.storage.as_user("POST", "/object/list/avatars", token, body=folder).demand(200).json(list)
    )
    unlisted = {f"{n}.png" for n in range(BEYOND_A_LISTING)} - {entry["name"] for entry in listed}
    claim = f"a listing that may hold 1,000 shows every one of {BEYOND_A_LISTING} pictures"
    expect_equal(sorted(unlisted), [], claim, service="supabase.storage")
    watched = run.target.embedded  # hosted analytics take days to delete
    if watched:
        counted(services, adapter, ada, title)
    entries = by_id(services.database.witness_rows("audit_log", subject=ada.id))
    for confirm in ("", ben.email):
        no = services.platform.call("POST", "/api/privacy/erase", token=token, body={"confirm": confirm})
        expect_status(no, 400, "nothing is deleted unless the own address is given", service=PLATFORM)
    expect(
        services.database.witness_rows("profiles", id=ada.id),
        "a refused deletion deletes nothing (positive control)",
        service=DATABASE,
    )

    answer = services.platform.call("POST", "/api/privacy/erase", token=token, body={"confirm": ada.email})
    erased = answer.expect(200, claim="the deletion is answered").json(dict)["erased"]
    open_parts = {part: state for part, state in erased.items() if state not in DONE}
    expect_equal(open_parts, {}, "every part of the deletion is done", service=PLATFORM)

    rows = {
        f"{table}.{column}": services.database.witness_rows(table, **{column: ada.id})
        for table, column in OWNED
    }
    naming = {where: len(found) for where, found in rows.items() if found}
    expect_equal(naming, {}, "no row of any table names the person", service=DATABASE)
    after = by_id(services.database.witness_rows("audit_log"))
    kept = [after[i] for i in entries if i in after]
    expect_equal(
        len(kept), len(entries), "the audit log still says that something happened", service=DATABASE
    )
    personal = [e["id"] for e in kept if e["before"] or e["after"] or e["entity_id"] == ada.id]
    expect_equal(personal, [], "the audit log keeps no value of the person's", service=DATABASE)
    expect_equal(
        services.auth.find_id(ada.email), None, "Auth has no such person any more", service="supabase.auth"
    )
    left = eventually(
        lambda: holdings(services, ada.id),
        until=lambda h: h.empty,
        within=30,
        claim="no object of the person is left in either store",
        service="supabase.storage",
    )
    expect(left.empty, "no object of the person is left in either store", saw=left)
    pictures = services.storage.keys(ada.id, "avatars")
    claim = f"of their {BEYOND_A_LISTING + 2} pictures none is left"
    expect_equal((len(pictures), pictures[:3]), (0, []), claim, service="supabase.storage")
    words = services.platform.call("GET", f"/api/rooms/{room.room}/history", token=ben.access_token).demand(
        200
    )
    expect(
        ada.id not in words.text and life.tag not in words.text and ada.username not in words.text,
        "the room keeps neither their words nor their name",
        saw="their words, name or id",
        service="rooms",
    )
    other.wait_type("erased", claim="who is in the room is told")
    witness("SQL, Auth's admin API, Storage's, R2's, the room's history", "nothing of the person")
    used = services.platform.call("GET", "/api/me", token=token)
    expect_status(used, 401, "the deleted person's token is refused by the platform", service=PLATFORM)
    for grant, body in (
        ("password", {"email": ada.email, "password": ada.password}),
        ("refresh_token", {"refresh_token": ada.refresh_token}),
    ):
        back = services.auth.port.request("POST", "/token", params={"grant_type": grant}, body=body)
        expect_status(back, 400, f"nobody comes back in by the {grant}", service="supabase.auth")
    if watched:
        for service, probe in (
            ("mixpanel", lambda: len(services.mixpanel.export("page_view", distinct_id=ada.id))),
            ("ga4", lambda: services.ga4.realtime(page_title=title)),
        ):
            eventually(
                probe,
                until=lambda number: number == 0,
                within=30,
                every=0.2,
                claim=f"{service} was told to delete the person's visits",
                service=service,
            )


@check(
    "privacy.account_consent",
    "Who is signed in is counted only as their account says, whatever the request claims",
    requirement=("P4.3", "P6.3", "prod.compliance"),
    service="ga4",
    needs=("telemetry.ga4", "platform.api", "auth.email", "database.rest"),
    timeout=90,
    why_slow="an accepted event is readable only after indexing",
)
def test_account_consent(run: Run, services: ServiceClients, person: Actor, witness: Witness) -> None:
    """No answer yet, one that leaves consent out, and a refusal send nothing; agreeing does, and taking it back ends it."""
    titles = {
        name: f"assay {name} {run.tag()}"
        for name in ("unasked", "unsaid", "declined", "granted", "withdrawn")
    }

    def visit(name: str) -> int:
        body = {
            "name": "page_view",
            "params": {"page_title": titles[name]},
            "client_id": f"{uuid.uuid4().int % 10**9}.1",
            "consent": "granted",
        }
        answer = services.platform.call("POST", "/api/track", token=person.access_token, body=body)
        return int(answer.status)

    def say(analytics: bool) -> None:
        body = {"analytics": analytics}
        services.database.rest("POST", "/rpc/save_consent", token=person.access_token, body=body).demand(200)
        rows = services.database.witness_rows("consents", user_id=person.id)
        row = expect_one(rows, "the account keeps one choice", service=DATABASE)
        expect_equal(row["analytics"], analytics, "the account keeps the choice", service=DATABASE)

    expect_equal(visit("unasked"), 403, "no visit is counted before the account says yes", service=PLATFORM)
    services.database.rest(
        "POST", "/consents", token=person.access_token, body={"user_id": person.id}
    ).demand(201)
    rows = services.database.witness_rows("consents", user_id=person.id)
    assumed = expect_one(rows, "the account keeps one choice", service=DATABASE)["analytics"]
    expect_equal(assumed, False, "a choice that leaves consent out is no consent", service=DATABASE)
    expect_equal(visit("unsaid"), 403, "no visit is counted where consent was left out", service=PLATFORM)
    say(False)
    expect_equal(visit("declined"), 403, "no visit is counted once the account says no", service=PLATFORM)
    say(True)
    expect_equal(visit("granted"), 202, "a visit is counted once the account says yes", service=PLATFORM)
    say(False)
    expect_equal(visit("withdrawn"), 403, "no visit is counted once the yes is withdrawn", service=PLATFORM)
    seen = eventually(
        lambda: services.ga4.realtime(page_title=titles["granted"]),
        within=DEADLINES["ga4"],
        every=0.1,
        claim="the agreed visit is readable at GA4 (positive control)",
        service="ga4",
    )
    witness("GA4's Data API", f"{seen} agreed visit, and those that were not agreed to")
    silent = {n: services.ga4.realtime(page_title=t) for n, t in titles.items() if n != "granted"}
    expect_equal(silent, dict.fromkeys(silent, 0), "nothing else reached GA4", service="ga4")
