"""risk.fallback: each service taken away in turn; the promised fallback is seen, and all is well again afterwards.

These run serially on a stack of their own, and take services away through its control address.
"""

from __future__ import annotations

import json
from typing import Any

from core.clock import eventually
from core.expect import expect, expect_equal
from core.ledger import Ledger
from core.passport import check
from core.permit import Action
from fixtures.control import fault, outage
from fixtures.files import MIB
from fixtures.run import Run
from fixtures.services.kv import content_keys
from fixtures.toolbox import Services
from scenarios.api import content, files
from scenarios.api.place import Place
from suites.content.pages import new_page
from suites.realtime.recorder import Recorder, say_all
from suites.storage.uploads import expect_content, holdings, prepared
from suites.types import NewActor, NewFile, Witness

PLATFORM = "platform"
ACTIONS = (Action.READ, Action.WRITE, Action.ADMIN, Action.OUTAGE)
WHY = "a service is taken away, its absence awaited, and its return"
TIMEOUT = 120.0


def health(services: Services) -> dict[str, Any]:
    """The platform's own word on its services; a health page answers 503 when it is down."""
    answer = services.platform.call("GET", "/api/health", allow=(503,))
    document: dict[str, Any] = answer.expect(200, 503, claim="the health page answers").json(dict)
    return document


def well_again(services: Services) -> None:
    """Waits until the platform says that all its services are well."""
    eventually(
        lambda: health(services)["status"],
        until=lambda status: status == "ok",
        within=60,
        claim="all services are well again",
        service=PLATFORM,
    )


def told_ill(services: Services, *names: str) -> dict[str, Any]:
    """Waits until the health page says that these services are ill; returns it."""
    return eventually(
        lambda: health(services),
        until=lambda h: all(not h["services"][name]["ok"] for name in names),
        within=30,
        claim=f"the health page says that {' and '.join(names)} are away",
        service=PLATFORM,
    )


