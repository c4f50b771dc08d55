"""risk.fallback: Builder.io, the telemetry vendors and Supabase taken away; the promised fallback is seen, and the return.

These run serially on a stack of their own, and take services away through its control address.
"""

from __future__ import annotations

import json

from clients.control import fault, outage
from clients.made_files import MIB
from clients.service_clients import ServiceClients
from core.clock import eventually
from core.expect import expect, expect_equal, expect_status
from core.ledger import Ledger
from core.passport import check
from core.run import Run
from scenarios.adapter import Adapter
from stack.platform.assay.checks.platform.outages import (
    ACTIONS,
    PLATFORM,
    TIMEOUT,
    WHY,
    expire_cached_page,
    goes_on,
    wait_healthy,
    wait_reported_down,
)
from stack.platform.assay.checks.storage.uploads import expect_content, holdings, prepared
from suites.content.pages import new_page
from suites.realtime.room_recorder import NewRoom
from suites.telemetry.arrival import readable
from suites.types import NewActor, NewFile, Witness


@check(
    "fallback.builder",
    "With Builder.io away kept pages are served and marked, others answered in the contract's words",
    requirement=("risk.fallback", "P3.2"),
    service="builder",
    needs=("content.api", "platform.api", "cache.kv"),
    actions=ACTIONS,
    timeout=TIMEOUT,
    why_slow=WHY,
    exclusive=True,
)
def test_builder(
    run: Run, services: ServiceClients, ledger: Ledger, adapter: Adapter, witness: Witness
) -> None:
    """The kept copy is made old through KV's own API first, so that the platform has to ask."""
    page = new_page(run, services, ledger, adapter)
    page.publish(f"kept {page.tag}")
    page.served(f"kept {page.tag}")
    unknown = new_page(run, services, ledger, adapter)
    expire_cached_page(services, page.path)
    with fault(run, "vendors", rules=[{"where": "builder", "status": 503}]), goes_on("Builder.io"):
        answer = page.get()
        expect_equal(
            (answer.status, adapter.cache_state(answer), f"kept {page.tag}" in answer.text),
            (200, "stale", True),
            "with Builder.io failing the kept page is served, marked as stale",
            service=PLATFORM,
        )
        none = services.platform.call("GET", "/api/content", params={"path": unknown.path}, allow=(502,))
        expect_equal(
            (none.status, none.code),
            (502, "upstream_failed"),
            "a page that is not kept says who is away",
            service=PLATFORM,
        )
        wait_reported_down(services, "builder", status="degraded")
    with fault(run, "vendors", rules=[{"where": "builder", "hang": True}]), goes_on("Builder.io"):
        answer = page.get()
        expect_equal(
            adapter.cache_state(answer),
            "stale",
            "with Builder.io silent the kept page is served too",
            service=PLATFORM,
        )
    back = eventually(
        page.get,
        until=lambda a: adapter.cache_state(a) in ("miss", "hit"),
        within=30,
        claim="fresh again",
        service=PLATFORM,
    )
    witness("Cloudflare's KV API", "the kept copy, made old")
    expect(
        f"kept {page.tag}" in back.text,
        "with Builder.io back the page is fresh again",
        saw=back.said(),
        service=PLATFORM,
    )
    wait_healthy(services)


