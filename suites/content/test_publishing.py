"""P3.1, P3.2: keys, drafts, targeting: what Builder.io holds is what each visitor is served, and no more."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

from clients.service_clients import ServiceClients
from clients.services.builder import page_entry
from core.clock import eventually, now_ns
from core.expect import expect, expect_equal
from core.ledger import Ledger
from core.passport import check
from core.run import Run
from scenarios.adapter import Adapter
from suites.content.pages import new_page
from suites.types import Witness

BUILDER = "builder"
PLATFORM = "platform"
SLOW = "Builder.io's webhook and edge cache may take half a minute on a live target"


@check(
    "content.keys",
    "Builder.io takes changes with the private key alone, and the page model is there",
    requirement="P3.1",
    service=BUILDER,
    needs=("content.api",),
    timeout=60,
    why_slow=SLOW,
)
def test_keys(run: Run, services: ServiceClients, ledger: Ledger, adapter: Adapter, witness: Witness) -> None:
    """The public key and a made-up one write nothing; the private one does (positive control)."""
    page = new_page(run, services, ledger, adapter)
    ledger.plan("builder.entry", path=page.path)
    for what, key in (("the public key", services.builder.public_key), ("a made-up key", "bpk-" + "0" * 32)):
        answer = services.builder.write_as(key, page_entry(page.path, "x", "written"))
        expect(answer.status in (401, 403), f"{what} writes nothing", saw=answer.said(), service=BUILDER)
    expect_equal(
        services.builder.content(page.path), [], "nothing was written with wrong keys", service=BUILDER
    )
    page.publish("written")
    held = eventually(
        lambda: services.builder.content(page.path),
        within=30,
        claim="Builder.io serves what was written",
        service=BUILDER,
    )
    witness("Builder.io's content API", "the entry by its path")
    expect_equal(held[0]["id"], page.id, "the private key writes (positive control)", service=BUILDER)
    wrong = services.builder.raw_content("page", apiKey="0" * 32, limit=1)
    expect(
        wrong.status in (400, 401, 403, 404) or not wrong.json(dict).get("results"),
        "an unknown public key reads nothing",
        saw=wrong.said(),
        service=BUILDER,
    )


@check(
    "content.drafts",
    "A draft is served to nobody; what is unpublished is served no longer",
    requirement=("P3.1", "P3.2"),
    service=BUILDER,
    needs=("content.webhook", "content.api"),
    timeout=100,
    why_slow=SLOW,
)
def test_drafts(
    run: Run, services: ServiceClients, ledger: Ledger, adapter: Adapter, witness: Witness
) -> None:
    """Draft, published, draft again, deleted; each step seen at the platform and in Builder.io's own API."""
    page = new_page(run, services, ledger, adapter)
    page.publish(f"secret {page.tag}", webhooks=True, published="draft")
    answer = page.get()
    expect(
        page.absent(answer, f"secret {page.tag}"),
        "a draft is served to nobody",
        saw=answer.said(),
        service=PLATFORM,
    )
    expect_equal(page.held(), [], "a draft is not served by Builder.io's public API", service=BUILDER)
    begin = now_ns()
    page.publish(f"public {page.tag}", webhooks=True, published="published")
    page.served(f"public {page.tag}")
    run.journal.sample(
        run.journal.series("content.propagation", {"change": "publish"}),
        intended=begin,
        sent=begin,
        done=now_ns(),
    )
    witness("Builder.io's content API", "the page while published")
    expect(page.held(), "Builder.io serves it too (positive control)", service=BUILDER)
    page.publish(f"secret again {page.tag}", webhooks=True, published="draft")
    eventually(
        page.get,
        until=lambda a: page.absent(a, page.tag),
        within=30,
        claim="what is unpublished is served no longer",
        service=PLATFORM,
    )
    page.publish(f"public {page.tag}", webhooks=True, published="published")
    page.served(f"public {page.tag}")
    services.builder.delete(page.id)
    eventually(
        page.get,
        until=lambda a: page.absent(a, page.tag),
        within=30,
        claim="what is deleted is served no longer",
        service=PLATFORM,
    )
    expect_equal(page.held(), [], "Builder.io no longer serves it either", service=BUILDER)


@check(
    "content.targeting",
    "A page for one audience is served to it, the general one to all others, each cached apart",
    requirement=("P3.1", "P3.2"),
    service=BUILDER,
    needs=("content.api",),
    timeout=60,
    why_slow=SLOW,
)
def test_targeting(
    run: Run, services: ServiceClients, ledger: Ledger, adapter: Adapter, witness: Witness
) -> None:
    """Entries of one path by device, audience and language, and one for all; asked twice, so that the cache is asked too."""
    page = new_page(run, services, ledger, adapter)
    page.publish(f"general {page.tag}")
    for kind, value in (("device", "mobile"), ("audience", "members"), ("locale", "de")):
        planned = ledger.plan("builder.entry", path=page.path)
        own = page_entry(page.path, value.title(), f"{value} {page.tag}", priority=0)
        own["query"].append(
            {"@type": "@builder.io/core:Query", "property": kind, "operator": "is", "value": value}
        )
        planned.confirm(id=services.builder.create(own, webhooks=False)["id"])
        asked = eventually(
            lambda kind=kind, value=value: services.builder.content(page.path, **{kind: value}),  # type: ignore[misc]
            until=lambda found, value=value: bool(found) and value in str(found[0]["data"]),  # type: ignore[misc]
            within=30,
            claim=f"Builder.io itself serves the page for {value} to {value}",
            service=BUILDER,
        )
        expect(asked, "Builder.io tells the variants apart", service=BUILDER)
    witness("Builder.io's content API", "the variants by device, audience and language")
    visits: tuple[tuple[str, dict[str, str]], ...] = (
        ("mobile", {"device": "mobile"}),
        ("general", {"device": "desktop"}),
        ("members", {"audience": "members"}),
        ("general", {"audience": "others"}),
        ("de", {"locale": "de"}),
        ("general", {"locale": "fr"}),
        ("general", {}),
    )
    for due, visitor in (*visits, *visits):
        text = page.served(f"{due} {page.tag}", **visitor).text  # type: ignore[arg-type]
        for other in {"general", "mobile", "members", "de"} - {due}:
            expect(
                f"{other} {page.tag}" not in text,
                f"a visitor with {visitor} is not served the page for {other}",
                saw=text[:200],
                service=PLATFORM,
            )


