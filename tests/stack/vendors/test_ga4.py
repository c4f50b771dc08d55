"""GA4's stand-in: silence of the intake, the debug endpoint's messages, realtime and core reports, deletion."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
from google.analytics.data_v1beta import BetaAnalyticsDataClient
from google.analytics.data_v1beta.services.beta_analytics_data.transports import (
    BetaAnalyticsDataRestTransport,
)
from google.analytics.data_v1beta.types import (
    DateRange,
    Dimension,
    Filter,
    FilterExpression,
    Metric,
    RunRealtimeReportRequest,
    RunReportRequest,
)
from google.api_core.exceptions import BadRequest, Forbidden
from google.oauth2.credentials import Credentials

from tests.stack.vendors.eventually import until
from tests.stack.vendors.running import Running


def collect(vendors: Running, payload: Any, path: str = "/mp/collect", **keys: str) -> httpx.Response:
    env = vendors.env
    asked = {"measurement_id": env["GA4_MEASUREMENT_ID"], "api_secret": env["GA4_API_SECRET"], **keys}
    given = {"content": payload} if isinstance(payload, bytes) else {"json": payload}
    return httpx.post(env["GA4_COLLECT_URL"] + path, params=asked, **given)


def report(
    vendors: Running, method: str = "runRealtimeReport", token: str | None = None, **body: Any
) -> httpx.Response:
    env = vendors.env
    return httpx.post(
        f"{env['GA4_DATA_URL']}/v1beta/properties/{env['GA4_PROPERTY_ID']}:{method}",
        headers={"Authorization": f"Bearer {env['GA4_ACCESS_TOKEN'] if token is None else token}"},
        json=body,
    )


def named(name: str) -> dict[str, Any]:
    return {"filter": {"fieldName": "eventName", "stringFilter": {"value": name, "caseSensitive": True}}}


def count(vendors: Running, name: str) -> int:
    answer = report(
        vendors,
        dimensions=[{"name": "eventName"}],
        metrics=[{"name": "eventCount"}],
        dimensionFilter=named(name),
    )
    assert answer.status_code == 200, answer.text
    return sum(int(row["metricValues"][0]["value"]) for row in answer.json().get("rows", []))


def event(name: str, **params: Any) -> dict[str, Any]:
    shown = {"session_id": "7", "engagement_time_msec": 1}  # what a realtime report asks for
    return {"client_id": "1.2", "events": [{"name": name, "params": shown | params}]}


INVALID = [
    pytest.param({"events": [{"name": "a"}]}, "client_id", "VALUE_REQUIRED", id="no client_id"),
    pytest.param({"client_id": "1"}, "events", "VALUE_REQUIRED", id="no events"),
    pytest.param(
        {"client_id": "1", "events": [{"name": "a"}] * 26}, "events", "EXCEEDED_MAX_ENTITIES", id="26 events"
    ),
    pytest.param(event("1bad"), "events[0]", "NAME_INVALID", id="bad name"),
    pytest.param(event("a" * 41), "events[0]", "NAME_INVALID", id="long name"),
    pytest.param(event("session_start"), "events[0]", "NAME_RESERVED", id="reserved name"),
    pytest.param(event("a", _secret=1), "events[0].params", "NAME_INVALID", id="bad parameter"),
    pytest.param(event("a", ga_x=1), "events[0].params", "NAME_RESERVED", id="reserved prefix"),
    pytest.param(event("a", text="x" * 101), "events[0].params", "VALUE_OUT_OF_BOUNDS", id="long value"),
    pytest.param(
        event("a", **{f"p{n}": n for n in range(24)}), "events[0].params", "EXCEEDED_MAX_ENTITIES", id="26"
    ),
    pytest.param(event("a", page_title="x" * 301), "events[0].params", "VALUE_OUT_OF_BOUNDS", id="title"),
    pytest.param(
        event("a", page_referrer="x" * 421), "events[0].params", "VALUE_OUT_OF_BOUNDS", id="referrer"
    ),
    pytest.param(
        event("a", page_location="x" * 1001), "events[0].params", "VALUE_OUT_OF_BOUNDS", id="location"
    ),
    pytest.param(event("a") | {"user_data": {"x": "x" * 130_000}}, "", "VALUE_INVALID", id="over 130 kB"),
    pytest.param(event("a") | {"nonsense": 1}, "nonsense", "VALUE_INVALID", id="unknown field"),
    pytest.param(
        event("a") | {"user_properties": {"p": {"value": "x" * 37}}},
        "user_properties",
        "VALUE_OUT_OF_BOUNDS",
        id="prop",
    ),
]


class TestCollect:
    @pytest.mark.parametrize(("payload", "path", "code"), INVALID)
    def test_debug_says_what_collect_keeps_silent_about(self, vendors, payload, path, code):
        found = collect(vendors, payload, "/debug/mp/collect").json()["validationMessages"]
        assert (path, code) in [(one["fieldPath"], one["validationCode"]) for one in found]
        assert all(set(one) == {"fieldPath", "description", "validationCode"} for one in found)
        assert collect(vendors, payload).status_code == 204

    def test_what_is_not_json_is_204_and_named_by_debug(self, vendors):
        assert collect(vendors, b"{").status_code == 204
        assert collect(vendors, b"{", "/debug/mp/collect").json()["validationMessages"]

    def test_pages_have_room_for_long_values(self, vendors):
        long = {"page_title": "x" * 300, "page_referrer": "x" * 420, "page_location": "x" * 1000}
        assert collect(vendors, event("a", **long), "/debug/mp/collect").json() == {"validationMessages": []}

    @pytest.mark.parametrize("without", ["session_id", "engagement_time_msec"])
    def test_an_event_without_its_session_is_in_the_core_report_alone(self, vendors, marker, without):
        assert collect(vendors, event(marker, **{without: None})).status_code == 204
        collect(vendors, event(f"{marker}_other"))
        until(lambda: count(vendors, f"{marker}_other") == 1)
        assert count(vendors, marker) == 0
        dates = [{"startDate": "yesterday", "endDate": "today"}]
        asked = {
            "dimensions": [{"name": "eventName"}],
            "metrics": [{"name": "eventCount"}],
            "dateRanges": dates,
        }
        found = report(vendors, "runReport", dimensionFilter=named(marker), **asked).json()
        assert found["rows"][0]["metricValues"] == [{"value": "1"}]

    def test_a_right_payload_has_no_messages_and_debug_keeps_nothing(self, vendors, marker):
        answer = collect(vendors, event(marker, value=1), "/debug/mp/collect")
        assert answer.json() == {"validationMessages": []}
        collect(vendors, event(f"{marker}_other"))
        until(lambda: count(vendors, f"{marker}_other") == 1)
        assert count(vendors, marker) == 0

    def test_an_invalid_event_never_arrives(self, vendors, marker):
        collect(vendors, event(marker, text="x" * 101))
        collect(vendors, event(marker, text="right"))
        until(lambda: count(vendors, marker) == 1)
        assert count(vendors, marker) == 1

    def test_an_event_older_than_three_days_never_arrives(self, vendors, marker):
        old = event(marker) | {"timestamp_micros": int((time.time() - 73 * 3600) * 1e6)}
        assert collect(vendors, old, "/debug/mp/collect").json() == {"validationMessages": []}
        assert collect(vendors, old).status_code == 204
        assert marker in str(vendors.kept("ga4.dropped"))

    def test_gtag_arrives(self, vendors, marker):
        env = vendors.env
        asked = {
            "v": "2",
            "tid": env["GA4_MEASUREMENT_ID"],
            "cid": "1.2",
            "en": marker,
            "dl": "http://localhost/",
        }
        headers = {"Origin": "http://example.test"}
        answer = httpx.post(env["GA4_COLLECT_URL"] + "/g/collect", params=asked, headers=headers)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == "http://example.test"
        until(lambda: count(vendors, marker) == 1)


class TestReports:
    def test_realtime_by_page_title(self, vendors, marker):
        for title in ("A", "A", "B"):
            collect(
                vendors, event("page_view", page_title=f"{marker} {title}", page_location="http://localhost/")
            )
        expression = {
            "filter": {
                "fieldName": "unifiedScreenName",
                "stringFilter": {"matchType": "BEGINS_WITH", "value": marker},
            }
        }
        asked = {
            "dimensions": [{"name": "unifiedScreenName"}, {"name": "minutesAgo"}],
            "metrics": [{"name": "eventCount"}, {"name": "activeUsers"}],
            "dimensionFilter": {"andGroup": {"expressions": [expression, named("page_view")]}},
        }
        rows = until(lambda: (r := report(vendors, **asked).json().get("rows", [])) and len(r) == 2 and r)
        shown = {
            row["dimensionValues"][0]["value"]: [v["value"] for v in row["metricValues"]] for row in rows
        }
        assert shown == {f"{marker} A": ["2", "1"], f"{marker} B": ["1", "1"]}

    def test_core_report_by_custom_dimension(self, vendors, marker):
        collect(vendors, event("bought", colour=marker))
        asked = {
            "dateRanges": [{"startDate": "yesterday", "endDate": "today"}],
            "dimensions": [{"name": "customEvent:colour"}],
            "metrics": [{"name": "eventCount"}],
            "dimensionFilter": {
                "filter": {"fieldName": "customEvent:colour", "inListFilter": {"values": [marker]}}
            },
        }
        rows = until(lambda: report(vendors, "runReport", **asked).json().get("rows"))
        assert rows[0]["metricValues"] == [{"value": "1"}]

    @pytest.mark.parametrize(
        "body",
        [
            {"dimensions": [{"name": "customEvent:x"}]},  # core reports only
            {"dimensions": [{"name": "nothing"}]},
            {"metrics": [{"name": "nothing"}]},
            {"unknown": 1},
            {},
        ],
    )
    def test_a_wrong_request_is_400(self, vendors, body):
        answer = report(vendors, **body)
        assert answer.status_code == 400
        assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"

    def test_a_slow_index_shows_nothing_yet(self, own_vendors, marker):
        slow = own_vendors(ga4_delay_ms=3_600_000)
        collect(slow, event(marker))
        assert count(slow, marker) == 0

    def test_a_user_is_forgotten(self, vendors, marker):
        collect(vendors, event(marker) | {"user_id": marker})
        until(lambda: count(vendors, marker) == 1)
        env = vendors.env
        url = f"{env['GA4_ADMIN_URL']}/v1alpha/properties/{env['GA4_PROPERTY_ID']}:submitUserDeletion"
        assert (
            httpx.post(url, headers={"Authorization": "Bearer x"}, json={"userId": marker}).status_code == 401
        )
        right = {"Authorization": "Bearer " + env["GA4_ACCESS_TOKEN"]}
        assert "deletionRequestTime" in httpx.post(url, headers=right, json={"userId": marker}).json()
        assert count(vendors, marker) == 0


class TestKeys:
    @pytest.mark.parametrize(
        "wrong", [{"measurement_id": "G-AAAAAAAAAA"}, {"api_secret": "wrong"}, {"api_secret": ""}]
    )
    def test_a_wrong_key_is_silent_and_never_arrives(self, vendors, marker, wrong):
        assert collect(vendors, event(marker), **wrong).status_code == 204
        collect(vendors, event(f"{marker}_right"))
        until(lambda: count(vendors, f"{marker}_right") == 1)
        assert count(vendors, marker) == 0

    def test_a_wrong_measurement_id_of_gtag_never_arrives(self, vendors, marker):
        url, right = vendors.env["GA4_COLLECT_URL"] + "/g/collect", vendors.env["GA4_MEASUREMENT_ID"]
        for tid, name in (("G-AAAAAAAAAA", marker), (right, f"{marker}_right")):
            assert httpx.post(url, params={"tid": tid, "cid": "1.2", "en": name}).status_code == 204
        until(lambda: count(vendors, f"{marker}_right") == 1)
        assert count(vendors, marker) == 0

    @pytest.mark.parametrize("wrong", ["x", "ya29.wrong"])
    def test_a_wrong_token_reads_nothing(self, vendors, wrong):
        answer = report(vendors, token=wrong, dimensions=[{"name": "eventName"}])
        assert answer.status_code == 401
        assert answer.json()["error"]["status"] == "UNAUTHENTICATED"

    def test_another_property_is_403(self, vendors):
        url = f"{vendors.env['GA4_DATA_URL']}/v1beta/properties/1:runRealtimeReport"
        headers = {"Authorization": "Bearer " + vendors.env["GA4_ACCESS_TOKEN"]}
        answer = httpx.post(url, headers=headers, json={"dimensions": [{"name": "eventName"}]})
        assert answer.json()["error"]["status"] == "PERMISSION_DENIED"


class TestGoogle:
    """Google's own client (google-analytics-data), by host and scheme alone: its messages take every field."""

    @pytest.fixture
    def client(self, vendors):
        host = vendors.env["GA4_DATA_URL"].removeprefix("http://")
        credentials = Credentials(vendors.env["GA4_ACCESS_TOKEN"])
        transport = BetaAnalyticsDataRestTransport(host=host, url_scheme="http", credentials=credentials)
        with BetaAnalyticsDataClient(transport=transport) as made:
            yield made

    def test_a_realtime_report_is_read(self, vendors, client, marker):
        collect(vendors, event(marker))
        filtered = FilterExpression(
            filter=Filter(field_name="eventName", string_filter=Filter.StringFilter(value=marker))
        )
        asked = RunRealtimeReportRequest(
            property=f"properties/{vendors.env['GA4_PROPERTY_ID']}",
            dimensions=[Dimension(name="eventName"), Dimension(name="minutesAgo")],
            metrics=[Metric(name="eventCount"), Metric(name="activeUsers")],
            dimension_filter=filtered,
        )
        (row,) = until(lambda: client.run_realtime_report(asked).rows)
        assert [value.value for value in row.dimension_values] == [marker, "00"]
        assert [value.value for value in row.metric_values] == ["1", "1"]

    def test_a_core_report_and_the_metadata_are_read(self, vendors, client, marker):
        collect(vendors, event(marker))
        name = f"properties/{vendors.env['GA4_PROPERTY_ID']}"
        asked = RunReportRequest(
            property=name,
            date_ranges=[DateRange(start_date="yesterday", end_date="today")],
            dimensions=[Dimension(name="eventName")],
            metrics=[Metric(name="eventCount")],
        )
        rows = until(
            lambda: [r for r in client.run_report(asked).rows if r.dimension_values[0].value == marker]
        )
        assert rows[0].metric_values[0].value == "1"
        assert "eventName" in [
            one.api_name for one in client.get_metadata(name=f"{name}/metadata").dimensions
        ]

    def test_errors_are_googles(self, vendors, client):
        with pytest.raises(BadRequest, match="not a valid metric"):
            client.run_realtime_report(
                RunRealtimeReportRequest(
                    property=f"properties/{vendors.env['GA4_PROPERTY_ID']}", metrics=[Metric(name="nothing")]
                )
            )
        with pytest.raises(Forbidden):
            client.run_realtime_report(RunRealtimeReportRequest(property="properties/1"))
