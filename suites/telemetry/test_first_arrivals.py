"""P4.1 to P4.3: one error, one view, two analytics events, each read back where it went."""

from __future__ import annotations

import json
import uuid

from clients.http_port import WireAnswer
from clients.service_clients import ServiceClients
from core.expect import expect, expect_equal, expect_status
from core.passport import check
from core.run import Run
from scenarios.adapter import Adapter
from suites.telemetry.arrival import TIMEOUT, WHY_SLOW, readable, relayed, tracked
from suites.types import NewActor, Witness

SOURCE = (".ts", ".tsx", ".js", ".mjs", ".jsx")


@check(
    "telemetry.sentry_error",
    "An exception in the Worker is readable at Sentry",
    requirement=("P4.1", "done.nomocks"),
    service="sentry",
    needs=("telemetry.sentry", "platform.api", "auth.email", "platform.error", "platform.version"),
    timeout=TIMEOUT,
    why_slow=WHY_SLOW,
)
def test_sentry_error(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, witness: Witness
) -> None:
    """The Worker throws on purpose; Sentry's own API shows the event with release and environment, and no address."""
    person = actor()
    version = services.platform.version()
    answer = adapter.fail(  # its text names the person, as errors do
        services.platform.port, person.access_token, person.email
    )
    assert isinstance(answer, WireAnswer)
    expect_status(
        answer, adapter.failure.answers, "the test error answers as an internal error", service="platform"
    )
    event_id = str(answer.details.get("event_id", ""))
    expect(event_id, "the answer names the event at Sentry", saw=answer.said(), service="platform")
    event = readable(
        run,
        "sentry",
        None,
        lambda: services.sentry.event(event_id),
        claim="the exception is readable at Sentry",
    )
    witness("Sentry's Web API", "the event by its id")
    tags = {tag["key"]: tag["value"] for tag in event.get("tags") or []}
    release = (event.get("release") or {}).get("version") or tags.get("release")
    expect_equal(release, version, "the event carries the release", service="sentry")
    expect_equal(
        tags.get("environment"),
        services.sentry.environment,
        "the event carries the environment",
        service="sentry",
    )
    values = [e["data"] for e in event.get("entries") or [] if e.get("type") == "exception"]
    frames = [
        frame
        for data in values
        for value in data.get("values") or []
        for frame in (value.get("stacktrace") or {}).get("frames") or []
    ]
    expect(
        any(frame.get("lineNo") and str(frame.get("filename") or "").endswith(SOURCE) for frame in frames),
        "the event's stack leads to the Worker's own source, by its source map",
        expected=f"a frame in a file of {SOURCE}, with its line",
        saw=[frame.get("filename") for frame in frames][-5:] or "no frame",
        service="sentry",
    )
    expect(
        not (event.get("user") or {}).get("email"),
        "the event names nobody by e-mail",
        expected="no address with the event's user",
        saw="an address",
        service="sentry",
    )
    expect(
        person.email not in json.dumps(event),
        "the event holds no e-mail address",
        expected="the user by id alone",
        saw="the address of the person",
        service="sentry",
    )


@check(
    "telemetry.datadog_view",
    "A view sent from the browser's side is readable at DataDog",
    requirement=("P4.2", "done.nomocks"),
    service="datadog",
    needs=("telemetry.datadog", "platform.api", "telemetry.relay.datadog"),
    timeout=TIMEOUT,
    why_slow=WHY_SLOW,
)
def test_datadog_view(run: Run, services: ServiceClients, witness: Witness) -> None:
    """The event goes through the platform's relay, as the browser SDK's proxy setting sends it."""
    session, view = str(uuid.uuid4()), str(uuid.uuid4())
    event = services.datadog.event(
        "view",
        session,
        view,
        view={
            "name": f"/assay/{run.tag()}",
            "time_spent": 1_000_000,
            "action": {"count": 0},
            "error": {"count": 0},
        },
    )
    accepted = relayed(services, [event], claim="the platform's relay hands a RUM event to DataDog's intake")
    found = readable(
        run,
        "datadog",
        accepted,
        lambda: services.datadog.search(f"@type:view @view.id:{view}"),
        claim="the view is readable at DataDog",
    )
    witness("DataDog's RUM search API", "the view by its id")
    attributes = found[0]["attributes"].get("attributes") or {}
    expect_equal(
        (attributes.get("view") or {}).get("name"),
        event["view"]["name"],
        "DataDog shows the view sent",
        service="datadog",
    )