@check(
    "fallback.builder",
    "With Builder.io away kept pages are served and marked, others answered in the contract's words",
    requirement=("risk.fallback", "P3.2"),
    service="builder",
    capability="content.api",
    actions=ACTIONS,
    timeout=TIMEOUT,
    why_slow=WHY,
    exclusive=True,
)
def test_builder(run: Run, services: Services, ledger: Ledger, place: Place, witness: Witness) -> None:
    """The kept copy is made old through KV's own API first, so that the platform has to ask."""
    page = new_page(run, services, ledger, place)
    page.publish(f"kept {page.tag}")
    page.served(f"kept {page.tag}")
    unknown = new_page(run, services, ledger, place)
    make_old(services, page.path)
    with fault(run, "vendors", rules=[{"where": "builder", "status": 503}]):
        answer = page.get()
        expect_equal(
            (answer.status, content.cache_state(answer), f"kept {page.tag}" in answer.text),
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
        sick = told_ill(services, "builder")
        expect_equal(
            sick["status"],
            "degraded",
            "without Builder.io the platform is degraded, not down",
            service=PLATFORM,
        )
    with fault(run, "vendors", rules=[{"where": "builder", "hang": True}]):
        answer = page.get()
        expect_equal(
            content.cache_state(answer),
            "stale",
            "with Builder.io silent the kept page is served too",
            service=PLATFORM,
        )
    back = eventually(
        page.get,
        until=lambda a: content.cache_state(a) in ("miss", "hit"),
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
    well_again(services)


def make_old(services: Services, path: str) -> None:
    """Makes every kept copy of a page an hour and more old."""
    for key in eventually(
        lambda: services.kv.keys(content_keys(path)), within=30, claim="the page is kept in KV", service="kv"
    ):
        kept = json.loads(services.kv.get(key) or b"{}")
        services.kv.put(key, json.dumps({**kept, "fetched_at": kept["fetched_at"] - 4_000_000}).encode())


@check(
    "fallback.telemetry",
    "With all telemetry away the product works as before, and says what is missing",
    requirement=("risk.fallback", "P4.1", "P4.2", "P4.3"),
    service="sentry",
    capability="telemetry.sentry",
    actions=ACTIONS,
    timeout=TIMEOUT,
    why_slow=WHY,
    exclusive=True,
)
def test_telemetry(
    run: Run, services: Services, place: Place, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """Sentry's process is stopped, the vendors' intakes fail: upload, read and chat go on."""
    person, file = actor(), made(1000)
    rules = [{"where": vendor, "status": 503} for vendor in ("datadog", "ga4", "mixpanel")]
    with outage(run, "sentry"), fault(run, "vendors", rules=rules):
        stored = prepared(services, place, person.access_token, file)
        expect_content(services, person.access_token, stored, file)
        member = services.rooms.join(f"assay-{run.tag()}", person.access_token)
        member.say("still talking", "1")
        member.acked("1")
        member.close()
        sick = told_ill(services, "sentry", "datadog", "ga4", "mixpanel")
        expect_equal(
            sick["status"],
            "degraded",
            "without telemetry the platform is degraded, not down",
            service=PLATFORM,
        )
        event = {"name": "page_view", "client_id": "1.1", "consent": "granted"}
        relayed = services.platform.call("POST", "/api/track", body=event, allow=(502, 503))
        expect_equal(
            (relayed.status, relayed.code),
            (502, "upstream_failed"),
            "a relay says that its intake is away",
            service=PLATFORM,
        )
    witness("the control address", "Sentry stopped, three intakes failing")
    well_again(services)


@check(
    "fallback.supabase",
    "With Supabase away the platform says so, hands out nothing wrong, and recovers by itself",
    requirement=("risk.fallback", "P1.1"),
    service="supabase.database",
    capability="database.rest",
    actions=ACTIONS,
    timeout=TIMEOUT,
    why_slow=WHY,
    exclusive=True,
)
def test_supabase(
    run: Run, services: Services, place: Place, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """Killed, not stopped: uploads are refused in the contract's words and leave nothing; content is served on."""
    person, file, lost = actor(), made(6 * MIB), made(6 * MIB)
    stored = prepared(services, place, person.access_token, file)
    with outage(run, "supabase", how="kill"):
        sick = told_ill(services, "database", "auth", "storage")
        expect_equal(
            sick["status"],
            "down",
            "without its core services the platform says that it is down",
            service=PLATFORM,
        )
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
    well_again(services)
    expect_content(services, person.access_token, stored, file)
    there = eventually(
        lambda: holdings(services, person.id),
        until=lambda h: h.r2 == (stored["object_key"],),
        within=30,
        claim="R2 holds the file from before, and nothing of the refused one",
        service="r2",
    )
    witness("both stores' own APIs", f"{len(there.r2)} object in R2")
    again = files.upload(services.platform.port, place, person.access_token, name=lost.name, data=lost.data)
    expect_equal(again.status, 201, "afterwards the refused upload succeeds", service=PLATFORM)


@check(
    "fallback.storage",
    "With one store failing an upload to it leaves nothing, and the other store is used as ever",
    requirement=("risk.fallback", "P2.2"),
    service="supabase.storage",
    capability="storage.supabase",
    actions=ACTIONS,
    timeout=TIMEOUT,
    why_slow=WHY,
    exclusive=True,
)
def test_storage(
    run: Run, services: Services, place: Place, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """Supabase Storage answers 500 to everything: a small file is refused, a large one goes to R2."""
    person, small, large = actor(), made(1000), made(6 * MIB)
    with fault(run, "supabase", path="/storage/v1", status=500):
        refused = services.platform.call(
            "POST",
            "/api/upload",
            token=person.access_token,
            params={"name": small.name},
            body=small.data,
            headers={"Content-Type": small.mime},
            allow=(502, 503),
        )
        expect_equal(
            (refused.status, refused.code),
            (502, "upstream_failed"),
            "a small file is refused, saying who is away",
            service=PLATFORM,
        )
        stored = prepared(services, place, person.access_token, large)
        expect_content(services, person.access_token, stored, large)
    left = services.database.witness_rows("files", owner_id=person.id)
    witness(services.database.channel, "the large file alone")
    expect_equal(
        [f["name"] for f in left],
        [large.name],
        "nothing of the refused file is left",
        service="supabase.database",
    )
    prepared(services, place, person.access_token, small)
    well_again(services)


@check(
    "fallback.restart",
    "The platform killed and started again has lost nothing that it acknowledged",
    requirement=("risk.fallback", "P5.1", "P5.2", "done.nomocks"),
    service=PLATFORM,
    capability="platform.api",
    actions=ACTIONS,
    timeout=TIMEOUT,
    why_slow=WHY,
    exclusive=True,
)
def test_restart(
    run: Run,
    services: Services,
    ledger: Ledger,
    place: Place,
    actor: NewActor,
    made: NewFile,
    witness: Witness,
) -> None:
    """Messages, a file in R2 and a page in KV, all acknowledged before the kill; members come back with `since`."""
    anna, boris = actor(), actor()
    file = made(6 * MIB)
    stored = prepared(services, place, anna.access_token, file)
    page = new_page(run, services, ledger, place)
    page.publish(f"kept {page.tag}")
    page.served(f"kept {page.tag}")
    recorder = Recorder(services, f"assay-{run.tag()}")
    a, b = recorder.join(anna), recorder.join(boris)
    say_all(a, [(f"c{n}", f"before {n}") for n in range(10)])
    b.wait_message("before 9")
    with outage(run, PLATFORM, how="kill"):
        for member in (a, b):
            member.wait_closed()
            member.ended = "cut"
    well_again(services)
    a2 = recorder.join(anna, since=a.last_id)
    recorder.join(boris, since=b.last_id)
    say_all(a2, [("after", "after the restart")])
    kept = recorder.judge(boris)
    witness("the room's history over HTTP", f"{len(kept)} messages")
    expect_equal(len(kept), 11, "every acknowledged message is there, and the new one", service="rooms")
    recorder.presence_converges()
    recorder.close()
    expect_content(services, anna.access_token, stored, file)
    served = page.get()
    expect_equal(
        (content.cache_state(served), f"kept {page.tag}" in served.text),
        ("hit", True),
        "KV still holds the page",
        service="kv",
    )


@check(
    "fallback.hibernation",
    "A room that slept wakes with its members and its messages",
    requirement=("risk.fallback", "P5.1"),
    service="rooms",
    capability="rooms.websocket",
    timeout=60,
    why_slow="a Durable Object hibernates only after some ten idle seconds",
)
def test_hibernation(run: Run, services: Services, actor: NewActor, witness: Witness) -> None:
    """Twelve seconds in which nothing is said or heard, then a message: delivered, acknowledged, in order."""
    anna, boris = actor(), actor()
    recorder = Recorder(services, f"assay-{run.tag()}")
    a, b = recorder.join(anna), recorder.join(boris)
    a.say("before", "1")
    b.wait_message("before")
    heard = len(b.frames)
    expect(
        not b.hears_within(12),
        "an idle room is silent",
        saw=[f.type for f in b.frames[heard:]],
        service="rooms",
    )
    a.say("after", "2")
    b.wait_message("after")
    c = recorder.join(boris)
    expect_equal(
        {m["id"] for m in c.welcome["members"]},
        {anna.id, boris.id},
        "the woken room knows who is there",
        service="rooms",
    )
    kept = recorder.judge(anna)
    witness("the room's history over HTTP", f"{len(kept)} messages")
    expect_equal([m["body"] for m in kept], ["before", "after"], "it has forgotten nothing", service="rooms")
    recorder.close()