@check(
    "content.rendering",
    "A page's blocks are rendered, and nothing in them runs",
    requirement=("P3.2", "P6.3"),
    service=PLATFORM,
    needs=("content.api",),
    timeout=60,
    why_slow=SLOW,
)
def test_rendering(
    run: Run, services: ServiceClients, ledger: Ledger, adapter: Adapter, witness: Witness
) -> None:
    """Text, the platform's own component, one that it does not know, and scripts in each place that takes text.

    Judged by the elements and attributes that a browser would make of it: text that ends the attribute it stands in
    begins another.
    """
    page = new_page(run, services, ledger, adapter)
    tag = page.tag

    def block(name: str, **options: Any) -> dict[str, Any]:
        return {
            "@type": "@builder.io/sdk:Element",
            "id": f"builder-{tag}{name}",
            "component": {"name": name, "options": options},
        }

    entry = page_entry(page.path, "Rendering", "x")
    entry["data"]["blocks"] = [
        block(
            "Text", text=f"<p>text {tag} <b>bold</b></p><script>alert(1)</script><img src=x onerror=alert(2)>"
        ),
        block("Hero", title=f"hero {tag}", subtitle="<script>alert(3)</script>"),
        block("Button", text=f"button {tag}", link="javascript:alert(4)"),
        block("Unknown", text=f"unknown {tag}") | {"children": [block("Text", text=f"<p>within {tag}</p>")]},
        block("Quote", text=f"quote {tag}"),
        block("Callout", html=f"<p>callout {tag}</p>"),
        block("PostList", title=f"list {tag}"),
        block("Columns", columns=[{"blocks": [block("Text", text=f"<p>column {tag}</p>")]}]),
        *_breaking_out(block),
    ]
    planned = ledger.plan("builder.entry", path=page.path)
    planned.confirm(id=services.builder.create(entry, webhooks=False)["id"])
    document = page.served(f"hero {tag}").json(dict)
    html = document["html"]
    shown = ("text", "hero", "button", "within", "quote", "callout", "list", "column")
    for what in (f"{word} {tag}" for word in shown):
        expect(what in html, f"the page shows '{what.split()[0]}'", saw=html[:300], service=PLATFORM)
    expect("<b>bold</b>" in html, "harmless marks stay (positive control)", saw=html[:300], service=PLATFORM)
    for danger in ("<script", "onerror", "javascript:"):
        expect(
            danger not in html.lower(),
            f"nothing of '{danger}' is handed to the visitor",
            saw=html[:400],
            service=PLATFORM,
        )
    seen = _Elements()
    seen.feed(html)
    expect(
        not seen.running,
        "no element of the page runs anything",
        expected="no script, frame or handler, and harmless addresses alone",
        saw="; ".join(seen.running),
        service=PLATFORM,
    )
    held = services.builder.content(page.path)
    witness("Builder.io's content API", "the blocks as written, scripts and all")
    expect(
        "onerror" in str(held), "Builder.io holds the blocks as written (positive control)", service=BUILDER
    )
    expect_equal(document["title"], "Rendering", "the page has its title", service=PLATFORM)


class _Elements(HTMLParser):
    """What a browser would run of a text in HTML, in words."""

    def __init__(self) -> None:
        super().__init__()
        self.running: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Looks at one element."""
        if tag in ("script", "iframe", "object", "embed", "svg", "style", "base", "meta", "form"):
            self.running.append(f"<{tag}>")
        for name, value in attrs:
            address = name in ("href", "src", "action", "formaction", "data")
            if name.startswith("on") or (
                address and re.match(r"\s*(javascript|data|vbscript):", value or "", re.I)
            ):
                self.running.append(f"<{tag} {name}={(value or '')[:40]!r}>")


def _breaking_out(block: Callable[..., dict[str, Any]]) -> list[dict[str, Any]]:
    """Blocks whose every value ends a quoted attribute, or an element, and begins a handler."""
    quote, single = '" onmouseover="alert(5)', "' onfocus='alert(6)"
    return [
        block("Image", image=f"https://images.example/a.png{quote}", altText=f"alt{quote}"),
        block("Image", image=f"https://images.example/b.png{single}", altText=f"alt{single}"),
        block("Button", text=f"label{quote}", link=f"https://images.example/{quote}"),
        block(
            "Hero",
            title=quote,
            subtitle=single,
            image=f"/a.png{quote}",
            buttonText=quote,
            buttonLink=f"/{quote}",
        ),
        block("Quote", text=f"words{quote}", author=f"<i{quote}>"),
        block("Callout", tone=f"warning{quote}", html=f'<a href="/x{single}" onclick="alert(7)">link</a>'),
        block("PostList", title=quote, count=f"3{quote}"),
        block(
            "Text", text='<p title="x" onclick="alert(8)">marked</p><a href=" javascript:alert(9)">link</a>'
        ),
    ]
