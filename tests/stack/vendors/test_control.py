"""What an operator sees and switches, and what a restart keeps."""

from __future__ import annotations

import json

import httpx
import pytest

from stack.vendors.variables import variables
from tests.stack.vendors.eventually import until
from tests.stack.vendors.test_builder import names, publish, read
from tests.stack.vendors.test_ga4 import collect, count, event


def test_variables_are_kept_by_their_seed_and_differ_between_stacks():
    first: dict[str, str] = {}
    second: dict[str, str] = {}
    one, two = variables(1, first), variables(1, second)
    assert variables(1, first) == one
    keys = [name for name in one if not name.endswith("_URL")]
    assert all(one[name] != two[name] for name in keys)
    assert all(one[name] == two[name] for name in one if name.endswith("_URL"))


@pytest.mark.parametrize("path", ["/state", "/state/ga4.event", "/faults"])
def test_control_needs_its_token(vendors, path):
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eA=="}):
        assert httpx.get(f"{vendors.root}/__control{path}", headers=headers).status_code == 401


def test_every_answer_says_that_a_stand_in_gave_it(vendors):
    assert read(vendors).headers["x-assay-engine"] == "stand-in"


def test_faults(own_vendors, marker):
    vendors = own_vendors(ga4_delay_ms=0, builder_delay_ms=0)
    vendors.faults({"where": "builder/cdn", "status": 503, "headers": {"Retry-After": "1"}, "times": 1})
    refused = read(vendors)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert read(vendors).status_code == 200
    vendors.faults({"where": "builder", "path": "/api/v3", "status": 502, "body": "<html>bad gateway</html>"})
    assert read(vendors).headers["content-type"].startswith("text/html")
    vendors.faults({"where": "ga4/collect", "lose": True})
    assert collect(vendors, event(marker)).status_code == 204
    vendors.faults()
    collect(vendors, event(f"{marker}_kept"))
    assert count(vendors, f"{marker}_kept") == 1
    assert count(vendors, marker) == 0
    vendors.faults({"where": "*", "cut": True, "methods": ["GET"]})
    with pytest.raises(httpx.TransportError):
        read(vendors)
    vendors.faults({"where": "ga4/data", "hang": True})
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{vendors.env['GA4_DATA_URL']}/v1beta/properties/1:runReport", timeout=0.3)
    assert read(vendors).status_code == 200


@pytest.mark.parametrize(
    "rules", [[{"status": 500}], [{"where": "x", "explode": True}], {"where": "x"}, None]
)
def test_a_fault_that_is_not_understood_is_400(vendors, rules):
    assert vendors.control("POST", "/faults", json={"rules": rules}).status_code == 400


def test_a_restart_keeps_what_was_acknowledged(own_vendors, marker):
    vendors = own_vendors(ga4_delay_ms=0)
    publish(vendors, marker, data={"m": marker})
    collect(vendors, event(marker))
    assert vendors.stop() == 0
    vendors.start()
    assert names(read(vendors, **{"query.data.m": marker})) == [marker]
    assert until(lambda: count(vendors, marker)) == 1


def test_browsers_of_any_origin_may_send(vendors):
    asked = {
        "Origin": "http://example.test",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    env = vendors.env
    for url in (
        env["BUILDER_API_URL"] + "/api/v3/content/page",
        env["DATADOG_INTAKE_URL"] + "/api/v2/rum",
        env["GA4_COLLECT_URL"] + "/g/collect",
        env["MIXPANEL_API_URL"] + "/track",
    ):
        answer = httpx.options(url, headers=asked)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] in ("*", "http://example.test")
    for url in (env["DATADOG_API_URL"] + "/api/v1/query", env["MIXPANEL_DATA_URL"] + "/api/2.0/export"):
        assert "access-control-allow-origin" not in httpx.options(url, headers=asked).headers


def test_state_shows_what_is_kept(vendors, marker):
    publish(vendors, marker)
    state = vendors.control("GET", "/state").json()
    assert state["counts"]["builder.entry"] >= 1
    assert marker in json.dumps(vendors.kept("builder.entry"))
