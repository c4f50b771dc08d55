"""KV: content is kept in Cloudflare KV, and read from there."""

from __future__ import annotations

import time

from clients.service_clients import ServiceClients
from clients.services.builder import page_entry
from clients.services.kv import content_keys
from core.clock import eventually
from core.expect import expect, expect_equal
from core.ledger import Ledger
from core.passport import check
from core.run import Run
from scenarios.adapter import Adapter
from suites.types import Witness

KV = "kv"


@check(
    "cache.kv_hit_and_miss",
    "A page is a miss, then a hit out of KV, and a miss once KV forgets it",
    requirement=("KV", "done.nomocks"),
    service=KV,
    needs=("cache.kv", "platform.api", "content.api"),
    timeout=100,
    why_slow="KV on Cloudflare needs up to a minute until every location sees a removal",
)
def test_kv_hit_and_miss(
    run: Run, services: ServiceClients, ledger: Ledger, adapter: Adapter, witness: Witness
) -> None:
    """KV's own API shows the kept page between miss and hit; removing it there makes the next one a miss."""
    tag = run.tag()
    path, marker = f"/assay/{tag}", f"kept {tag}"
    ledger.plan("kv.prefix", prefix=content_keys(path))
    entry = ledger.plan("builder.entry", path=path)
    entry.confirm(id=services.builder.create(page_entry(path, "Kept", marker), webhooks=False)["id"])

    def served() -> str:
        answer = adapter.page(services.platform.port, path)
        expect(
            answer.status in (200, 404),
            "a content page answers",
            saw=f"{answer.status} {answer.text[:200]}",
            service="platform",
        )
        return f"a {adapter.cache_state(answer)} {'with' if marker in answer.text else 'without'} the text"

    first = eventually(
        served,
        until=lambda s: s.endswith(" with the text"),
        within=30,
        claim="the new page is served",
        service="platform",
    )
    expect_equal(first, "a miss with the text", "the first request of a page is a miss", service=KV)
    keys = eventually(
        lambda: services.kv.keys(content_keys(path)),
        within=70,
        claim="KV's own API lists the kept page",
        service=KV,
    )
    kept = services.kv.get(keys[0])
    witness("Cloudflare's KV API", "the page as kept")
    expect(marker.encode() in (kept or b""), "KV itself holds the page's text", saw=kept, service=KV)
    listed = services.kv.port.request("GET", "/keys", params={"prefix": content_keys(path), "limit": 10})
    ends = [entry.get("expiration") for entry in listed.demand(200).json(dict)["result"]]
    expect(
        ends and all(isinstance(end, int) and end > time.time() for end in ends),
        "KV forgets the page by itself some day",
        expected="an expiration with each key",
        saw=ends,
        service=KV,
    )
    expect_equal(
        served(), "a hit with the text", "the second request is a hit with the same text", service=KV
    )

    services.kv.delete(*keys)
    eventually(
        served,
        until=lambda s: s == "a miss with the text",
        within=70,
        claim="once KV forgot the page, the next request is a miss",
        service=KV,
    )
