"""P4.1: errors from the browser's side, transactions, sessions, an alert that reaches somebody, and wrong keys."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from clients.http_port import WireAnswer
from clients.service_clients import ServiceClients
from clients.services.sentry import new_event_id
from core.clock import eventually
from core.expect import expect, expect_equal
from core.ledger import Ledger
from core.passport import check
from core.run import Run
from scenarios.adapter import Adapter
from suites.telemetry.arrival import DEADLINES, TIMEOUT, WHY_SLOW, readable
from suites.types import NewActor, Witness

SENTRY = "sentry"
PLATFORM = "platform"


def error_event(run: Run, services: ServiceClients, version: str, **more: Any) -> dict[str, Any]:
    """An error as the browser SDK sends it, of a type that nobody else throws."""
    tag = run.tag()
    return {
        "event_id": new_event_id(),
        "timestamp": time.time(),
        "platform": "javascript",
        "level": "error",
        "release": version,
        "environment": services.sentry.environment,
        "tags": {"assay": tag},
        "exception": {
            "values": [
                {
                    "type": f"Assay{tag}",
                    "value": "thrown on purpose",
                    "stacktrace": {
                        "frames": [{"filename": "app.js", "function": "probe", "lineno": 1, "in_app": True}]
                    },
                }
            ]
        },
        **more,
    }


def relay(services: ServiceClients, envelope: bytes) -> WireAnswer:
    """Sends an envelope as the browser SDK's tunnel does."""
    answer: WireAnswer = services.platform.call(
        "POST",
        services.platform.path("telemetry.relay.sentry"),
        body=envelope,
        headers={"Content-Type": "text/plain;charset=UTF-8"},
    )
    return answer


def version_of(services: ServiceClients) -> str:
    """The release that the platform says it is."""
    return services.platform.version()


