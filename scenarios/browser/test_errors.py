"""P4.1 as people live it: an error thrown in the page is found at Sentry with its original line."""

from __future__ import annotations

import json
from typing import Any

from clients.service_clients import ServiceClients
from core.clock import eventually
from core.expect import expect, expect_equal
from core.passport import check
from core.run import Run
from scenarios.browser.conftest import NewPerson, Witness
from scenarios.browser.facts import requested


def _line(frame: dict[str, Any]) -> str:
    """What the frame's own line says, as Sentry shows it from the source map."""
    return next(
        (str(text) for number, text in frame.get("context") or [] if number == frame.get("lineNo")), ""
    )


def _transactions(services: ServiceClients, trace: str) -> list[dict[str, Any]]:
    """Sentry's transactions of one trace."""
    table = services.sentry.organisation(
        "/events/",
        dataset="transactions",
        field=["title", "trace", "transaction.duration"],
        query=f"trace:{trace}",
        statsPeriod="1h",
    )
    return list(table.demand(200).json(dict)["data"])


@check(
    "browser.error_found",
    "An error thrown in the page is found at Sentry with its original file and line",
    requirement=("P6.1", "P4.1"),
    service="sentry",
    needs=("telemetry.sentry", "platform.api", "platform.web", "settings.pages"),
    timeout=120,
    why_slow="an accepted event is readable at the vendor only after processing",
)
def test_error_found(run: Run, services: ServiceClients, people: NewPerson, witness: Witness) -> None:
    """Found by a marker that only this page knew; the frame names the source, not the bundle.

    The error's text holds an address, as people's errors do; it must not arrive.
    """
    marker, address = f"m{run.tag()}", f"{run.tag()}@assay.example"
    ada = people("ada")
    ada.status.throw(f"{marker}/{address}")
    sent = requested(ada, ada.status.is_error_report)
    expect(
        sent,
        "an error of the page leaves the page for Sentry",
        expected="a request that reports it within 20 s",
        saw=f"none; the page itself saw {ada.person.seen.errors[-1:] or 'no error'}",
        service="platform",
    )

    def found() -> dict[str, Any] | None:
        return next((e for e in services.sentry.events(full=True) if marker in json.dumps(e)), None)

    listed = eventually(
        found, within=60, every=0.2, claim="the page's error is readable at Sentry", service="sentry"
    )
    assert listed is not None
    event = services.sentry.event(str(listed["eventID"]))
    assert event is not None
    witness("Sentry API", "the event with the marker of this page")
    frames = [
        frame
        for entry in event.get("entries", [])
        if entry.get("type") == "exception"
        for value in entry["data"]["values"]
        for frame in (value.get("stacktrace") or {}).get("frames") or []
    ]
    page = ada.status
    places = [(f.get("filename") or f.get("absPath") or "", f.get("lineNo"), _line(f)) for f in frames]
    expect(
        any(page.source in name and page.line in text for name, _, text in places),
        "the error's frame names its original file and line",
        expected=f"a frame in {page.source}, at a line with '{page.line}'",
        saw=places,
        service="sentry",
    )
    expect(
        "@" not in json.dumps(event.get("user") or {}), "no address is sent with an error", service="sentry"
    )
    expect(
        address not in json.dumps([event, listed]),
        "an address in an error's text is made unreadable before it is sent",
        expected="the error without the address",
        saw="the address",
        service="sentry",
    )
    version = services.platform.version()
    tags = {tag["key"]: tag["value"] for tag in event.get("tags") or []}
    release = (event.get("release") or {}).get("version") or tags.get("release")
    expect_equal(release, version, "the page's error carries the release", service="sentry")
    expect_equal(
        tags.get("environment"),
        services.sentry.environment,
        "the page's error carries the environment",
        service="sentry",
    )
    trace = str(((event.get("contexts") or {}).get("trace") or {}).get("trace_id", ""))
    loads = eventually(
        lambda: _transactions(services, trace),
        within=60,
        every=0.2,
        claim="how long the page took is readable at Sentry, under the trace that its error names",
        service="sentry",
    )
    expect(
        any(row["transaction.duration"] > 0 for row in loads),
        "the page's transaction tells how long it took",
        saw=loads,
        service="sentry",
    )
