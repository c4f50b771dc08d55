"""DataDog's stand-in, held to `datadog-api-client`, which is generated from DataDog's OpenAPI description.

The client checks the type of every field that it reads; what its models cannot place (an unknown value of an
enumeration, a form that fits none of several) it would keep aside, and the tests fail on that.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from datadog_api_client import ApiClient, Configuration
from datadog_api_client.exceptions import ApiException, ForbiddenException
from datadog_api_client.v1.api.authentication_api import AuthenticationApi
from datadog_api_client.v1.api.dashboards_api import DashboardsApi
from datadog_api_client.v1.api.events_api import EventsApi
from datadog_api_client.v1.api.metrics_api import MetricsApi as MetricsApiV1
from datadog_api_client.v1.api.monitors_api import MonitorsApi
from datadog_api_client.v1.api.webhooks_integration_api import WebhooksIntegrationApi
from datadog_api_client.v1.model.dashboard import Dashboard
from datadog_api_client.v1.model.dashboard_layout_type import DashboardLayoutType
from datadog_api_client.v1.model.event_create_request import EventCreateRequest
from datadog_api_client.v1.model.monitor import Monitor
from datadog_api_client.v1.model.monitor_options import MonitorOptions
from datadog_api_client.v1.model.monitor_thresholds import MonitorThresholds
from datadog_api_client.v1.model.monitor_type import MonitorType
from datadog_api_client.v1.model.note_widget_definition import NoteWidgetDefinition
from datadog_api_client.v1.model.note_widget_definition_type import NoteWidgetDefinitionType
from datadog_api_client.v1.model.webhooks_integration import WebhooksIntegration
from datadog_api_client.v1.model.widget import Widget
from datadog_api_client.v2.api.logs_api import LogsApi
from datadog_api_client.v2.api.metrics_api import MetricsApi
from datadog_api_client.v2.api.rum_api import RUMApi
from datadog_api_client.v2.model.http_log import HTTPLog
from datadog_api_client.v2.model.http_log_item import HTTPLogItem
from datadog_api_client.v2.model.logs_list_request import LogsListRequest
from datadog_api_client.v2.model.logs_query_filter import LogsQueryFilter
from datadog_api_client.v2.model.metric_intake_type import MetricIntakeType
from datadog_api_client.v2.model.metric_payload import MetricPayload
from datadog_api_client.v2.model.metric_point import MetricPoint
from datadog_api_client.v2.model.metric_series import MetricSeries
from datadog_api_client.v2.model.rum_aggregate_request import RUMAggregateRequest
from datadog_api_client.v2.model.rum_aggregation_function import RUMAggregationFunction
from datadog_api_client.v2.model.rum_compute import RUMCompute
from datadog_api_client.v2.model.rum_group_by import RUMGroupBy
from datadog_api_client.v2.model.rum_query_filter import RUMQueryFilter
from datadog_api_client.v2.model.rum_query_page_options import RUMQueryPageOptions
from datadog_api_client.v2.model.rum_search_events_request import RUMSearchEventsRequest

from tests.stack.vendors.eventually import until
from tests.stack.vendors.receiver import Receiver
from tests.stack.vendors.running import Running


class Strict(ApiClient):
    """DataDog's client, but for answers that its models cannot place: those fail here."""

    def deserialize(self, response_data: str, response_type: Any, check_type: bool | None) -> Any:
        found = super().deserialize(response_data, response_type, check_type)
        for one in found if isinstance(found, list) else [found]:
            assert not getattr(one, "_unparsed", False), response_data
        return found


def client_of(vendors: Running, **keys: str) -> ApiClient:
    env = vendors.env | keys
    configuration = Configuration(host=env["DATADOG_API_URL"])
    configuration.api_key = {"apiKeyAuth": env["DATADOG_API_KEY"], "appKeyAuth": env["DATADOG_APP_KEY"]}
    configuration.server_variables["site"] = "localhost"
    return Strict(configuration)


@pytest.fixture
def client(vendors: Running) -> Iterator[ApiClient]:
    with client_of(vendors) as made:
        yield made


def rum_event(vendors: Running, kind: str, marker: str, **more: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "date": int(time.time() * 1000),
        "application": {"id": vendors.env["DATADOG_APPLICATION_ID"]},
        "session": {"id": marker, "type": "user"},
        "view": {"id": marker, "url": f"http://localhost/{marker}", "referrer": ""},
        "service": "platform",
        "_dd": {"document_version": 1, "format_version": 2},
        **more,
    }


