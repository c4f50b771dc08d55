"""P4.2, P4.3: DataDog's other data and metrics; GA4 and Mixpanel by the book; what is wrong goes nowhere."""

from __future__ import annotations

import json
import uuid
from typing import Any

from clients.http_port import WireAnswer
from clients.service_clients import ServiceClients
from clients.services.datadog import lines
from core.expect import expect, expect_equal, expect_status
from core.passport import check
from core.run import Run
from scenarios.adapter import Adapter
from suites.telemetry.arrival import TIMEOUT, WHY_SLOW, consent, readable, relayed, tracked
from suites.types import NewActor, Witness

PLATFORM = "platform"


@check(
    "telemetry.datadog_kinds",
    "Actions, errors and resources of a view are readable at DataDog with their contents",
    requirement="P4.2",
    service="datadog",
    needs=("telemetry.datadog", "platform.api", "telemetry.relay.datadog"),
    timeout=TIMEOUT,
    why_slow=WHY_SLOW,
)
def test_datadog_kinds(run: Run, services: ServiceClients, witness: Witness) -> None:
    """One batch through the platform's relay; each kind is searched by its own attribute."""
    session, view, tag = str(uuid.uuid4()), str(uuid.uuid4()), run.tag()
    dd = services.datadog
    address = f"https://assay.example/{tag}"
    fetched = {
        "id": str(uuid.uuid4()),
        "type": "fetch",
        "url": address,
        "duration": 1_000_000,
        "status_code": 200,
    }
    batch = [
        dd.event(
            "action",
            session,
            view,
            action={"id": str(uuid.uuid4()), "type": "custom", "target": {"name": tag}},
        ),
        dd.event(
            "error",
            session,
            view,
            error={"id": str(uuid.uuid4()), "message": f"boom {tag}", "source": "source"},
        ),
        dd.event("resource", session, view, resource=fetched),
    ]
    accepted = relayed(services, batch, claim="the relay hands three events to DataDog's intake")
    found = readable(
        run,
        "datadog",
        accepted,
        lambda: ({e["attributes"]["attributes"]["type"]: e for e in dd.search(f"@session.id:{session}")}),
        claim="the events are readable at DataDog",
    )
    witness("DataDog's RUM search API", "three kinds by their session")
    expect_equal(
        sorted(found),
        ["action", "error", "resource"],
        "each of the three kinds arrived",
        service="datadog",
    )
    for kind, part in (
        ("action", tag),
        ("error", f"boom {tag}"),
        ("resource", address),
    ):
        expect(
            part in json.dumps(found[kind]),
            f"the {kind} arrived with its content",
            saw=str(found[kind])[:300],
            service="datadog",
        )


@check(
    "telemetry.datadog_wrong_token",
    "RUM events under a wrong client token go nowhere, and the relay serves RUM alone",
    requirement=("P4.2", "P6.3"),
    service="datadog",
    needs=("telemetry.datadog", "platform.api", "telemetry.relay.datadog"),
    timeout=TIMEOUT,
    why_slow=WHY_SLOW,
)
def test_datadog_wrong_token(run: Run, services: ServiceClients, witness: Witness) -> None:
    """A wrong token is refused by the intake; the right one, sent later, arrives (positive control)."""
    lost, kept = str(uuid.uuid4()), str(uuid.uuid4())

    def view(session: str) -> list[dict[str, Any]]:
        return [services.datadog.event("view", session, str(uuid.uuid4()), view={"time_spent": 1})]

    wrong = services.datadog.send(view(lost), token="pub" + "0" * 32)
    expect(
        wrong.status in (400, 401, 403),
        "the intake refuses a wrong client token",
        saw=wrong.said(),
        service="datadog",
    )
    for path in ("/api/v2/logs?dd-api-key=x", "https://evil.example/", "/api/v1/series"):
        answer = services.platform.call(
            "POST", services.platform.path("telemetry.relay.datadog"), params={"ddforward": path}, body=b"{}"
        )
        expect_status(answer, 403, f"the relay does not forward to {path.split('?')[0]}", service=PLATFORM)
    relayed_wrong = services.platform.call(
        "POST",
        services.platform.path("telemetry.relay.datadog"),
        params={"ddforward": services.datadog.intake_path(token="pub" + "0" * 32)},
        body=lines(view(lost)),
    )
    expect(
        relayed_wrong.status in (400, 401, 403),
        "the relay passes the intake's refusal on, so that a wrong key is noticed",
        saw=relayed_wrong.said(),
        service=PLATFORM,
    )
    services.datadog.send(view(kept)).expect(200, 202, claim="the right token is accepted (positive control)")
    readable(
        run,
        "datadog",
        None,
        lambda: services.datadog.search(f"@session.id:{kept}"),
        claim="the right one is readable",
    )
    witness("DataDog's RUM search API", "the right one, not the wrong one")
    expect_equal(
        services.datadog.search(f"@session.id:{lost}"), [], "the wrong one did not arrive", service="datadog"
    )


