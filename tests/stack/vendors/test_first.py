"""One datum into each vendor and back, through the vendors' own Python clients where there is one."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime

import httpx
import mixpanel
from datadog_api_client import ApiClient, Configuration
from datadog_api_client.v2.api.rum_api import RUMApi
from datadog_api_client.v2.model.rum_query_filter import RUMQueryFilter
from datadog_api_client.v2.model.rum_search_events_request import RUMSearchEventsRequest

from tests.stack.vendors.eventually import until


def test_builder_entry(vendors, marker):
    env = vendors.env
    written = httpx.post(
        env["BUILDER_WRITE_URL"] + "/api/v1/write/page",
        headers={"Authorization": "Bearer " + env["BUILDER_PRIVATE_KEY"]},
        json={"name": marker, "published": "published", "data": {"title": marker}},
    )
    assert written.status_code == 200, written.text
    read = httpx.get(
        env["BUILDER_API_URL"] + "/api/v3/content/page",
        params={"apiKey": env["BUILDER_PUBLIC_KEY"], "query.data.title": marker},
    )
    assert [entry["data"]["title"] for entry in read.json()["results"]] == [marker]


def test_datadog_view(vendors, marker):
    env = vendors.env
    event = {
        "type": "view",
        "date": int(time.time() * 1000),
        "application": {"id": env["DATADOG_APPLICATION_ID"]},
        "session": {"id": marker, "type": "user"},
        "view": {"id": marker, "url": f"http://localhost/{marker}"},
        "_dd": {"document_version": 1, "format_version": 2},
    }
    sent = httpx.post(
        env["DATADOG_INTAKE_URL"] + "/api/v2/rum",
        params={"ddsource": "browser", "dd-api-key": env["DATADOG_CLIENT_TOKEN"], "dd-evp-origin": "browser"},
        content=json.dumps(event),
        headers={"Content-Type": "text/plain;charset=UTF-8"},
    )
    assert sent.status_code == 202, sent.text
    configuration = Configuration(host=env["DATADOG_API_URL"])
    configuration.api_key = {"apiKeyAuth": env["DATADOG_API_KEY"], "appKeyAuth": env["DATADOG_APP_KEY"]}
    with ApiClient(configuration) as client:
        wanted = RUMSearchEventsRequest(
            filter=RUMQueryFilter(query=f"@type:view @session.id:{marker}", _from="now-15m", to="now")
        )
        found = until(lambda: RUMApi(client).search_rum_events(body=wanted).data)
    assert found[0].attributes.attributes["view"]["url"].endswith(marker)


def test_ga4_event(vendors, marker):
    env = vendors.env
    sent = httpx.post(
        env["GA4_COLLECT_URL"] + "/mp/collect",
        params={"measurement_id": env["GA4_MEASUREMENT_ID"], "api_secret": env["GA4_API_SECRET"]},
        json={
            "client_id": "1.2",
            "events": [{"name": f"probe_{marker}", "params": {"session_id": "1", "engagement_time_msec": 1}}],
        },
    )
    assert sent.status_code == 204

    def look() -> list[dict] | None:
        answer = httpx.post(
            f"{env['GA4_DATA_URL']}/v1beta/properties/{env['GA4_PROPERTY_ID']}:runRealtimeReport",
            headers={"Authorization": "Bearer " + env["GA4_ACCESS_TOKEN"]},
            json={
                "dimensions": [{"name": "eventName"}],
                "metrics": [{"name": "eventCount"}],
                "dimensionFilter": {
                    "filter": {"fieldName": "eventName", "stringFilter": {"value": f"probe_{marker}"}}
                },
            },
        )
        assert answer.status_code == 200, answer.text
        return list(answer.json().get("rows", []))

    rows = until(look)
    assert rows == [{"dimensionValues": [{"value": f"probe_{marker}"}], "metricValues": [{"value": "1"}]}]


def test_mixpanel_event(vendors, marker):
    env = vendors.env
    api = env["MIXPANEL_API_URL"]
    consumer = mixpanel.Consumer(events_url=api + "/track", people_url=api + "/engage")
    mixpanel.Mixpanel(env["MIXPANEL_TOKEN"], consumer).track("someone", marker, {"colour": "green"})
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    basic = base64.b64encode(f"{env['MIXPANEL_API_SECRET']}:".encode()).decode()

    def look() -> str:
        answer = httpx.get(
            env["MIXPANEL_DATA_URL"] + "/api/2.0/export",
            params={"from_date": today, "to_date": today, "event": json.dumps([marker])},
            headers={"Authorization": "Basic " + basic},
        )
        assert answer.status_code == 200, answer.text
        return answer.text

    event = json.loads(until(look))
    assert event["properties"]["colour"] == "green"
    assert event["properties"]["distinct_id"] == "someone"
