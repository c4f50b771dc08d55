"""P3.1, P3.2: what Builder.io publishes is what the platform serves, changes too."""

from __future__ import annotations

from clients.service_clients import ServiceClients
from clients.services.builder import page_entry
from clients.services.kv import content_keys
from core.clock import eventually
from core.expect import expect, expect_status
from core.ledger import Ledger
from core.outcome import SampleOutcome
from core.passport import check
from core.run import Run
from scenarios.adapter import Adapter
from suites.types import Witness

BUILDER = "builder"
VISITORS: tuple[dict[str, str], ...] = (
    {}, {"locale": "de"}, {"locale": "fr"}, {"device": "mobile"}, {"audience": "members"},
)  # fmt: skip
"""Who may each be served a copy of their own."""


@check(
    "content.page_changes",
    "A Builder.io page is served, changed, and seen changed",
    requirement=("P3.1", "P3.2", "done.nomocks"),
    service=BUILDER,
    needs=("content.webhook", "platform.api", "content.api"),
    timeout=60,
    why_slow="Builder.io's webhook and edge cache may take half a minute on a live target",
)
def test_page_changes(
    run: Run, services: ServiceClients, ledger: Ledger, adapter: Adapter, witness: Witness
) -> None:
    """The page's text carries a marker; Builder.io's own API must hold the same marker at both times.

    Every kind of visitor who was served the page before its change is served the change, each being cached apart.
    """
    tag = run.tag()
    path, before, after = f"/assay/{tag}", f"before {tag}", f"after {tag}"
    ledger.plan("kv.prefix", prefix=content_keys(path))
    entry = ledger.plan("builder.entry", path=path)
    if not services.builder.content(path):  # one of somebody else's, without targeting, is for every path
        nothing = adapter.page(services.platform.port, path)
        expect_status(nothing, 404, "a page that Builder.io does not have answers 404", service="platform")

    made = services.builder.create(page_entry(path, "A page", before))
    entry.confirm(id=made["id"])
    first = eventually(
        lambda: adapter.page(services.platform.port, path),
        until=lambda answer: answer.status == 200 and before in answer.text,
        within=30,
        claim="the platform serves the page once it is published",
        service="platform",
    )
    run.journal.sample(
        run.journal.series("perf.content", {"cache": adapter.cache_state(first)}),
        intended=first.intended,
        sent=first.sent,
        done=first.done,
        outcome=SampleOutcome.OK,
    )
    [held] = services.builder.content(path) or [{}]
    witness("Builder.io's content API", "the page as first published")
    expect(
        before in str(held.get("data")), "Builder.io itself holds the first text", saw=held, service=BUILDER
    )

    served = [v for v in VISITORS if not v or before in adapter.page(services.platform.port, path, **v).text]
    services.builder.change(made["id"], page_entry(path, "A page", after))
    for visitor in served:
        eventually(
            lambda visitor=visitor: adapter.page(services.platform.port, path, **visitor),  # type: ignore[misc]
            until=lambda answer: answer.status == 200 and after in answer.text and before not in answer.text,
            within=30,
            claim=f"the platform serves {visitor or 'everybody'} the changed page after Builder.io's webhook",
            service="platform",
        )
    [held] = services.builder.content(path) or [{}]
    witness("Builder.io's content API", "the page as changed")
    expect(
        after in str(held.get("data")), "Builder.io itself holds the changed text", saw=held, service=BUILDER
    )