def send_rum(vendors: Running, *events: Any, **parameters: str) -> httpx.Response:
    lines = "\n".join(one if isinstance(one, str) else json.dumps(one) for one in events).encode()
    asked = {
        "ddsource": "browser",
        "dd-api-key": vendors.env["DATADOG_CLIENT_TOKEN"],
        "dd-evp-origin": "browser",
        **parameters,
    }
    if parameters.get("dd-evp-encoding") == "deflate":
        lines = zlib.compress(lines)
    return httpx.post(
        vendors.env["DATADOG_INTAKE_URL"] + "/api/v2/rum",
        params=asked,
        content=lines,
        headers={"Content-Type": "text/plain;charset=UTF-8", "Origin": "http://example.test"},
    )


def search(client: ApiClient, query: str, limit: int = 100) -> Any:
    wanted = RUMSearchEventsRequest(
        filter=RUMQueryFilter(query=query, _from="now-15m", to="now+1m"),
        page=RUMQueryPageOptions(limit=limit),
    )
    return RUMApi(client).search_rum_events(body=wanted)


class TestRum:
    def test_every_kind_of_event_is_found_by_its_attributes(self, vendors, client, marker):
        kinds = ["view", "action", "error", "resource", "long_task", "vital"]
        events = [rum_event(vendors, kind, marker, context={"marker": marker}) for kind in kinds]
        assert send_rum(vendors, *events).status_code == 202
        found = until(lambda: (f := search(client, f"@context.marker:{marker}").data) and len(f) == 6 and f)
        assert sorted(one.attributes.attributes["type"] for one in found) == sorted(kinds)
        one = search(client, f"@type:error @context.marker:{marker} service:platform").data
        assert [event.attributes.attributes["type"] for event in one] == ["error"]
        assert search(client, f"-@type:* @context.marker:{marker}").data == []
        assert len(search(client, f"(@type:view OR @type:vital) @session.id:{marker[:8]}*").data) == 2

    def test_the_newest_version_of_a_view_is_kept(self, vendors, client, marker):
        later = rum_event(vendors, "view", marker, _dd={"document_version": 3, "format_version": 2})
        later["view"]["time_spent"] = 3
        partial = {**rum_event(vendors, "view_update", marker), "_dd": {"document_version": 4}}
        partial["view"] = {"id": marker, "url": later["view"]["url"], "is_active": False}
        for event in (rum_event(vendors, "view", marker), later, rum_event(vendors, "view", marker), partial):
            assert send_rum(vendors, event).status_code == 202
        found = until(lambda: search(client, f"@session.id:{marker}").data)
        assert len(found) == 1
        view = found[0].attributes.attributes
        assert (view["type"], view["view"]["time_spent"], view["view"]["is_active"]) == ("view", 3, False)

    def test_a_compressed_batch_and_a_proxy_path_are_read(self, vendors, client, marker):
        event = rum_event(vendors, "action", marker)
        assert send_rum(vendors, event, **{"dd-evp-encoding": "deflate"}).status_code == 202
        forward = f"/api/v2/rum?ddsource=browser&dd-api-key={vendors.env['DATADOG_CLIENT_TOKEN']}"
        proxied = httpx.post(
            vendors.env["DATADOG_INTAKE_URL"],
            params={"ddforward": forward},
            content=json.dumps(rum_event(vendors, "error", marker)),
        )
        assert proxied.status_code == 202
        until(lambda: len(search(client, f"@session.id:{marker}").data) == 2)

    @pytest.mark.parametrize(
        "spoilt",
        [
            pytest.param(lambda event: "{not json", id="not JSON"),
            pytest.param(lambda event: {**event, "type": "other"}, id="unknown type"),
            pytest.param(lambda event: {**event, "date": 1}, id="too old"),
            pytest.param(lambda event: {**event, "application": {"id": "x"}}, id="other application"),
            pytest.param(lambda event: {k: v for k, v in event.items() if k != "session"}, id="no session"),
        ],
    )
    def test_a_malformed_event_is_accepted_and_never_indexed(self, vendors, client, marker, spoilt):
        good = rum_event(vendors, "action", marker)
        bad = spoilt(rum_event(vendors, "action", marker, context={"bad": True}))
        assert send_rum(vendors, bad, good).status_code == 202
        found = until(lambda: search(client, f"@session.id:{marker}").data)
        assert ["context" in one.attributes.attributes for one in found] == [False]

    def test_an_event_is_not_there_before_the_indexing_delay(self, own_vendors, marker):
        slow = own_vendors(datadog_delay_ms=3_600_000)
        assert send_rum(slow, rum_event(slow, "action", marker)).status_code == 202
        with client_of(slow) as client:
            assert search(client, f"@session.id:{marker}").data == []
        assert slow.control("GET", "/state").json()["counts"]["datadog.rum"] == 1

    def test_pages_are_walked_by_the_client(self, vendors, client, marker):
        send_rum(vendors, *[rum_event(vendors, "action", marker, context={"n": n}) for n in range(25)])
        until(lambda: len(search(client, f"@session.id:{marker}").data) == 25)
        wanted = RUMSearchEventsRequest(
            filter=RUMQueryFilter(query=f"@session.id:{marker}", _from="now-15m", to="now"),
            page=RUMQueryPageOptions(limit=10),
        )
        walked = list(RUMApi(client).search_rum_events_with_pagination(body=wanted))
        assert sorted(one.attributes.attributes["context"]["n"] for one in walked) == list(range(25))
        listed = RUMApi(client).list_rum_events(
            filter_query=f"@session.id:{marker}", filter_from=datetime.fromtimestamp(time.time() - 900, UTC)
        )
        assert len(listed.data) == 10

    def test_numbers_are_made_of_events_by_their_facets(self, vendors, client, marker):
        durations = {"2": [10, 20, 30, 40], "5": [1000]}
        send_rum(
            vendors,
            *[
                rum_event(vendors, "resource", marker, resource={"duration": ms, "status_code": f"{c}00"})
                for c, every in durations.items()
                for ms in every
            ],
        )
        until(lambda: len(search(client, f"@session.id:{marker}").data) == 5)

        def numbers(query: str, *computes: RUMCompute, by: str = "") -> list[dict[str, Any]]:
            wanted = RUMAggregateRequest(
                filter=RUMQueryFilter(query=query, _from="now-15m", to="now"),
                compute=list(computes),
                group_by=[RUMGroupBy(facet=by)] if by else [],
            )
            buckets = RUMApi(client).aggregate_rum_events(body=wanted).data.buckets
            return [{"by": dict(one.by), **one.computes} for one in buckets]

        mine, path = f"@session.id:{marker}", "@resource.duration"
        of = {
            name: RUMCompute(aggregation=RUMAggregationFunction(name), metric=path)
            for name in ("pc75", "median", "sum", "min", "max", "avg", "cardinality")
        }
        count = RUMCompute(aggregation=RUMAggregationFunction.COUNT)
        assert numbers(mine, count) == [{"by": {}, "c0": 5}]
        by_status = numbers(mine, count, of["max"], of["sum"], by="@resource.status_code")
        assert by_status == [
            {"by": {"@resource.status_code": "200"}, "c0": 4, "c1": 40, "c2": 100},
            {"by": {"@resource.status_code": "500"}, "c0": 1, "c1": 1000, "c2": 1000},
        ]
        (found,) = numbers(mine, of["pc75"], of["median"], of["min"], of["avg"], of["cardinality"])
        assert found == {"by": {}, "c0": 40, "c1": 30, "c2": 10, "c3": 220, "c4": 5}
        assert numbers(f"{mine} @type:error", count, of["max"]) == [{"by": {}, "c0": 0}]
        with pytest.raises(ApiException) as refused:
            numbers(mine, RUMCompute(aggregation=RUMAggregationFunction.MAX))
        assert refused.value.status == 400

    def test_application_is_known(self, vendors, client):
        found = RUMApi(client).get_rum_application(vendors.env["DATADOG_APPLICATION_ID"])
        assert found.data.attributes.type == "browser"

    def test_a_broken_query_is_400(self, client):
        with pytest.raises(ApiException) as refused:
            search(client, "(@type:view")
        assert refused.value.status == 400


