"""P4.3 and P6.3: consent withdrawn in the open page ends the counting there and then, not at the next page load."""

from __future__ import annotations

import json
from typing import Any

from clients.service_clients import ServiceClients
from core.clock import eventually
from core.expect import expect, expect_equal
from core.passport import check
from core.run import Run
from scenarios.browser.conftest import NewMember, Witness
from scenarios.browser.facts import answered, requested

BEFORE, AFTER = "/posts", "/recover"
"""Pages that are visited with consent alone: before it was withdrawn, and after it was given again."""
QUIET = ("/files", "/rooms", "/status")
"""Pages that are visited without consent alone, by links of the page in which it was withdrawn."""


@check(
    "browser.consent_withdrawn",
    "Once consent is withdrawn, nothing that the person does from then on is counted, in the open page either",
    requirement=("P6.1", "P4.3", "P6.3", "prod.compliance"),
    service="platform",
    needs=(
        "telemetry.mixpanel",
        "platform.web",
        "settings.pages",
        "auth.email",
        "database.rest",
        "telemetry.datadog",
        "people.form",
    ),
    timeout=240,
    why_slow="accepted events are readable at the vendors only after indexing",
)
def test_withdrawn(run: Run, services: ServiceClients, member: NewMember, witness: Witness) -> None:
    """Read back at the vendors by the pages' paths, once a later visit, counted again, is readable there.

    What happened while consent stood may be sent late: it is not what is looked for.
    """
    ada, actor = member("ada")
    ada.privacy.accept()
    ada.account.open(BEFORE)
    expect(
        requested(ada, ada.privacy.is_analytics),
        "visits are counted while consent stands (positive control)",
        expected="requests that carry analytics within 20 s",
        saw="none",
        service="platform",
    )
    ada.privacy.change_mind(False)
    kept = eventually(
        lambda: services.database.witness_rows("consents", user_id=actor.id),
        until=lambda rows: [row["analytics"] for row in rows] == [False],
        within=15,
        claim="the account keeps that consent was withdrawn",
        service="platform",
    )
    expect_equal(len(kept), 1, "the account has one choice", service="platform")
    answered(ada)
    for path in QUIET:
        ada.account.follow(path)
    answered(ada)
    ada.person.page.goto("about:blank")  # whatever was held back is sent now
    ada.privacy.change_mind(True)
    ada.account.open(AFTER)

    def at_mixpanel(path: str) -> list[Any]:
        return list(services.mixpanel.export("page_view", distinct_id=actor.id, page_path=path))

    def at_datadog(path: str) -> list[Any]:
        seen = services.datadog.search(f"@usr.id:{actor.id}")
        return [event for event in seen if f'{path}"' in json.dumps(event)]

    vendors = [("Mixpanel", "mixpanel", at_mixpanel)]
    if run.target.has("telemetry.datadog"):
        vendors.append(("DataDog", "datadog", at_datadog))
    for name, service, visits in vendors:
        eventually(
            lambda visits=visits: visits(AFTER),  # type: ignore[misc]
            within=90,
            every=0.2,
            claim=f"a visit after consent was given again is readable at {name} (positive control)",
            service=service,
        )
        witness(f"{name}'s API", "visits before and after, none in between")
        for path in QUIET:
            found = visits(path)
            expect(
                not found,
                f"a visit to {path}, after consent was withdrawn, is not counted at {name}",
                expected="nothing: the person no longer agrees",
                saw=f"{len(found)} events of it",
                service="platform",
            )
