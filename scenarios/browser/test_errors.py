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
    ada.account.open(f"/status?marker={marker}")
    with ada.person.page.expect_response(lambda r: "/api/telemetry/sentry" in r.url and r.ok, timeout=20_000):
        ada.account.button("Throw a test error").click()

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
    places = [(f.get("filename") or f.get("absPath") or "", f.get("lineNo")) for f in frames]
    expect(
        any("pages/status.ts" in name and line for name, line in places),
        "the error's frame names its original file and line",
        expected="a frame in pages/status.ts with a line",
        saw=places,
        service="sentry",
    )
    expect(
        "@" not in json.dumps(event.get("user") or {}), "no address is sent with an error", service="sentry"
    )
