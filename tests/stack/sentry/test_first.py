"""An error of the real Python SDK goes in and is read back through Sentry's Web API, from Bugsink."""

from __future__ import annotations

import sentry_sdk

from tests.stack.sentry.sdk import sdk


def test_error_of_the_sdk_is_read_back(sentry, api, marker):
    with sdk(sentry, release="platform@1.2.3", environment="test"):
        sentry_sdk.set_tag("marker", marker)
        sentry_sdk.set_user({"id": "u1"})
        try:
            raise ValueError(f"boom {marker}")
        except ValueError as error:
            event_id = sentry_sdk.capture_exception(error)
    answer = api.get(f"/projects/assay/platform/events/{event_id}/")
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-assay-engine"] == "bugsink"
    event = answer.json()
    assert event["title"] == f"ValueError: boom {marker}"
    assert {"key": "marker", "value": marker} in event["tags"]
    assert event["release"]["version"] == "platform@1.2.3"
    frames = event["entries"][0]["data"]["values"][0]["stacktrace"]["frames"]
    assert frames[-1]["function"] == "test_error_of_the_sdk_is_read_back"
    listed = api.get("/projects/assay/platform/events/").json()
    assert event_id in [one["id"] for one in listed]
    issues = api.get(
        "/organizations/assay/issues/", params={"query": f"is:unresolved marker:{marker}"}
    ).json()
    assert [issue["title"] for issue in issues] == [f"ValueError: boom {marker}"]
