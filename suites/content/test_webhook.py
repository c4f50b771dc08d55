"""P3.1: the webhook: only Builder.io's is believed, only fresh, only once; and it really refreshes."""

from __future__ import annotations

import time

from clients.service_clients import ServiceClients
from clients.services.kv import content_keys
from core.clock import eventually
from core.expect import expect, expect_equal
from core.ledger import Ledger
from core.passport import check
from core.run import Run
from scenarios.adapter import Adapter
from suites.content.pages import ContentPage, new_page, now_ms
from suites.types import Witness

BUILDER = "builder"
PLATFORM = "platform"


def stale_page(
    run: Run, services: ServiceClients, ledger: Ledger, adapter: Adapter
) -> tuple[ContentPage, dict[str, object]]:
    """A page whose cached copies are old: published, cached, changed without telling; and its new value."""
    page = new_page(run, services, ledger, adapter)
    page.publish(f"old {page.tag}")
    page.served(f"old {page.tag}")
    eventually(
        page.get,
        until=lambda a: adapter.cache_state(a) == "hit",
        within=70,
        claim="the page is cached",
        service="kv",
    )
    # A variant is kept apart: the webhook must take that copy away as well.
    page.served(f"old {page.tag}", device="mobile")
    eventually(
        lambda: services.kv.keys(content_keys(page.path)),
        until=lambda keys: len(keys) == 2,
        within=70,
        claim="both variants of the page are kept",
        service="kv",
    )
    value = page.publish(f"new {page.tag}")
    return page, {**value, "query": value.get("query") or [{"property": "urlPath", "value": page.path}]}


@check(
    "content.webhook_believed",
    "A signed webhook refreshes the page, in both of its forms",
    requirement=("P3.1", "P3.2"),
    service=BUILDER,
    needs=("content.webhook", "platform.api", "cache.kv", "content.api"),
    timeout=100,
    why_slow="KV on Cloudflare needs up to a minute until every location sees a change",
)
def test_believed(
    run: Run, services: ServiceClients, ledger: Ledger, adapter: Adapter, witness: Witness
) -> None:
    """Before it the old text is a hit (so it was the webhook that refreshed); other models refresh nothing."""
    for form in ("signature", "secret"):
        page, value = stale_page(run, services, ledger, adapter)
        kept = page.get()
        etag = kept.headers.get("etag", "")
        expect(
            f"old {page.tag}" in kept.text,
            "before the webhook the kept text is served (control)",
            saw=kept.text[:200],
            service=PLATFORM,
        )
        body = page.hook("publish", value)
        headers = page.signed(body) if form == "signature" else page.with_secret()
        answer = page.tell(body, **headers).expect(200, claim=f"a webhook with its {form} is taken")
        expect(
            page.path in answer.json(dict)["refreshed"],
            "the answer to a webhook says which pages it refreshed",
            saw=answer.said(),
            service=PLATFORM,
        )
        page.served(f"new {page.tag}", within=70)
        page.served(f"new {page.tag}", within=70, device="mobile")
        known = page.changed_since(etag)
        expect_equal(
            (known.status, f"new {page.tag}" in known.text),
            (200, True),
            "who has the old page is given the new one (ETag)",
            service=PLATFORM,
        )
        allowed = known.headers.get("cache-control", "")
        expect(
            any(word in allowed for word in ("max-age=0", "no-cache", "no-store")),
            "no browser serves the old page by itself",
            expected="Cache-Control that makes it ask again",
            saw=allowed or "not said",
            service=PLATFORM,
        )
        keys = services.kv.keys(content_keys(page.path))
        in_kv = [services.kv.get(key) or b"" for key in keys]
        witness("Cloudflare's KV API", "what is kept after the webhook")
        expect(
            not any(f"old {page.tag}".encode() in v for v in in_kv),
            "KV keeps nothing of the old text",
            saw=keys,
            service="kv",
        )
    other = page.hook("publish", value).replace(b'"modelName": "page"', b'"modelName": "header"')
    answer = page.tell(other, **page.signed(other)).expect(200, claim="another model's webhook is taken")
    expect_equal(
        answer.json(dict)["refreshed"], [], "a webhook of another model refreshes no page", service=PLATFORM
    )


