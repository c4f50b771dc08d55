"""Whatever is sent to an intake, a vendor answers by its own rules, and reading goes on: never 5xx, never cut."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.stack.vendors.running import Running
from tests.stack.vendors.test_ga4 import event, report
from tests.stack.vendors.test_mixpanel import basic, export, record

TEXT = st.one_of(st.text(), st.sampled_from(["\ud83d", "a\udc00b", "\ud83d\ude00", "\x00", "\x1b]0;x\x07"]))
VALUE = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=12,
)
BODY = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([b"[" * 100_000, b'{"a":1e400}', b"[NaN]", b"\xff\xfe{\x00}\x00", b'{"a":"\\ud83d"}']),
    VALUE.map(lambda value: json.dumps(value).encode()),
)
INTAKES = [
    ("GA4_COLLECT_URL", "/mp/collect", {}),
    ("GA4_COLLECT_URL", "/debug/mp/collect", {}),
    ("GA4_COLLECT_URL", "/g/collect", {}),
    ("MIXPANEL_API_URL", "/track", {}),
    ("MIXPANEL_API_URL", "/import", {"content-type": "application/x-ndjson"}),
    ("MIXPANEL_API_URL", "/import", {"content-type": "application/json"}),
    ("MIXPANEL_API_URL", "/engage", {}),
    ("MIXPANEL_API_URL", "/groups", {}),
    ("DATADOG_INTAKE_URL", "/api/v2/rum", {}),
    ("DATADOG_INTAKE_URL", "/api/v2/logs", {}),
    ("DATADOG_API_URL", "/api/v2/series", {}),
    ("DATADOG_API_URL", "/api/v1/series", {}),
    ("DATADOG_API_URL", "/api/v2/rum/events/search", {}),
    ("DATADOG_API_URL", "/api/v1/events", {}),
    ("DATADOG_API_URL", "/api/v1/monitor", {}),
    ("DATADOG_API_URL", "/api/v1/dashboard", {}),
    ("BUILDER_WRITE_URL", "/api/v1/write/page?triggerWebhooks=false", {}),
    ("BUILDER_API_URL", "/api/v1/track", {}),
]


def keys(vendors: Running) -> tuple[dict[str, str], dict[str, str]]:
    """Every vendor's keys at once: headers and query parameters."""
    env = vendors.env
    headers = {"dd-api-key": env["DATADOG_API_KEY"], "dd-application-key": env["DATADOG_APP_KEY"]}
    query = {
        "measurement_id": env["GA4_MEASUREMENT_ID"],
        "api_secret": env["GA4_API_SECRET"],
        "tid": env["GA4_MEASUREMENT_ID"],
    }
    return headers, query


@pytest.mark.parametrize(("host", "path", "more"), INTAKES, ids=lambda part: str(part))
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(body=BODY)
def test_any_body_is_answered_by_the_vendors_rules(
    vendors: Running, host: str, path: str, more: dict[str, str], body: bytes
) -> None:
    headers, query = keys(vendors)
    bearer = basic(vendors.env["MIXPANEL_API_SECRET"])
    if host.startswith("BUILDER"):
        bearer = {"Authorization": f"Bearer {vendors.env['BUILDER_PRIVATE_KEY']}"}
    url = httpx.URL(vendors.env[host] + path).copy_merge_params(query)
    answer = httpx.post(url, content=body, headers=headers | bearer | more)
    assert answer.status_code < 500, answer.text


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(value=VALUE, text=TEXT)
def test_what_was_taken_is_read_back_whole(vendors: Running, value: Any, text: str) -> None:
    """A value that no answer could be made of would hide everything kept beside it."""
    headers, query = keys(vendors)
    env = vendors.env

    def post(host: str, path: str, body: Any) -> httpx.Response:
        url = httpx.URL(env[host] + path).copy_merge_params(query)
        return httpx.post(url, content=json.dumps(body).encode(), headers=headers)

    view = {"id": "v", "url": text, "name": value}
    rum = {
        "type": "action",
        "date": int(time.time() * 1000),
        "session": {"id": "s"},
        "view": view,
        "context": value,
    }
    post("MIXPANEL_API_URL", "/track", record(vendors, "any", distinct_id=text, value=value))
    post("GA4_COLLECT_URL", "/mp/collect", event("any", page_title=text))
    post("DATADOG_INTAKE_URL", "/api/v2/rum", rum | {"application": {"id": env["DATADOG_APPLICATION_ID"]}})
    post("DATADOG_INTAKE_URL", "/api/v2/logs", {"message": text, "value": value})
    assert export(vendors).status_code == 200
    titles = report(vendors, dimensions=[{"name": "unifiedScreenName"}], metrics=[{"name": "eventCount"}])
    assert titles.status_code == 200
    for what in ("rum", "logs"):
        found = httpx.get(f"{env['DATADOG_API_URL']}/api/v2/{what}/events", headers=headers)
        assert found.status_code == 200, found.text
