"""KV, P3.2: how long content counts as fresh, and what its headers say."""

from __future__ import annotations

import json
import time

from clients.http_port import WireAnswer
from clients.service_clients import ServiceClients
from clients.services.kv import content_keys
from core.clock import eventually
from core.expect import expect, expect_equal, expect_status
from core.ledger import Ledger
from core.outcome import SampleOutcome
from core.passport import check
from core.run import Run
from scenarios.adapter import Adapter
from suites.content.pages import new_page
from suites.types import Witness

KV = "kv"
PLATFORM = "platform"
FRESH_FOR = 300
"""Seconds that a kept page counts as fresh, by the platform's contract."""
CLOCKS = 5
SLOW = "KV on Cloudflare needs up to a minute until every location sees a change"


@check(
    "cache.expiry",
    "A kept page past its time is asked for again; a fresh one is not",
    requirement="KV",
    service=KV,
    needs=("cache.kv", "platform.api", "content.api"),
    timeout=150,
    why_slow=SLOW,
)
def test_expiry(
    run: Run, services: ServiceClients, ledger: Ledger, adapter: Adapter, witness: Witness
) -> None:
    """Through KV's own API the kept copy gets another text and another age; only its age decides whether it is served."""
    page = new_page(run, services, ledger, adapter)
    page.publish(f"true {page.tag}")
    page.served(f"true {page.tag}")
    keys = eventually(
        lambda: services.kv.keys(content_keys(page.path)),
        within=70,
        claim="the page is kept in KV",
        service=KV,
    )
    kept = services.kv.kept(keys[0])
    expect(
        abs(time.time() * 1000 - kept["fetched_at"]) < 300_000,
        "KV keeps when it was fetched",
        saw=kept["fetched_at"],
        service=KV,
    )
    text = json.dumps(kept["content"]).replace(f"true {page.tag}", f"marked {page.tag}")

    def put(age_seconds: int) -> None:
        value = {"content": json.loads(text), "fetched_at": int((time.time() - age_seconds) * 1000)}
        services.kv.put(keys[0], json.dumps(value).encode())

    put(FRESH_FOR // 2)
    fresh = page.served(f"marked {page.tag}", within=70)
    witness("Cloudflare's KV API", "a text written there is the text served")
    expect_equal(adapter.cache_state(fresh), "hit", "a copy of half its time is served from KV", service=KV)
    expect(
        FRESH_FOR // 2 - CLOCKS <= int(fresh.headers.get("age", -1)) <= FRESH_FOR,
        "the age of a kept page is told",
        saw=fresh.headers.get("age"),
        service=PLATFORM,
    )
    put(FRESH_FOR + 60)
    old = page.served(f"true {page.tag}", within=70)
    expect_equal(adapter.cache_state(old), "miss", "a copy past its time is asked for again", service=KV)


@check(
    "cache.headers_and_times",
    "Hits and misses answer alike, say which they are, and their times are on record",
    requirement=("KV", "perf.content"),
    service=KV,
    needs=("cache.kv", "platform.api", "content.api"),
    timeout=100,
    why_slow=SLOW,
)
def test_headers(
    run: Run, services: ServiceClients, ledger: Ledger, adapter: Adapter, witness: Witness
) -> None:
    """Five misses (the copy removed through KV's own API before each) and ten hits of one page."""
    page = new_page(run, services, ledger, adapter)
    page.publish(f"timed {page.tag}")
    page.served(f"timed {page.tag}")
    for number in range(5):
        keys = eventually(
            lambda: services.kv.keys(content_keys(page.path)), within=70, claim="the page is kept", service=KV
        )
        services.kv.delete(*keys)
        miss = eventually(
            page.get,
            until=lambda a: adapter.cache_state(a) == "miss",
            within=70,
            claim="removed is a miss",
            service=KV,
        )
        hit = eventually(
            page.get,
            until=lambda a: adapter.cache_state(a) == "hit",
            within=70,
            claim="kept is a hit",
            service=KV,
        )
        for state, answer in (("miss", miss), ("hit", hit), ("hit", page.get())):
            right = answer.status == 200 and f"timed {page.tag}" in answer.text
            run.journal.sample(
                run.journal.series("perf.content", {"cache": state}),
                intended=answer.intended,
                sent=answer.sent,
                done=answer.done,
                outcome=SampleOutcome.OK if right else SampleOutcome.WRONG,
            )
            expect(right, f"a {state} answers with the page", saw=answer.said(), service=PLATFORM)
        expect_equal(
            hit.json(dict)["html"],
            miss.json(dict)["html"],
            f"hit and miss {number} show the same page",
            service=PLATFORM,
        )
        expect(
            "builder" in miss.headers.get("server-timing", ""),
            "a miss says how long Builder.io took",
            saw=dict(miss.headers),
            service=PLATFORM,
        )
    witness("Cloudflare's KV API", "the copy before each removal")
    hit = page.get()
    etag = hit.headers.get("etag", "")
    expect(etag, "the page has an ETag", saw=dict(hit.headers), service=PLATFORM)
    again = page.changed_since(etag)
    expect_equal((again.status, again.content), (304, b""), "an unchanged page answers 304", service=PLATFORM)
    [key] = services.kv.keys(content_keys(page.path))
    kept = json.dumps(services.kv.kept(key)).replace(f"timed {page.tag}", f"changed {page.tag}")
    services.kv.put(key, kept.encode())
    page.served(f"changed {page.tag}", within=70)
    changed = page.changed_since(etag)
    expect_status(
        changed, 200, "once the page has changed, its old ETag is answered with the page", service=PLATFORM
    )
    bad = adapter.page(services.platform.port, "/../etc")
    assert isinstance(bad, WireAnswer)
    expect_status(bad, 400, "a path that climbs is refused", service=PLATFORM)