@check(
    "fallback.telemetry",
    "With all telemetry away the product works as before, and says what is missing",
    requirement=("risk.fallback", "P4.1", "P4.2", "P4.3"),
    service="sentry",
    needs=("telemetry.sentry", "platform.api", "auth.email", "storage.supabase", "rooms.websocket"),
    actions=ACTIONS,
    timeout=TIMEOUT,
    why_slow=WHY,
    exclusive=True,
)
def test_telemetry(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """Sentry's process is stopped, the vendors' intakes fail: upload, read and chat go on."""
    person, file = actor(), made(1000)
    rules = [{"where": vendor, "status": 503} for vendor in ("datadog", "ga4", "mixpanel")]
    with outage(run, "sentry"), fault(run, "vendors", rules=rules), goes_on("telemetry"):
        stored = prepared(services, adapter, person.access_token, file)
        expect_content(services, person.access_token, stored, file)
        member = services.rooms.join(f"assay-{run.tag()}", person.access_token)
        member.say("still talking", "1")
        member.acked("1")
        member.close()
        wait_reported_down(services, "sentry", "datadog", "ga4", "mixpanel", status="degraded")
        event = {"name": "page_view", "client_id": "1.1", "consent": "granted"}
        relayed = services.platform.call("POST", "/api/track", body=event, allow=(502, 503))
        expect_equal(
            (relayed.status, relayed.code),
            (502, "upstream_failed"),
            "a relay says that its intake is away",
            service=PLATFORM,
        )
    witness("the control address", "Sentry stopped, three intakes failing")
    wait_healthy(services)
    marker = run.tag()
    thrown = services.platform.call(
        "POST", "/api/errors/test", token=person.access_token, params={"marker": marker}
    )
    event = readable(
        run,
        "sentry",
        None,
        lambda: services.sentry.event(str(thrown.details.get("event_id", ""))),
        claim="with Sentry back the platform's next error is readable there",
    )
    witness("Sentry's Web API", "an error thrown after the outage")
    expect(
        marker in json.dumps(event),
        "Sentry shows the error that was thrown",
        expected=f"its marker {marker}",
        saw=event.get("title"),
        service="sentry",
    )


@check(
    "fallback.supabase",
    "With Supabase away the platform says so, hands out nothing wrong, and recovers by itself",
    requirement=("risk.fallback", "P1.1"),
    service="supabase.database",
    needs=("database.rest", "platform.api", "auth.email", "storage.r2", "storage.supabase"),
    actions=ACTIONS,
    timeout=TIMEOUT,
    why_slow=WHY,
    exclusive=True,
)
def test_supabase(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """Killed, not stopped: uploads are refused in the contract's words and leave nothing; content is served on."""
    person, file, lost = actor(), made(6 * MIB), made(6 * MIB)
    stored = prepared(services, adapter, person.access_token, file)
    with outage(run, "supabase", how="kill"), goes_on("Supabase"):
        wait_reported_down(services, "database", "auth", "storage", status="down")
        refused = services.platform.call(
            "POST",
            "/api/upload",
            token=person.access_token,
            params={"name": lost.name},
            body=lost.data,
            headers={"Content-Type": lost.mime},
            allow=(401, 502, 503),
        )
        expect(
            refused.status in (502, 503) and refused.code in ("upstream_failed", "unavailable"),
            "an upload is refused in the contract's words",
            expected="502 upstream_failed or 503 unavailable",
            saw=refused.said(),
            service=PLATFORM,
        )
    wait_healthy(services)
    expect_content(services, person.access_token, stored, file)
    there = eventually(
        lambda: holdings(services, person.id),
        until=lambda h: h.r2 == (stored["object_key"],),
        within=30,
        claim="R2 holds the file from before, and nothing of the refused one",
        service="r2",
    )
    witness("both stores' own APIs", f"{len(there.r2)} object in R2")
    title = run.tag()
    written = services.database.rest("POST", "/posts", token=person.access_token, body={"title": title})
    written.expect(201, claim="afterwards a post is written")
    posts = services.database.witness_rows("posts", author_id=person.id)
    rows = services.database.witness_rows("files", owner_id=person.id)
    witness(services.database.channel, "the post from afterwards, and the files' rows")
    expect_equal(
        [p["title"] for p in posts], [title], "a post that was written is stored", service="supabase.database"
    )
    shown = services.database.rest(
        "GET", f"/posts?select=id,title&author_id=eq.{person.id}", token=person.access_token
    )
    mine = {p["id"]: p["title"] for p in shown.expect(200, claim="posts are read").json(list)}
    expect_equal(
        mine.get(posts[0]["id"]),
        title,
        "a post that was written is read by its author",
        service="supabase.database",
    )
    expect_equal(
        [f["name"] for f in rows],
        [file.name],
        "no row of the refused upload is left",
        service="supabase.database",
    )
    again = adapter.upload(services.platform.port, person.access_token, name=lost.name, data=lost.data)
    expect_status(again, 201, "afterwards the refused upload succeeds", service=PLATFORM)


@check(
    "fallback.auth",
    "With Auth alone away nobody new comes in, and who is in goes on",
    requirement=("risk.fallback", "P1.2"),
    service="supabase.auth",
    needs=(
        "auth.email",
        "platform.api",
        "database.rest",
        "storage.supabase",
        "rooms.websocket",
        "content.api",
    ),
    actions=ACTIONS,
    timeout=TIMEOUT,
    why_slow=WHY,
    exclusive=True,
)
def test_auth(
    run: Run,
    services: ServiceClients,
    adapter: Adapter,
    actor: NewActor,
    made: NewFile,
    new_room: NewRoom,
    witness: Witness,
) -> None:
    """Tokens are checked by keys that the platform already holds: files, rooms and posts need Auth for nothing."""
    person, file = actor(), made(1000)
    token = person.access_token
    stored = prepared(services, adapter, token, file)
    room = new_room()
    with fault(run, "supabase", path="/auth/v1", status=503), goes_on("Auth"):
        shut = services.auth.port.request(
            "POST",
            "/token",
            params={"grant_type": "password"},
            body={"email": person.email, "password": person.password},
            allow=(503,),
        )
        expect_status(shut, 503, "nobody logs in", service="supabase.auth")
        expect_content(services, token, stored, file)
        member = room.join(person)
        member.say("still talking", "1")
        member.acked("1")
        post = services.database.rest("POST", "/posts", token=token, body={"title": run.tag()})
        post.expect(201, claim="a person who is in writes a post")
        wait_reported_down(services, "auth", status="down")
    again = services.auth.person().auth.sign_in_with_password(
        {"email": person.email, "password": person.password}
    )
    expect(again.session is not None, "with Auth back the same log-in works", service="supabase.auth")
    kept = room.judge(person, witness)
    expect_equal([m["body"] for m in kept], ["still talking"], "what was said is kept", service="rooms")
    wait_healthy(services)
