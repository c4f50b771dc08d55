"""Sentry's own event schema judges what its SDKs sent and the pair shows back.

The schema is the one that Sentry publishes (getsentry/sentry-data-schemas, `relay/event.schema.json`), read
from the installed Bugsink, which ships it unchanged.
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import jsonschema
import pytest
import sentry_sdk

from stack.sentry.bugsink import VENV
from tests.stack.sentry.sdk import sdk
from tests.stack.sentry.test_ingest import envelope, error, send
from tests.stack.vendors.eventually import until


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft7Validator:
    (path,) = VENV.glob("lib/python3.*/site-packages/api/event.schema.json")
    described = json.loads(path.read_text())
    assert described["description"].strip() == "The sentry v7 event structure."
    return jsonschema.Draft7Validator(described)


def stored(sentry, event_id: str) -> dict[str, Any]:
    """Return an error's payload as Bugsink holds it, by Bugsink's own API."""
    inner = f"http://127.0.0.1:{sentry.config['ports']['bugsink']}/api/canonical/0/"
    from stack.sentry.variables import derive

    token = {
        "Authorization": "Bearer " + derive(sentry.config["secrets"]["sentry_seed"], "bugsink.token")[:40]
    }
    with httpx.Client(base_url=inner, headers=token, timeout=30) as client:
        asked: dict[str, str] = {"project": "1", "sort": "last_seen", "order": "desc"}
        for issue in client.get("issues/", params=asked).json()["results"]:
            for event in client.get("events/", params={"issue": issue["id"]}).json()["results"]:
                if event["event_id"].replace("-", "") == event_id:
                    return dict(client.get(f"events/{event['id']}/").json()["data"])
    raise AssertionError(f"Bugsink's own API does not show {event_id}")


def test_an_error_of_the_sdk_keeps_to_the_schema(sentry, schema, marker):
    with sdk(sentry, release="platform@1", environment="test", attach_stacktrace=True):
        sentry_sdk.set_user({"id": "u1"})
        sentry_sdk.set_tag("marker", marker)
        sentry_sdk.add_breadcrumb(message="before", category="test")
        try:
            raise KeyError(marker)
        except KeyError as problem:
            event_id = sentry_sdk.capture_exception(problem)
    payload = stored(sentry, str(event_id))
    assert [problem.message for problem in schema.iter_errors(payload)] == []
    assert payload["tags"]["marker"] == marker


def test_a_transaction_of_the_sdk_keeps_to_the_schema(sentry, schema, marker):
    with (
        sdk(sentry, traces_sample_rate=1.0),
        sentry_sdk.start_transaction(name=marker, op="test"),
        sentry_sdk.start_span(op="db", name="select"),
    ):
        pass
    kept = until(lambda: [one for one in sentry.kept("sentry.transaction") if one["transaction"] == marker])[
        0
    ]
    described = schema.schema["anyOf"][0]["properties"]
    assert set(kept) - set(described) <= {"spans", "start_timestamp", "transaction_info", "measurements"}
    assert [
        problem.message for problem in schema.iter_errors({k: v for k, v in kept.items() if k in described})
    ] == []


def test_what_breaks_the_schema_is_said_by_the_web_api(sentry, api, schema, marker):
    broken = error(marker, level="terrible", user="nobody")
    assert list(schema.iter_errors(broken))
    assert send(sentry, envelope(({"type": "event"}, broken), event_id=broken["event_id"])).status_code == 200
    shown = api.get(f"/projects/assay/platform/events/{broken['event_id']}/").json()
    assert {one["data"]["name"] for one in shown["errors"]} >= {"level"}
    right = error(marker)
    assert send(sentry, envelope(({"type": "event"}, right), event_id=right["event_id"])).status_code == 200
    assert api.get(f"/projects/assay/platform/events/{right['event_id']}/").json()["errors"] == []
