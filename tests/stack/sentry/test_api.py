"""The Web API: keys, issues, alert rules to a receiver, queries over errors."""

from __future__ import annotations

import json

import httpx
import pytest
import sentry_sdk

from tests.stack.sentry.sdk import sdk
from tests.stack.vendors.eventually import until
from tests.stack.vendors.receiver import Receiver

PROJECT = "/projects/assay/platform"


def raise_one(sentry, text: str, **tags: str) -> str:
    with sdk(sentry, environment="test"):
        for name, value in tags.items():
            sentry_sdk.set_tag(name, value)
        try:
            raise RuntimeError(text)
        except RuntimeError as error:
            event_id = sentry_sdk.capture_exception(error)
    assert event_id
    return event_id


@pytest.mark.parametrize("path", ["/", f"{PROJECT}/events/", "/organizations/assay/releases/", "/unknown/"])
@pytest.mark.parametrize("token", ["", "Bearer x", "Bearer sntryu_" + "0" * 64, "Basic eA=="])
def test_a_wrong_token_never_reads(sentry, path, token):
    headers = {"Authorization": token} if token else {}
    answer = httpx.get(sentry.env["SENTRY_URL"] + "/api/0" + path, headers=headers)
    assert answer.status_code == 401
    assert "detail" in answer.json()


def test_a_wrong_token_uploads_nothing(sentry):
    url = sentry.env["SENTRY_URL"] + "/api/0/organizations/assay/chunk-upload/"
    assert httpx.get(url, headers={"Authorization": "Bearer x"}).status_code == 401
    inner = f"http://127.0.0.1:{sentry.config['ports']['bugsink']}/recorder/events/"
    assert httpx.get(inner, headers={"Authorization": "Bearer x"}).status_code == 401


def test_another_organisation_or_project_is_404(api):
    assert api.get("/organizations/other/releases/").status_code == 404
    assert api.get("/projects/assay/other/events/").status_code == 404
    assert api.get("/nothing/here/").status_code == 404


def test_who_the_token_is(api):
    assert api.get("/").json()["user"]["id"] == "1"
    assert api.get("/organizations/").json()[0]["slug"] == "assay"
    assert api.get(f"{PROJECT}/keys/").json()[0]["dsn"]["public"].endswith("/1")


def test_an_issue_groups_is_resolved_and_deleted(sentry, api, marker):
    ids = {raise_one(sentry, marker, marker=marker) for _ in range(2)}
    (issue,) = api.get("/organizations/assay/issues/", params={"query": f"marker:{marker}"}).json()
    assert (issue["count"], issue["status"], issue["metadata"]["type"]) == ("2", "unresolved", "RuntimeError")
    path = f"/organizations/assay/issues/{issue['id']}/"
    assert {one["id"] for one in api.get(path + "events/").json()} == ids
    resolved = api.get(f"/organizations/assay/eventids/{min(ids)}/").json()
    assert resolved["groupId"] == issue["id"]
    assert api.put(path, json={"status": "resolved"}).json()["status"] == "resolved"
    query = {"query": f"is:unresolved marker:{marker}"}
    assert api.get("/organizations/assay/issues/", params=query).json() == []
    assert api.delete(path).status_code == 202
    assert until(lambda: api.get(path).status_code == 404)


def test_errors_are_queried(sentry, api, marker):
    event_id = raise_one(sentry, marker, marker=marker)
    asked = {
        "dataset": "errors",
        "field": ["title", "error.type", "environment"],
        "query": f"marker:{marker}",
    }
    answer = api.get("/organizations/assay/events/", params=asked)
    assert answer.headers["x-assay-engine"] == "bugsink"
    (row,) = answer.json()["data"]
    assert (row["id"], row["environment"]) == (event_id, "test")
    assert api.get("/organizations/assay/events/", params=asked | {"query": "a OR b"}).status_code == 400


def rule(name: str, **more):
    base = {
        "name": name,
        "actionMatch": "all",
        "filterMatch": "all",
        "frequency": 5,
        "conditions": [{"id": "sentry.rules.conditions.first_seen_event.FirstSeenEventCondition"}],
        "filters": [
            {
                "id": "sentry.rules.filters.tagged_event.TaggedEventFilter",
                "key": "marker",
                "match": "eq",
                "value": name,
            }
        ],
        "actions": [
            {
                "id": "sentry.rules.actions.notify_event_service.NotifyEventServiceAction",
                "service": "webhooks",
            }
        ],
    }
    return base | more


def test_an_alert_rule_tells_its_receiver_once_per_issue(sentry, api, marker):
    with Receiver() as receiver:
        assert (
            api.put(f"{PROJECT}/plugins/webhooks/", json={"urls": receiver.url + "/alert"}).status_code == 200
        )
        made = api.post(f"{PROJECT}/rules/", json=rule(marker))
        assert made.status_code == 201, made.text
        raise_one(sentry, "another one", marker="other")
        event_id = raise_one(sentry, marker, marker=marker)
        raise_one(sentry, marker, marker=marker)
        until(lambda: receiver.got)
        path, _, body = receiver.got[0]
        alert = json.loads(body)
        assert path == "/alert"
        assert alert["event"]["event_id"] == event_id
        assert alert["triggering_rules"] == [marker]
        assert alert["message"] == f"RuntimeError: {marker}"
        later = raise_one(sentry, marker + " again", marker=marker)
        until(lambda: len(receiver.got) == 2)
        assert json.loads(receiver.got[1][2])["event"]["event_id"] == later
        key = made.json()["id"]
        assert [one["id"] for one in api.get(f"{PROJECT}/rules/").json()] == [key]
        assert api.delete(f"{PROJECT}/rules/{key}/").status_code == 202
        assert api.get(f"{PROJECT}/rules/{key}/").status_code == 404
        assert api.delete(f"{PROJECT}/plugins/webhooks/").status_code == 204


@pytest.mark.parametrize(
    "spoilt",
    [{"name": None}, {"actions": []}, {"actionMatch": "some"}, {"conditions": [{"id": "no.such.Condition"}]}],
)
def test_a_rule_that_cannot_be_is_400(api, marker, spoilt):
    body = {key: value for key, value in (rule(marker) | spoilt).items() if value is not None}
    assert api.post(f"{PROJECT}/rules/", json=body).status_code == 400


def test_faults_are_switched_from_outside(sentry, api, marker):
    sentry.faults({"where": "sentry/ingest", "status": 503}, {"where": "sentry/api", "delay_ms": 1})
    assert httpx.post(f"{sentry.root}/api/1/envelope/", content=b"{}").status_code == 503
    sentry.faults({"where": "sentry/ingest", "lose": True})
    lost = raise_one(sentry, marker)
    assert api.get(f"{PROJECT}/events/{lost}/").status_code == 404
    sentry.faults()
    kept = raise_one(sentry, marker)
    assert api.get(f"{PROJECT}/events/{kept}/").status_code == 200