class TestLogs:
    def test_logs_of_a_server_and_of_the_browser_are_found(self, vendors, client, marker):
        env = vendors.env
        client.configuration.server_operation_index["v2.submit_log"] = 0
        items = HTTPLog([HTTPLogItem(message=f"server {marker}", service="worker", ddtags="env:test,a:b")])
        answer = httpx.post(
            env["DATADOG_INTAKE_URL"] + "/api/v2/logs",
            headers={"DD-API-KEY": env["DATADOG_API_KEY"]},
            json=[one.to_dict() for one in items.value],
        )
        assert answer.status_code == 202
        browser = {"message": f"browser {marker}", "status": "error", "date": int(time.time() * 1000)}
        asked = {"ddsource": "browser", "dd-api-key": env["DATADOG_CLIENT_TOKEN"], "dd-evp-origin": "browser"}
        url = env["DATADOG_INTAKE_URL"] + "/api/v2/logs"
        assert httpx.post(url, params=asked, content=json.dumps(browser)).status_code == 202

        def look() -> Any:
            wanted = LogsListRequest(filter=LogsQueryFilter(query=marker, _from="now-15m", to="now"))
            found = LogsApi(client).list_logs(body=wanted).data
            return found if len(found) == 2 else None

        found = {one.attributes.message: one.attributes for one in until(look)}
        assert found[f"server {marker}"].tags == ["env:test", "a:b"]
        assert found[f"browser {marker}"].status == "error"

    def test_limits(self, vendors):
        url, key = vendors.env["DATADOG_INTAKE_URL"] + "/api/v2/logs", vendors.env["DATADOG_API_KEY"]
        headers = {"DD-API-KEY": key, "Content-Type": "application/json"}
        assert httpx.post(url, headers=headers, json=[{"message": "x"}] * 1001).status_code == 413
        assert httpx.post(url, headers=headers, content=b"{").status_code == 400

    def test_a_log_over_1_mb_is_truncated_and_kept(self, vendors, client, marker):
        url, key = vendors.env["DATADOG_INTAKE_URL"] + "/api/v2/logs", vendors.env["DATADOG_API_KEY"]
        large = {"message": f"{marker} " + "x" * 1_100_000, "service": marker}
        assert httpx.post(url, headers={"DD-API-KEY": key}, json=large).status_code == 202
        wanted = LogsListRequest(filter=LogsQueryFilter(query=f"service:{marker}", _from="now-15m", to="now"))
        found = until(lambda: LogsApi(client).list_logs(body=wanted).data)
        assert 1_000_000 < len(found[0].attributes.message) < 1_048_576
        assert found[0].attributes.message.startswith(marker)

    def test_no_key_is_401(self, vendors):
        assert httpx.post(vendors.env["DATADOG_INTAKE_URL"] + "/api/v2/logs", json={}).status_code == 401