@check(
    "content.webhook_refused",
    "A webhook unsigned, wrongly signed, late or repeated is refused and refreshes nothing",
    requirement=("P3.1", "P6.3"),
    service=BUILDER,
    needs=("content.webhook", "platform.api", "cache.kv", "content.api"),
    timeout=100,
    why_slow="KV on Cloudflare needs up to a minute until every location sees a change",
)
def test_refused(
    run: Run, services: ServiceClients, ledger: Ledger, adapter: Adapter, witness: Witness
) -> None:
    """Eight wrong ones leave the kept text as it was; the right one works, once (positive control)."""
    page, value = stale_page(run, services, ledger, adapter)
    body = page.hook("publish", value)
    now = int(time.time())
    good = page.signed(body)
    late = page.hook("publish", {**value, "lastUpdated": now_ms() - 400_000})
    for what, sent, headers, code in (
        ("without signature", body, {}, "bad_signature"),
        ("signed with another secret", body, page.signed(body, secret="x" * 48), "bad_signature"),
        (
            "with another body under its signature",
            body.replace(b"publish", b"archive"),
            good,
            "bad_signature",
        ),
        ("with a signature of no form", body, {"X-Builder-Signature": "v1=abc"}, "bad_signature"),
        ("with another secret in the header", body, {"X-Builder-Webhook-Secret": "wrong"}, "bad_signature"),
        ("six minutes old", body, page.signed(body, at=now - 360), "stale"),
        ("six minutes ahead", body, page.signed(body, at=now + 360), "stale"),
        ("with the secret, of a value six minutes old", late, page.with_secret(), "stale"),
    ):
        answer = page.tell(sent, **headers)
        expect_equal(
            (answer.status, answer.code), (401, code), f"a webhook {what} is refused", service=PLATFORM
        )
    kept = page.get()
    expect_equal(
        (adapter.cache_state(kept), f"old {page.tag}" in kept.text),
        ("hit", True),
        "eight refused webhooks refreshed nothing",
        service=PLATFORM,
    )
    page.tell(body, **good).expect(200, claim="the right one is taken (positive control)")
    page.served(f"new {page.tag}", within=70)
    again = page.tell(body, **good)
    expect_equal(
        (again.status, again.code),
        (409, "replayed"),
        "the same webhook a second time is refused",
        service=PLATFORM,
    )
    held = services.builder.content(page.path)
    witness("Builder.io's content API", "the text that the platform now serves")
    expect(
        f"new {page.tag}" in str(held), "what is served is what Builder.io holds", saw=held, service=BUILDER
    )


@check(
    "content.webhook_burst",
    "Ten changes in a burst end with the last one served, even if their webhooks come out of order",
    requirement=("P3.1", "P3.2"),
    service=BUILDER,
    needs=("content.webhook", "content.api"),
    timeout=100,
    why_slow="Builder.io's webhooks and edge cache may take half a minute on a live target",
)
def test_burst(
    run: Run, services: ServiceClients, ledger: Ledger, adapter: Adapter, witness: Witness
) -> None:
    """The first change's webhook is sent again last, late, as networks do; the newest text stays."""
    page = new_page(run, services, ledger, adapter)
    first = page.publish(f"text 0 {page.tag}")
    page.served(f"text 0 {page.tag}")
    for number in range(1, 11):
        page.publish(f"text {number} {page.tag}", webhooks=True)
    page.served(f"text 10 {page.tag}", within=60)
    body = page.hook("publish", {**first, "late": page.tag})
    page.tell(body, **page.signed(body)).expect(200, claim="a webhook that comes late is taken")
    page.served(f"text 10 {page.tag}", within=60)
    held = services.builder.content(page.path)
    witness("Builder.io's content API", "the last text")
    expect(f"text 10 {page.tag}" in str(held), "Builder.io holds the last text", saw=held, service=BUILDER)
