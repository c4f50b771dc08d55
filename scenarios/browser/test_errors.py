"""P4.1 as people live it: an error thrown in the page is found at Sentry with its original line."""

from __future__ import annotations

import json
from typing import Any

from core.clock import eventually
from core.expect import expect
from core.passport import check
from fixtures.run import Run
from fixtures.toolbox import Services
from scenarios.browser.conftest import NewPerson, Witness
from scenarios.browser.facts import requested


def _line(frame: dict[str, Any]) -> str:
    """What the frame's own line says, as Sentry shows it from the source map."""
    return next(
        (str(text) for number, text in frame.get("context") or [] if number == frame.get("lineNo")), ""
    )


@check(
    "browser.error_found",
    "An error thrown in the page is found at Sentry with its original file and line",
    requirement=("P6.1", "P4.1"),
    service="sentry",
    capability="telemetry.sentry",
    timeout=120,
    why_slow="an accepted event is readable at the vendor only after processing",
)
def test_error_found(run: Run, services: Services, people: NewPerson, witness: Witness) -> None:
    """Found by a marker that only this page knew; the frame names the source, not the bundle."""
    marker = f"m{run.tag()}"
    ada = people("ada")
    ada.status.throw(marker)
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
