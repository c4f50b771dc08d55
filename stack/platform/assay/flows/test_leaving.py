"""P4.1 to P4.3 as people live them: they close the page, and what happened just before still arrives."""

from __future__ import annotations

import json
from typing import Any

from clients.service_clients import ServiceClients
from core.clock import eventually
from core.expect import expect, expect_equal
from core.passport import check
from core.run import Run
from scenarios.browser.conftest import NewMember, Witness
from scenarios.browser.facts import requested

PROMPT = 10
"""Seconds within which a page must have told of a visit: ten times what the seed asks for, for slow machines."""


@check(
    "browser.nothing_lost_at_close",
    "What happened just before a page was closed arrives at Sentry, Mixpanel and DataDog all the same",
    requirement=("P6.1", "P4.1", "P4.2", "P4.3", "perf.telemetry"),
    service="datadog",
    needs=(
        "telemetry.datadog",
        "platform.web",
        "settings.pages",
        "auth.email",
        "telemetry.mixpanel",
        "telemetry.sentry",
        "people.form",
    ),
    timeout=150,
    why_slow="accepted events are readable at the vendors only after indexing",
)
def test_nothing_lost(run: Run, services: ServiceClients, member: NewMember, witness: Witness) -> None:
    """A visit and an error, and the page is closed at once: SDKs hold events back and must let go of them then."""
    marker = f"m{run.tag()}"
    ada, actor = member("ada")
    ada.privacy.accept()
    before = len(ada.person.seen.requests)
    ada.account.follow("/posts")
    for vendor, is_theirs in (("DataDog", ada.privacy.is_rum), ("Mixpanel", ada.privacy.is_mixpanel)):
        expect(
            requested(ada, is_theirs, within=PROMPT, after=before),
            f"a visit is told to {vendor} while the page stays open, not only once it is closed",
            expected=f"a request to {vendor} within {PROMPT} s (telemetry is due within a second)",
            saw="none",
            service="platform",
        )
    page = ada.person.page
    ada.person.context.new_page()  # the browser itself stays open, as people's do
    ada.status.throw(marker)
    with page.expect_event("close"):
        page.close(run_before_unload=True)

    def error() -> dict[str, Any] | None:
        return next((e for e in services.sentry.events(full=True) if marker in json.dumps(e)), None)

    def arrives(what: str, service: str, probe: Any) -> Any:
        return eventually(
            probe,
            within=60,
            every=0.2,
            claim=f"{what}, just before the page was closed, is readable at {service}",
            service=service,
        )

    event = arrives("the error", "sentry", error)
    expect_equal(
        {
            name: value
            for name, value in (event.get("user") or {}).items()
            if name in ("id", "email") and value
        },
        {"id": actor.id},
        "the error names who was signed in, by id and not by address",
        service="sentry",
    )
    visits = arrives(
        "the visit",
        "mixpanel",
        lambda: services.mixpanel.export("page_view", distinct_id=actor.id, page_path="/status"),
    )
    seen = arrives(
        "the view",
        "datadog",
        lambda: [
            e for e in services.datadog.search(f"@type:view @usr.id:{actor.id}") if marker in json.dumps(e)
        ],
    )
    witness("Sentry's, Mixpanel's and DataDog's APIs", f"the error, {len(visits)} visit, {len(seen)} view")
    expect(
        len(visits) == 1, "the last visit is counted once", expected=1, saw=len(visits), service="mixpanel"
    )