@check(
    "telemetry.sentry_browser_error",
    "An error from the browser's side passes the platform's tunnel and is readable at Sentry",
    requirement=("P4.1", "perf.telemetry"),
    service=SENTRY,
    needs=("telemetry.sentry", "platform.api", "auth.email", "telemetry.relay.sentry", "platform.version"),
    timeout=TIMEOUT,
    why_slow=WHY_SLOW,
)
def test_browser_error(run: Run, services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """Release, environment, tag, type and the person by id alone, as Sentry's own API shows them."""
    person = actor()
    event = error_event(run, services, version_of(services), user={"id": person.id})
    envelope = services.sentry.envelope([({"type": "event"}, event)], event_id=event["event_id"])
    accepted = relay(services, envelope).expect(200, claim="the tunnel hands an error to Sentry's intake")
    seen = readable(
        run,
        SENTRY,
        accepted,
        lambda: services.sentry.event(event["event_id"]),
        claim="the error is readable at Sentry",
    )
    witness("Sentry's Web API", "the event by its id")
    tags = {tag["key"]: tag["value"] for tag in seen.get("tags") or []}
    expect_equal(
        (
            tags.get("assay"),
            tags.get("environment"),
            (seen.get("release") or {}).get("version") or tags.get("release"),
        ),
        (event["tags"]["assay"], services.sentry.environment, event["release"]),
        "tag, environment and release arrived",
        service=SENTRY,
    )
    expect_equal((seen.get("user") or {}).get("id"), person.id, "the person is named by id", service=SENTRY)
    expect(
        event["exception"]["values"][0]["type"] in str(seen.get("title", "")),
        "the error's type is its title",
        saw=seen.get("title"),
        service=SENTRY,
    )


@check(
    "telemetry.sentry_wrong_key",
    "Errors under a wrong key, or for another project, go nowhere, and one notices",
    requirement=("P4.1", "P6.3"),
    service=SENTRY,
    needs=("telemetry.sentry", "platform.api", "telemetry.relay.sentry", "platform.version"),
    timeout=TIMEOUT,
    why_slow=WHY_SLOW,
)
def test_wrong_key(run: Run, services: ServiceClients, witness: Witness) -> None:
    """Sentry's intake refuses the key, the tunnel another DSN; afterwards a right one arrives and they did not."""
    version = version_of(services)
    lost = [error_event(run, services, version) for _ in range(2)]
    wrong = services.sentry.send(
        services.sentry.envelope([({"type": "event"}, lost[0])], event_id=lost[0]["event_id"]), key="0" * 32
    )
    expect(
        wrong.status in (401, 403), "Sentry's intake refuses a wrong key", saw=wrong.said(), service=SENTRY
    )
    envelope = services.sentry.envelope([({"type": "event"}, lost[1])], event_id=lost[1]["event_id"])
    elsewhere = envelope.replace(services.sentry.key.encode(), b"f" * 32, 1)
    refused = relay(services, elsewhere)
    expect_equal(
        (refused.status, refused.code),
        (403, "forbidden"),
        "the tunnel serves our own DSN alone",
        service=PLATFORM,
    )
    good = error_event(run, services, version)
    sent = services.sentry.send(
        services.sentry.envelope([({"type": "event"}, good)], event_id=good["event_id"])
    )
    sent.expect(200, claim="the right key is accepted (positive control)")
    readable(
        run, SENTRY, None, lambda: services.sentry.event(good["event_id"]), claim="the right one is readable"
    )
    witness("Sentry's Web API", "the right one, and neither of the wrong ones")
    for event in lost:
        expect_equal(
            services.sentry.event(event["event_id"]), None, "what was refused did not arrive", service=SENTRY
        )


@check(
    "telemetry.sentry_transaction",
    "The Worker's own work is a transaction at Sentry, found by the trace that the answer names",
    requirement="P4.1",
    service=SENTRY,
    needs=(
        "telemetry.sentry",
        "platform.api",
        "auth.email",
        "platform.files",
        "platform.version",
        "storage.supabase",
    ),
    timeout=TIMEOUT,
    why_slow=WHY_SLOW,
)
def test_transaction(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, witness: Witness
) -> None:
    """An upload is work worth a transaction; its trace id stands in the answer's X-Trace."""
    person = actor()
    answer = adapter.upload(
        services.platform.port, person.access_token, name=f"{run.tag()}.bin", data=b"traced"
    )
    expect_equal(answer.status, adapter.files().upload.answers, "an upload is taken", service=PLATFORM)
    trace = answer.headers.get("x-trace", "")
    expect(len(trace) == 32, "each answer names its trace", saw=trace, service=PLATFORM)

    def found() -> list[dict[str, Any]]:
        table = services.sentry.organisation(
            "/events/",
            dataset="transactions",
            field=["title", "trace", "transaction.duration", "release"],
            query=f"trace:{trace}",
            statsPeriod="1h",
        )
        return list(table.demand(200).json(dict)["data"])

    rows = readable(run, SENTRY, None, found, claim="the upload's transaction is readable at Sentry")
    witness("Sentry's Discover API", "the transaction by its trace")
    expect(
        "upload" in str(rows[0]["title"]),
        "the transaction is named after the route",
        saw=rows[0]["title"],
        service=SENTRY,
    )
    took = (answer.done - answer.sent) / 1e6
    expect(
        0 < rows[0]["transaction.duration"] <= took + 1,
        "the transaction tells its duration, in milliseconds",
        expected=f"more than 0, at most the {took:.0f} that the whole answer took",
        saw=rows[0]["transaction.duration"],
        service=SENTRY,
    )
    expect_equal(
        rows[0]["release"], version_of(services), "the transaction carries the release", service=SENTRY
    )


@check(
    "telemetry.sentry_session",
    "A browser's session is counted under its release",
    requirement="P4.1",
    service=SENTRY,
    needs=("telemetry.sentry", "platform.api", "telemetry.relay.sentry", "platform.version"),
    timeout=TIMEOUT,
    why_slow=WHY_SLOW,
)
def test_session(run: Run, services: ServiceClients, witness: Witness) -> None:
    """One session of a release that nobody else has; the release health API counts exactly one."""
    release = f"assay@{run.tag()}"
    moment = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    session = {
        "sid": new_event_id(),
        "init": True,
        "started": moment,
        "timestamp": moment,
        "status": "exited",
        "errors": 0,
        "attrs": {"release": release, "environment": services.sentry.environment},
    }
    relay(services, services.sentry.envelope([({"type": "session"}, session)])).expect(
        200, claim="the tunnel hands a session to Sentry's intake"
    )

    def counted() -> int:
        answer = services.sentry.organisation(
            "/sessions/", field="sum(session)", query=f'release:"{release}"', statsPeriod="1h", project="-1"
        )
        groups = answer.demand(200).json(dict).get("groups", [])
        return int(sum(group["totals"]["sum(session)"] for group in groups))

    count = readable(run, SENTRY, None, counted, claim="the session is counted at Sentry")
    witness("Sentry's release health API", "the sessions of a release of our own")
    expect_equal(count, 1, "one session is counted once", service=SENTRY)


@contextmanager
def receiver(tag: str) -> Iterator[tuple[str, list[bytes]]]:
    """An HTTP receiver on loopback: its address, which carries the tag, and the bodies it was sent."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the bodies are the evidence."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, name="alert receiver", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/alert/{tag}", bodies
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@check(
    "telemetry.sentry_alert",
    "An alert rule tells a receiver of a new error, and of no other",
    requirement=("P4.1", "prod.alerting"),
    service=SENTRY,
    needs=(
        "telemetry.sentry_alerts",
        "platform.api",
        "telemetry.sentry",
        "telemetry.relay.sentry",
        "platform.version",
    ),
    timeout=TIMEOUT,
    why_slow="Sentry tells its receivers within a minute",
)
def test_alert(run: Run, services: ServiceClients, ledger: Ledger, witness: Witness) -> None:
    """The rule filters on a tag of our own; an error without it is sent first and must not be told."""
    version, tag = version_of(services), run.tag()
    with receiver(tag) as (address, bodies):
        ledger.plan("sentry.receiver", address=address)
        services.sentry.add_receiver(address)
        planned = ledger.plan("sentry.rule", name=f"assay {tag}")
        planned.confirm(id=services.sentry.create_rule(f"assay {tag}", tag="assay", value=tag))
        other = error_event(run, services, version)
        mine = error_event(run, services, version, tags={"assay": tag})
        for event in (other, mine):
            envelope = services.sentry.envelope([({"type": "event"}, event)], event_id=event["event_id"])
            relay(services, envelope).expect(200, claim="the tunnel hands an error to Sentry's intake")
        kind = mine["exception"]["values"][0]["type"]
        eventually(
            lambda: [body for body in bodies if kind.encode() in body],
            within=DEADLINES[SENTRY],
            claim="the receiver is told of the new error",
            service=SENTRY,
        )
        unwanted = other["exception"]["values"][0]["type"].encode()
        expect(
            not any(unwanted in body for body in bodies),
            "the receiver of an alert is not told of an error that the rule leaves out",
            service=SENTRY,
        )
    witness("the alert's receiver", "the error's type in what Sentry sent")
