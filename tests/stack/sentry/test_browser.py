"""@sentry/browser, unmodified, in Chromium: by the data source name on another origin, and through a tunnel."""

from __future__ import annotations

import pytest

from tests.stack.vendors.eventually import until


@pytest.mark.parametrize("tunnel", [False, True])
def test_an_error_and_a_transaction_of_the_browser_arrive(sentry, api, site, marker, tunnel):
    settings = {"dsn": sentry.env["SENTRY_DSN"], "marker": marker}
    if tunnel:
        settings["tunnel"] = f"{sentry.root}/api/1/envelope/"
    with site.visit("sentry", **settings) as page:
        assert page.evaluate("window.flushed") is True
        event_id = page.evaluate("window.eventId")
    event = api.get(f"/projects/assay/platform/events/{event_id}/").json()
    assert event["title"] == f"Error: boom {marker}"
    assert event["release"]["version"] == f"platform@{marker}"
    asked = {
        "dataset": "transactions",
        "field": ["transaction", "transaction.op"],
        "query": f"transaction:*{marker}",
    }
    rows = until(lambda: api.get("/organizations/assay/events/", params=asked).json()["data"])
    assert rows[0]["transaction.op"] == "task"
    sessions = {"field": "sum(session)", "query": f"release:platform@{marker}"}
    groups = until(lambda: api.get("/organizations/assay/sessions/", params=sessions).json()["groups"])
    assert groups[0]["totals"]["sum(session)"] >= 1


def test_a_wrong_key_is_refused_in_the_browser(sentry, api, site, marker):
    key = sentry.env["SENTRY_DSN"].split("//")[1].split("@")[0]
    with site.visit("sentry", dsn=sentry.env["SENTRY_DSN"].replace(key, "0" * 32), marker=marker) as page:
        page.evaluate("window.flushed")
        event_id = page.evaluate("window.eventId")
    assert api.get(f"/projects/assay/platform/events/{event_id}/").status_code == 404
