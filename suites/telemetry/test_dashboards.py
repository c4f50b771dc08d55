"""P4.2, D11: the dashboard at DataDog, whose widgets ask for what this platform sends, and get it."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from clients.service_clients import ServiceClients
from clients.services.datadog import DatadogClient
from core.clock import eventually
from core.errors import ServiceError
from core.expect import expect, expect_equal
from core.ledger import Ledger
from core.passport import check
from core.permit import Action
from core.run import Run
from scenarios.adapter import Adapter
from suites.content.pages import new_page
from suites.telemetry.arrival import DEADLINES, TIMEOUT, WHY_SLOW, readable, relayed
from suites.types import NewActor, NewFile, Witness

DATADOG = "datadog"
TITLE = "Platform"
METRIC = re.compile(r"(?<=:)[A-Za-z][\w.]*(?=\{)")
CLOCKS = 5
"""Seconds that the Worker's clock may be behind this one."""


@dataclass(frozen=True)
class Query:
    """One query of a widget: of a metric as text, or of RUM events as a search and what is computed of it."""

    widget: str
    source: str
    text: str
    compute: dict[str, Any]
    group_by: tuple[dict[str, Any], ...] = ()


def queries(widgets: Any, within: str = "") -> Iterator[Query]:
    """Every query of metrics and RUM events of a dashboard's widgets, those in groups too."""
    for widget in widgets or []:
        definition = widget.get("definition") or {}
        title = f"{within}{definition.get('title') or definition.get('type')}"
        yield from queries(definition.get("widgets"), f"{title}: ")
        requests = definition.get("requests") or []
        for request in requests.values() if isinstance(requests, dict) else requests:
            if request.get("q"):
                yield Query(title, "metrics", str(request["q"]), {})
            for asked in request.get("queries") or []:
                if asked.get("data_source") == "metrics":
                    yield Query(title, "metrics", str(asked.get("query")), {})
                elif asked.get("data_source") == "rum":
                    search = str((asked.get("search") or {}).get("query") or "*")
                    groups = tuple(asked.get("group_by") or ())
                    yield Query(title, "rum", search, asked.get("compute") or {}, groups)


def numbers(dd: DatadogClient, query: Query, session: str, since: float) -> list[float]:
    """What a widget's query yields of what was sent since then; of RUM events, of this session's alone."""
    if query.source == "metrics":
        return dd.metric_points(query.text, since=since)
    found = dd.rum_numbers(f"{query.text} @session.id:{session}", query.compute, query.group_by)
    return [number for number in found if number]


def experience(dd: DatadogClient, session: str, tag: str) -> list[dict[str, Any]]:
    """One event of each kind that a browser sends of a person's visit."""
    view = str(uuid.uuid4())
    seen = {"name": f"/assay/{tag}", "time_spent": 10**9, "action": {"count": 1}, "error": {"count": 1}}
    vitals = {"largest_contentful_paint": 1_234_567_890, "interaction_to_next_paint": 98_765_432}
    action = {"id": str(uuid.uuid4()), "type": "custom", "target": {"name": tag}}
    error = {"id": str(uuid.uuid4()), "message": f"boom {tag}", "source": "source"}
    address = f"https://assay.example/{tag}"
    fetched = {"id": str(uuid.uuid4()), "type": "fetch", "url": address, "duration": 7_000_000}
    return [
        dd.event("view", session, view, view=seen | vitals | {"cumulative_layout_shift": 0.01}),
        dd.event("action", session, view, action=action),
        dd.event("error", session, view, error=error),
        dd.event("resource", session, view, resource=fetched | {"status_code": 200}),
        dd.event("long_task", session, view, long_task={"id": str(uuid.uuid4()), "duration": 60_000_000}),
    ]