@check(
    "telemetry.custom_metric",
    "The Worker's own metrics arrive at DataDog with their tags",
    requirement=("P4.2", "D11"),
    service="datadog",
    needs=(
        "telemetry.metrics",
        "platform.api",
        "auth.email",
        "storage.supabase",
        "telemetry.datadog",
        "platform.version",
        "platform.files",
    ),
    timeout=TIMEOUT,
    why_slow=WHY_SLOW,
)
def test_custom_metric(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, witness: Witness
) -> None:
    """An upload of a size that nobody else uploads; its bytes appear in platform.upload.bytes by store."""
    person = actor()
    size = 100_000 + uuid.uuid4().int % 100_000
    query = "max:platform.upload.bytes{store:supabase}"
    answer = adapter.upload(
        services.platform.port, person.access_token, name=f"{run.tag()}.bin", data=b"m" * size
    )
    expect_status(answer, 201, "an upload is taken", service=PLATFORM)
    points = readable(
        run,
        "datadog",
        None,
        lambda: [p for p in services.datadog.metric_points(query) if p >= size],
        claim="the upload's bytes are a point of platform.upload.bytes",
    )
    witness("DataDog's metrics API", "the points of platform.upload.bytes")
    expect(points, "the metric holds a point as large as the upload", service="datadog")
    environment = run.target.find(
        "SENTRY_ENVIRONMENT"
    )  # by the name of the service that gave the platform its own
    tags = f"store:supabase,version:{services.platform.version()}"
    tags += f",env:{environment}" if environment else ""
    tagged = services.datadog.metric_points(f"max:platform.upload.bytes{{{tags}}}")
    expect(
        any(point >= size for point in tagged),
        "the upload's point carries environment and version, as everything that is told of a release",
        expected=f"a point with {tags}",
        saw=tagged[-3:] or "none with these tags",
        service="datadog",
    )
    nothing = services.datadog.metric_points("max:platform.upload.bytes{store:nowhere}")
    expect_equal(nothing, [], "a store that is none has no points (control of the query)", service="datadog")