@check(
    "telemetry.ga4_event",
    "A consented page view arrives at Google Analytics, one without consent does not",
    requirement=("P4.3", "prod.compliance", "done.nomocks"),
    service="ga4",
    needs=("telemetry.ga4", "platform.api", "telemetry.track"),
    timeout=TIMEOUT,
    why_slow=WHY_SLOW,
)
def test_ga4_event(run: Run, services: ServiceClients, witness: Witness) -> None:
    """The unconsented one is sent first, so that it had its time when the consented one is readable."""
    silent, spoken = f"assay silent {run.tag()}", f"assay spoken {run.tag()}"

    def event(title: str, consent: str) -> dict[str, object]:
        return {
            "name": "page_view",
            "params": {
                "page_title": title,
                "page_location": "https://assay.example/",
                "engagement_time_msec": 1,
            },
            "client_id": f"{uuid.uuid4().int % 10**9}.{uuid.uuid4().int % 10**9}",
            "consent": consent,
        }

    denied = services.platform.call(
        "POST", services.platform.path("telemetry.track"), body=event(silent, "denied")
    )
    expect_equal(
        (denied.status, denied.code),
        (403, "forbidden"),
        "an event without consent is refused",
        service="platform",
    )
    accepted = services.platform.call(
        "POST", services.platform.path("telemetry.track"), body=event(spoken, "granted")
    )
    accepted.expect(202, claim="an event with consent is accepted")
    seen = readable(
        run,
        "ga4",
        accepted,
        lambda: services.ga4.realtime(page_title=spoken),
        claim="the consented page view is readable in GA4's realtime report",
    )
    witness("GA4's Data API", "the page view by its title")
    expect_equal(seen, 1, "the page view was counted once", service="ga4")
    expect_equal(
        services.ga4.realtime(page_title=silent),
        0,
        "nothing of the unconsented page view is at GA4",
        service="ga4",
    )


@check(
    "telemetry.mixpanel_event",
    "A consented event arrives at Mixpanel, one without consent does not",
    requirement=("P4.3", "prod.compliance", "done.nomocks"),
    service="mixpanel",
    needs=("telemetry.mixpanel", "platform.api", "telemetry.relay.mixpanel"),
    timeout=TIMEOUT,
    why_slow=WHY_SLOW,
)
def test_mixpanel_event(run: Run, services: ServiceClients, witness: Witness) -> None:
    """Both go through the platform's relay in the browser SDK's form; consent is the cookie."""
    silent, spoken = run.tag(), run.tag()

    def send(marker: str, cookie: str) -> WireAnswer:
        event = services.mixpanel.event("page_view", f"assay-{marker}", str(uuid.uuid4()), assay=marker)
        return tracked(services, event, cookie=cookie)

    denied = send(silent, "other=1")
    expect_equal(
        (denied.status, denied.code),
        (403, "forbidden"),
        "an event without consent is refused",
        service="platform",
    )
    accepted = send(spoken, "consent=granted")
    accepted.expect(200, claim="the platform's relay hands a consented event to Mixpanel")
    found = readable(
        run,
        "mixpanel",
        accepted,
        lambda: services.mixpanel.export("page_view", assay=spoken),
        claim="the consented event is readable in Mixpanel's export",
    )
    witness("Mixpanel's export API", "the event by its marker")
    expect_equal(len(found), 1, "the event is there once", service="mixpanel")
    expect_equal(
        services.mixpanel.export("page_view", assay=silent),
        [],
        "nothing of the unconsented event is at Mixpanel",
        service="mixpanel",
    )
