"""P3.2 and P3.3 as people live them: an editor publishes, a visitor sees it, the visual editor redraws."""

from __future__ import annotations

from core.clock import eventually
from core.expect import expect
from core.ledger import Ledger
from core.passport import check
from fixtures.run import Run
from fixtures.services.builder import page_entry
from fixtures.services.kv import content_keys
from fixtures.toolbox import Services
from scenarios.browser.conftest import NewPerson, Witness


@check(
    "browser.publish_and_see",
    "An editor publishes and changes a page; a visitor sees both, the change through the webhook",
    requirement=("P6.1", "P3.1", "P3.2"),
    service="builder",
    capability="content.webhook",
    timeout=60,
    why_slow="publishing reaches a visitor through Builder.io, its webhook and the cache",
)
def test_publish_and_see(
    run: Run, services: Services, ledger: Ledger, people: NewPerson, witness: Witness
) -> None:
    """What the visitor sees is what Builder.io's API holds; the change passes the five-minute cache."""
    tag = run.tag()
    path = f"/assay/{tag}"
    ledger.plan("kv.prefix", prefix=content_keys(path))
    entry = ledger.plan("builder.entry", path=path)
    made = services.builder.create(page_entry(path, f"Page {tag}", f"first words {tag}"), webhooks=True)
    entry.confirm(id=made["id"])
    visitor = people("visitor")
    visitor.content.shows(f"/c{path}", f"first words {tag}")
    services.builder.change(made["id"], page_entry(path, f"Page {tag}", f"second words {tag}"), webhooks=True)

    def shown() -> bool:
        visitor.content.open(f"/c{path}")
        return f"second words {tag}" in visitor.content.test_id("content").inner_text()

    eventually(
        shown, within=20, claim="the visitor sees the change that the webhook announced", service="builder"
    )
    [held] = services.builder.content(path)
    witness("Builder.io API", "the page holds the changed words")
    expect(
        f"second words {tag}" in str(held), "Builder.io's API holds what the visitor sees", service="builder"
    )