@check(
    "telemetry.ga4_valid",
    "What the platform sends is valid to GA4, and a wrong secret is noticed by its silence",
    requirement=("P4.3", "P6.3"),
    service="ga4",
    needs=(
        "telemetry.ga4",
        "platform.api",
        "auth.email",
        "database.rest",
        "telemetry.track",
        "privacy.consent",
    ),
    timeout=TIMEOUT,
    why_slow=WHY_SLOW,
)
def test_ga4_valid(run: Run, services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """GA4 answers 2xx to everything: its validating endpoint and its reports are what tells."""
    spoken, lost, mine = (f"assay {run.tag()}" for _ in range(3))

    def event(title: str) -> dict[str, Any]:
        return {
            "name": "page_view",
            "params": {"page_title": title, "session_id": "1", "engagement_time_msec": 1},
        }

    client = f"{uuid.uuid4().int % 10**9}.1"
    valid = services.platform.call(
        "POST",
        services.platform.path("telemetry.track"),
        params={"debug": "1"},
        body={**event(spoken), "client_id": client, "consent": "granted"},
    )
    messages = valid.expect(200, claim="the validating endpoint answers").json(dict).get("validationMessages")
    expect_equal(messages, [], "GA4 finds nothing wrong with what the platform sends", service="ga4")
    bad = services.ga4.collect([{"name": "1 wrong name", "params": {}}], client, debug=True)
    found = bad.demand(200).json(dict).get("validationMessages")
    expect(found, "GA4 finds a wrong event name (positive control of the endpoint)", saw=found, service="ga4")
    wrong = services.ga4.collect([event(lost)], client, secret="A" * 22)
    expect(wrong.status < 300, "GA4 answers 2xx even to a wrong secret", saw=wrong.said(), service="ga4")

    person = actor()
    body = {**event(mine), "client_id": client, "consent": "granted"}
    denied = services.platform.call(
        "POST", services.platform.path("telemetry.track"), token=person.access_token, body=body
    )
    expect_status(denied, 403, "somebody signed in who gave no consent is not tracked", service=PLATFORM)
    consent(services, person.access_token)
    accepted = services.platform.call(
        "POST", services.platform.path("telemetry.track"), token=person.access_token, body=body
    )
    accepted.expect(202, claim="after consent the same event is accepted (positive control)")
    count = readable(
        run, "ga4", accepted, lambda: services.ga4.realtime(page_title=mine), claim="the event is readable"
    )
    witness("GA4's Data API", "the consented event once, the wrong secret's never, the validated one never")
    expect_equal(count, 1, "only the consented one was counted", service="ga4")
    for what, title in (("under a wrong secret", lost), ("sent to be validated", spoken)):
        expect_equal(services.ga4.realtime(page_title=title), 0, f"nothing {what} is counted", service="ga4")


@check(
    "telemetry.mixpanel_valid",
    "Mixpanel counts an event once, however often it is sent, and takes none of another project",
    requirement=("P4.3", "P6.3"),
    service="mixpanel",
    needs=("telemetry.mixpanel", "platform.api", "telemetry.relay.mixpanel"),
    timeout=TIMEOUT,
    why_slow=WHY_SLOW,
)
def test_mixpanel_valid(run: Run, services: ServiceClients, witness: Witness) -> None:
    """The same insert id three times, as SDKs repeat after a lost answer; a wrong token and an event without name."""
    tag, lost = run.tag(), run.tag()
    mixpanel = services.mixpanel
    event = mixpanel.event("page_view", f"assay-{tag}", str(uuid.uuid4()), assay=tag)
    wrong = mixpanel.event("page_view", f"assay-{lost}", str(uuid.uuid4()), assay=lost, token="0" * 32)
    mixpanel.track([wrong])
    nameless = mixpanel.track([{"properties": {"token": mixpanel.token, "assay": lost}}])
    expect(
        nameless.status == 400 or nameless.json().get("status") == 0,
        "an event without name is refused",
        saw=nameless.said(),
        service="mixpanel",
    )

    def send() -> WireAnswer:
        answer = tracked(services, event, cookie="a=b; consent=granted")
        return answer.expect(200, claim="the relay hands an event to Mixpanel")

    accepted = send()
    send()
    send()
    found = readable(
        run,
        "mixpanel",
        accepted,
        lambda: mixpanel.export("page_view", assay=tag),
        claim="the event is readable",
    )
    witness("Mixpanel's export API", "the event by its marker")
    expect_equal(len(found), 1, "three sendings of one insert id are one event", service="mixpanel")
    expect_equal(found[0]["properties"]["distinct_id"], f"assay-{tag}", "with its person", service="mixpanel")
    expect_equal(
        mixpanel.export("page_view", assay=lost),
        [],
        "another project's event is not among ours",
        service="mixpanel",
    )