class TestMetrics:
    def submit(self, client: ApiClient, name: str, *values: float, at: float | None = None) -> None:
        moment = int(at or time.time())
        points = [
            MetricPoint(timestamp=moment - 60 * n, value=float(value)) for n, value in enumerate(values)
        ]
        series = MetricSeries(metric=name, type=MetricIntakeType.GAUGE, points=points, tags=["store:r2"])
        answer = MetricsApi(client).submit_metrics(body=MetricPayload(series=[series]))
        assert answer.errors == []

    def points(self, client: ApiClient, query: str) -> list[float]:
        moment = int(time.time())
        answer = MetricsApiV1(client).query_metrics(_from=moment - 900, to=moment + 60, query=query)
        assert answer.status == "ok"
        return [point.value[1] for one in answer.series for point in one.pointlist] if answer.series else []

    def test_points_are_read_back(self, vendors, client, marker):
        name = f"test.{marker}"
        moment = time.time()
        end = (
            moment // 900 * 900 - 1 if moment % 900 < 120 else moment
        )  # both points in one quarter of an hour
        self.submit(client, name, 10, 20, at=end)
        found = until(lambda: len(p := self.points(client, f"avg:{name}{{store:r2}}")) == 2 and p)
        assert sorted(found) == [10, 20]
        assert self.points(client, f"max:{name}{{*}} by {{store}}.rollup(max, 900)")[-1:] == [20]
        assert self.points(client, f"avg:{name}{{store:other}}") == []
        assert MetricsApiV1(client).get_metric_metadata(metric_name=name).type == "gauge"
        active = MetricsApiV1(client).list_active_metrics(_from=int(end) - 60)
        assert name in active.metrics

    def test_an_old_point_is_accepted_and_dropped(self, vendors, client, marker):
        self.submit(client, f"test.{marker}", 1, at=time.time() - 7200)
        self.submit(client, f"test.{marker}", 2)
        until(lambda: self.points(client, f"avg:test.{marker}{{*}}"))
        assert self.points(client, f"avg:test.{marker}{{*}}") == [2]

    def test_malformed_series_are_400(self, vendors):
        headers = {"DD-API-KEY": vendors.env["DATADOG_API_KEY"]}
        url = vendors.env["DATADOG_API_URL"] + "/api/v2/series"
        for series in ({}, {"metric": "1bad", "points": []}, {"metric": "a", "points": [{"value": "x"}]}):
            assert httpx.post(url, headers=headers, json={"series": [series]}).status_code == 400

    def test_a_broken_query_is_400(self, client):
        with pytest.raises(ApiException) as refused:
            self.points(client, "avg:nothing")
        assert refused.value.status == 400