def asked_widgets(run: Run, services: ServiceClients) -> list[Query]:
    """Every query of the platform's one dashboard, of metrics and of this very application's RUM events."""
    title = str(run.target.settings.get("dashboard") or TITLE)
    found = services.datadog.dashboards(title)
    expect_equal(len(found), 1, f"DataDog has one dashboard called {title!r}", service=DATADOG)
    asked = list(queries(found[0].get("widgets")))
    expect(
        {"metrics", "rum"} <= {query.source for query in asked},
        "its widgets ask for metrics and for RUM events",
        expected="queries of both",
        saw=sorted({query.source for query in asked}) or "no query",
        service=DATADOG,
    )
    strange = [q.widget for q in asked if q.source == "rum" and services.datadog.application not in q.text]
    expect_equal(strange, [], "every search of RUM events is of this very application", service=DATADOG)
    return asked


@check(
    "telemetry.datadog_widgets",
    "There is one dashboard at DataDog, and its widgets ask for metrics and events of this very application",
    requirement=("P4.2", "D11"),
    service=DATADOG,
    needs=("telemetry.dashboards", "telemetry.datadog"),
    actions=(Action.READ,),
)
def test_widgets(run: Run, services: ServiceClients, witness: Witness) -> None:
    """What they ask is read from the dashboard; `telemetry.datadog_dashboard` tells whether they get it."""
    asked = asked_widgets(run, services)
    witness("DataDog's dashboard API", f"{len(asked)} queries of {len({q.widget for q in asked})} widgets")


@check(
    "telemetry.datadog_dashboard",
    "The dashboard at DataDog asks for what this platform sends, and each of its widgets gets it",
    requirement=("P4.2", "D11"),
    service=DATADOG,
    needs=(
        "telemetry.dashboards",
        "platform.api",
        "auth.email",
        "storage.supabase",
        "rooms.websocket",
        "telemetry.datadog",
    ),
    timeout=2 * TIMEOUT,
    why_slow=WHY_SLOW,
)
def test_dashboard(
    run: Run,
    services: ServiceClients,
    ledger: Ledger,
    adapter: Adapter,
    actor: NewActor,
    made: NewFile,
    witness: Witness,
) -> None:
    """A visit, an upload, a page and a room, then the widgets' own queries; one of what nobody sent yields nothing."""
    dd = services.datadog
    asked = asked_widgets(run, services)
    since, session, tag = time.time() - CLOCKS, str(uuid.uuid4()), run.tag()
    person = actor()
    file = made(1000)
    sent = adapter.upload(services.platform.port, person.access_token, name=file.name, data=file.data)
    if sent.status != adapter.files().upload.answers:
        raise ServiceError("platform", f"preparing a file failed: {sent.status} {sent.text[:200]}")
    page = new_page(run, services, ledger, adapter)
    page.publish(f"shown {tag}")
    page.served(f"shown {tag}")
    member = services.rooms.join(f"assay-{tag}", person.access_token)
    _ = member.welcome
    member.close()
    visit = experience(dd, session, tag)
    accepted = relayed(services, visit, claim="the relay hands a visit's events to DataDog's intake")
    readable(
        run,
        DATADOG,
        accepted,
        lambda: dd.search(f"@session.id:{session}"),
        claim="the visit is readable at DataDog",
    )
    for query in asked:
        eventually(
            partial(numbers, dd, query, session, since),
            within=DEADLINES[DATADOG],
            claim=f"the widget {query.widget!r} shows what was sent just now ({query.text})",
            service=DATADOG,
        )
    witness("DataDog's dashboard, metrics and RUM APIs", f"{len(asked)} queries of the dashboard")

    nobody = str(uuid.uuid4())
    for query in {query.source: query for query in asked}.values():
        never = Query(query.widget, query.source, METRIC.sub(f"assay.never.{tag}", query.text), query.compute)
        expect_equal(
            numbers(dd, never, nobody, since),
            [],
            f"the same query of what nobody sent yields nothing ({never.text}; control of the queries)",
            service=DATADOG,
        )