class TestMonitors:
    def test_a_monitor_alerts_its_webhook_and_recovers(self, own_vendors, marker):
        vendors = own_vendors(datadog_monitor_ms=50, datadog_delay_ms=0)
        with Receiver() as receiver, client_of(vendors) as client:
            hook = WebhooksIntegration(name="pager", url=receiver.url + "/hook")
            WebhooksIntegrationApi(client).create_webhooks_integration(body=hook)
            name = f"test.{marker}"
            made = MonitorsApi(client).create_monitor(
                body=Monitor(
                    name=marker,
                    type=MonitorType.QUERY_ALERT,
                    query=f"max(last_5m):max:{name}{{*}} > 100",
                    message="too slow @webhook-pager",
                    options=MonitorOptions(thresholds=MonitorThresholds(critical=100.0)),
                )
            )
            assert str(made.overall_state) == "No Data"
            TestMetrics().submit(client, name, 50)
            until(lambda: str(MonitorsApi(client).get_monitor(made.id).overall_state) == "OK")
            assert receiver.got == []
            TestMetrics().submit(client, name, 500)
            until(lambda: receiver.got)
            path, _, body = receiver.got[0]
            alert = json.loads(body)
            assert (path, alert["alert_title"], alert["alert_transition"]) == ("/hook", marker, "Triggered")
            MonitorsApi(client).delete_monitor(made.id)
            with pytest.raises(ApiException) as gone:
                MonitorsApi(client).get_monitor(made.id)
            assert gone.value.status == 404

    def test_a_rum_monitor_counts_events(self, own_vendors, marker):
        vendors = own_vendors(datadog_delay_ms=0)
        with client_of(vendors) as client:
            query = f'rum("@type:error @session.id:{marker}").rollup("count").last("5m") >= 1'
            made = MonitorsApi(client).create_monitor(
                body=Monitor(name=marker, type=MonitorType.RUM_ALERT, query=query, message="")
            )
            assert str(MonitorsApi(client).get_monitor(made.id).overall_state) == "OK"
            send_rum(vendors, rum_event(vendors, "error", marker))
            assert str(MonitorsApi(client).get_monitor(made.id).overall_state) == "Alert"

    def test_a_broken_monitor_is_400(self, client):
        for body in (
            Monitor(type=MonitorType.METRIC_ALERT, query="not a query"),
            Monitor(
                type=MonitorType.METRIC_ALERT,
                query="avg(last_5m):avg:a{*} > 5",
                options=MonitorOptions(thresholds=MonitorThresholds(critical=6.0)),
            ),
        ):
            with pytest.raises(ApiException) as refused:
                MonitorsApi(client).validate_monitor(body=body)
            assert refused.value.status == 400


class TestDocuments:
    def test_dashboard_lives_and_dies(self, client, marker):
        note = NoteWidgetDefinition(type=NoteWidgetDefinitionType.NOTE, content="hello")
        wanted = Dashboard(title=marker, layout_type=DashboardLayoutType.ORDERED, widgets=[Widget(note)])
        made = DashboardsApi(client).create_dashboard(body=wanted)
        assert made.title == marker
        assert made.id in [one.id for one in DashboardsApi(client).list_dashboards().dashboards]
        wanted.title = marker + " two"
        assert DashboardsApi(client).update_dashboard(made.id, body=wanted).title == marker + " two"
        assert DashboardsApi(client).delete_dashboard(made.id).deleted_dashboard_id == made.id
        with pytest.raises(ApiException) as gone:
            DashboardsApi(client).get_dashboard(made.id)
        assert gone.value.status == 404

    @pytest.mark.parametrize(
        "definition",
        [
            pytest.param({}, id="no type"),
            pytest.param({"type": "timeserie"}, id="unknown type"),
            pytest.param({"type": "timeseries", "requests": []}, id="nothing asked"),
            pytest.param(
                {"type": "group", "layout_type": "ordered", "widgets": [{"definition": {"type": "x"}}]},
                id="within a group",
            ),
        ],
    )
    def test_a_widget_that_is_none_is_400(self, client, marker, definition):
        wanted = Dashboard(
            title=marker, layout_type=DashboardLayoutType.ORDERED, widgets=[Widget(definition=definition)]
        )
        with pytest.raises(ApiException) as refused:
            DashboardsApi(client).create_dashboard(body=wanted)
        assert refused.value.status == 400
        assert marker not in [one.title for one in DashboardsApi(client).list_dashboards().dashboards]

    def test_event_is_read_back(self, client, marker):
        body = EventCreateRequest(title=marker, text="released", tags=[f"marker:{marker}"])
        made = EventsApi(client).create_event(body=body)
        assert made.status == "ok"
        moment = int(time.time())

        def look() -> Any:
            return (
                EventsApi(client)
                .list_events(start=moment - 60, end=moment + 60, tags=f"marker:{marker}")
                .events
            )

        assert [one.title for one in until(look)] == [marker]
        assert EventsApi(client).get_event(made.event.id).event.title == marker


class TestKeys:
    def test_the_right_key_is_valid(self, client):
        assert AuthenticationApi(client).validate().valid is True

    @pytest.mark.parametrize("wrong", ["0" * 32, "x"])
    def test_a_wrong_api_key_never_works(self, vendors, wrong):
        with client_of(vendors, DATADOG_API_KEY=wrong) as client:
            with pytest.raises(ForbiddenException):
                AuthenticationApi(client).validate()
            with pytest.raises(ForbiddenException):
                search(client, "*")
            with pytest.raises(ForbiddenException):
                TestMetrics().submit(client, "test.a", 1)

    @pytest.mark.parametrize("wrong", ["0" * 40, "x"])
    def test_a_wrong_application_key_never_reads(self, vendors, wrong):
        with client_of(vendors, DATADOG_APP_KEY=wrong) as client:
            for call in (
                lambda: search(client, "*"),
                lambda: MonitorsApi(client).list_monitors(),
                lambda: DashboardsApi(client).list_dashboards(),
                lambda: TestMetrics().points(client, "avg:a{*}"),
            ):
                with pytest.raises(ForbiddenException):
                    call()

    @pytest.mark.parametrize("wrong", ["", "pub" + "0" * 32])
    def test_a_wrong_client_token_is_refused_by_both_intakes(self, vendors, wrong, marker):
        assert (
            send_rum(vendors, rum_event(vendors, "view", marker), **{"dd-api-key": wrong}).status_code == 403
        )
        url = vendors.env["DATADOG_INTAKE_URL"] + "/api/v2/logs"
        refused = 403 if wrong else 401
        assert httpx.post(url, params={"dd-api-key": wrong}, content=b"{}").status_code == refused
        assert httpx.post(url, headers={"DD-API-KEY": wrong}, json=[]).status_code == refused

    def test_limits_are_shown_and_kept(self, own_vendors):
        vendors = own_vendors(datadog_rate_limit=3, datadog_rate_period_s=3600)
        keys = {
            "DD-API-KEY": vendors.env["DATADOG_API_KEY"],
            "DD-APPLICATION-KEY": vendors.env["DATADOG_APP_KEY"],
        }
        url = vendors.env["DATADOG_API_URL"] + "/api/v2/rum/events"
        answers = [httpx.get(url, headers=keys) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0"]
        assert answers[3].json() == {"errors": ["Too many requests"]}
        assert 0 < int(answers[3].headers["x-ratelimit-reset"]) <= 3600
