"""Mixpanel's stand-in, held to the official Python client and to the API reference's answers."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import jsonschema
import mixpanel
import pytest

from tests.stack.vendors.eventually import until
from tests.stack.vendors.mixpanel_answers import ANSWERS
from tests.stack.vendors.running import Running


def client_of(vendors: Running, token: str | None = None, **given: Any) -> mixpanel.Mixpanel:
    api = vendors.env["MIXPANEL_API_URL"]
    urls = {f"{name}_url": f"{api}/{path}" for name, path in
            {"events": "track", "people": "engage", "groups": "groups", "import": "import"}.items()}  # fmt: skip
    consumer = mixpanel.Consumer(**urls, retry_limit=0, **given)
    return mixpanel.Mixpanel(token or vendors.env["MIXPANEL_TOKEN"], consumer)


def basic(name: str, password: str = "") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def export(vendors: Running, headers: dict[str, str] | None = None, **narrow: Any) -> httpx.Response:
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    return httpx.get(
        vendors.env["MIXPANEL_DATA_URL"] + "/api/2.0/export",
        params={"from_date": "2026-01-01", "to_date": today, **narrow},
        headers=basic(vendors.env["MIXPANEL_API_SECRET"]) if headers is None else headers,
    )


def events(vendors: Running, name: str) -> list[dict[str, Any]]:
    answer = export(vendors, event=json.dumps([name]))
    assert answer.status_code == 200, answer.text
    return [json.loads(line)["properties"] for line in answer.text.splitlines()]


def record(vendors: Running, name: str, **more: Any) -> dict[str, Any]:
    properties = {
        "token": vendors.env["MIXPANEL_TOKEN"],
        "distinct_id": "u",
        "time": int(time.time()),
        "$insert_id": "a-1",
    }
    return {"event": name, "properties": properties | more}


def described(kind: str, answer: Any) -> Any:
    """Return the answer, which must have the form that Mixpanel's OpenAPI description gives it."""
    jsonschema.validate(answer, ANSWERS[kind])
    return answer


def send_import(vendors: Running, batch: Any, secret: str | None = None, **asked: Any) -> httpx.Response:
    headers = basic(vendors.env["MIXPANEL_API_SECRET"] if secret is None else secret)
    return httpx.post(
        vendors.env["MIXPANEL_API_URL"] + "/import",
        params={"strict": "1", "project_id": vendors.env["MIXPANEL_PROJECT_ID"], **asked},
        headers=headers,
        json=batch,
    )


class TestClient:
    def test_tracked_events_are_exported(self, vendors, marker):
        client_of(vendors).track("u1", marker, {"price": 3})
        (found,) = until(lambda: events(vendors, marker))
        assert (found["distinct_id"], found["price"], found["mp_lib"]) == ("u1", 3, "python")
        assert "token" not in found

    def test_a_buffer_is_flushed_as_one_batch(self, vendors, marker):
        api = vendors.env["MIXPANEL_API_URL"]
        buffered = mixpanel.BufferedConsumer(events_url=api + "/track")
        client = mixpanel.Mixpanel(vendors.env["MIXPANEL_TOKEN"], buffered)
        for number in range(7):
            client.track("u1", marker, {"n": number})
        buffered.flush()
        until(lambda: len(events(vendors, marker)) == 7)

    def test_an_old_event_is_imported(self, vendors, marker):
        service = mixpanel.ServiceAccountCredentials(
            "account", vendors.env["MIXPANEL_API_SECRET"], vendors.env["MIXPANEL_PROJECT_ID"]
        )
        client = client_of(vendors, credentials=service)
        client.import_data(None, "u1", marker, int(time.time()) - 20 * 86_400)
        until(lambda: len(events(vendors, marker)) == 1)

    def test_profiles_are_changed_and_deleted(self, vendors, marker):
        client = client_of(vendors)
        client.people_set(marker, {"plan": "gold", "visits": 1})
        client.people_set_once(marker, {"plan": "lead", "first": True})
        client.people_increment(marker, {"visits": 2})
        client.people_append(marker, {"pages": "a"})
        client.people_union(marker, {"pages": ["a", "b"]})
        client.people_unset(marker, ["first"])
        url = vendors.env["MIXPANEL_APP_URL"] + "/api/query/engage"

        def profile() -> dict[str, Any] | None:
            answer = httpx.post(
                url, headers=basic(vendors.env["MIXPANEL_API_SECRET"]), data={"distinct_id": marker}
            )
            found = described("profiles", answer.json())["results"]
            return found[0]["$properties"] if found else None

        found = profile()
        assert found is not None
        found.pop("$last_seen")
        assert found == {"plan": "gold", "visits": 3, "pages": ["a", "b"]}
        client.people_delete(marker)
        assert profile() is None

    def test_a_group_is_kept(self, vendors, marker):
        client_of(vendors).group_set("company", marker, {"size": 3})
        assert [one for one in vendors.kept("mixpanel.group") if one["$group_id"] == marker]


class TestTrack:
    def post(self, vendors: Running, body: Any, **asked: Any) -> httpx.Response:
        given = {"content": body} if isinstance(body, bytes) else {"json": body}
        return httpx.post(vendors.env["MIXPANEL_API_URL"] + "/track", params=asked, **given)

    @pytest.mark.parametrize(
        ("spoilt", "error"),
        [
            ({"event": ""}, "event, missing or empty"),
            ({"properties": None}, "properties, missing or empty"),
            ({"properties": {"distinct_id": "u"}}, "token, missing or empty"),
        ],
    )
    def test_a_malformed_event_is_0_or_says_why(self, vendors, marker, spoilt, error):
        bad = record(vendors, marker) | spoilt
        assert self.post(vendors, [bad]).text == "0"
        answer = self.post(vendors, [bad], verbose=1)
        assert answer.status_code == 200
        assert described("verbose", answer.json()) == {"status": 0, "error": error}

    def test_one_valid_event_among_others_makes_it_1_and_is_kept_alone(self, vendors, marker):
        bad = record(vendors, marker) | {"event": ""}
        assert self.post(vendors, [bad, record(vendors, marker)]).text == "1"
        until(lambda: len(events(vendors, marker)) == 1)

    def test_what_is_not_json_is_0(self, vendors):
        assert self.post(vendors, b"data=%7B").text == "0"
        assert self.post(vendors, record(vendors, "x")).text == "1"

    def test_an_event_older_than_five_days_is_1_and_never_exported(self, vendors, marker):
        old = record(vendors, marker, time=int(time.time()) - 6 * 86_400)
        assert self.post(vendors, [old, record(vendors, marker)]).text == "1"
        until(lambda: events(vendors, marker))
        assert len(events(vendors, marker)) == 1

    def test_a_repeated_insert_id_is_one_event(self, vendors, marker):
        one = record(vendors, marker, **{"$insert_id": marker})
        assert self.post(vendors, [one, one]).text == "1"
        assert self.post(vendors, [one]).text == "1"
        until(lambda: events(vendors, marker))
        assert len(events(vendors, marker)) == 1

    def test_base64_in_the_query_is_read(self, vendors, marker):
        data = base64.b64encode(json.dumps(record(vendors, marker)).encode()).decode()
        answer = httpx.get(vendors.env["MIXPANEL_API_URL"] + "/track/", params={"data": data})
        assert answer.text == "1"
        until(lambda: events(vendors, marker))

    def test_a_slow_index_exports_nothing_yet(self, own_vendors, marker):
        slow = own_vendors(mixpanel_delay_ms=3_600_000)
        assert self.post(slow, record(slow, marker)).text == "1"
        assert events(slow, marker) == []


class TestImport:
    @pytest.mark.parametrize(
        ("more", "field"),
        [
            ({"time": None}, "properties.time"),
            ({"time": "yesterday"}, "properties.time"),
            ({"time": 1}, "properties.time"),
            ({"$insert_id": ""}, "properties.$insert_id"),
            ({"$insert_id": "x" * 37}, "properties.$insert_id"),
            ({"distinct_id": "anonymous"}, "properties.distinct_id"),
            ({"$insert_id": "undefined"}, "properties.$insert_id"),
        ],
    )
    def test_strict_says_which_record_is_wrong_and_keeps_the_rest(self, vendors, marker, more, field):
        batch = [record(vendors, marker), record(vendors, marker, **more)]
        answer = send_import(vendors, batch)
        body = described("import refused", answer.json())
        assert (answer.status_code, body["code"], body["num_records_imported"]) == (400, 400, 1)
        assert [(one["index"], one["field"]) for one in body["failed_records"]] == [(1, field)]
        until(lambda: len(events(vendors, marker)) == 1)

    def test_without_strict_the_wrong_are_dropped(self, vendors, marker):
        batch = [record(vendors, marker), record(vendors, marker, time=None)]
        answer = send_import(vendors, batch, strict="0")
        assert described("import", answer.json())["num_records_imported"] == 1

    def test_limits(self, vendors):
        answer = send_import(vendors, [{}] * 2001)
        assert answer.status_code == 413
        described("refused", answer.json())

    @pytest.mark.parametrize(
        "more",
        [
            pytest.param({"text": "x" * 1_048_576}, id="1 MB"),
            pytest.param({f"p{n}": n for n in range(251)}, id="255 properties"),
            pytest.param({"nested": {f"k{n}": n for n in range(255)}}, id="255 keys"),
            pytest.param({"list": list(range(255))}, id="255 elements"),
            pytest.param({"a": {"b": {"c": {"d": {"e": 1}}}}}, id="four deep"),
        ],
    )
    def test_an_event_beyond_a_limit_of_size_is_refused_and_not_kept(self, vendors, marker, more):
        refused = send_import(
            vendors, [record(vendors, marker, **more), record(vendors, marker, **{"$insert_id": "b"})]
        )
        assert refused.status_code == 400
        assert [(one["index"], one["field"]) for one in refused.json()["failed_records"]] == [
            (0, "properties")
        ]
        tracked = httpx.post(
            vendors.env["MIXPANEL_API_URL"] + "/track", json=[record(vendors, marker, **more)]
        )
        assert tracked.status_code == 200
        found = until(lambda: events(vendors, marker))
        assert [one["$insert_id"] for one in found] == ["b"]

    def test_lines_of_json_are_taken_and_long_texts_cut(self, vendors, marker):
        lines = "\n".join(
            json.dumps(record(vendors, marker, **{"$insert_id": f"i{n}", "long": "x" * 300}))
            for n in range(3)
        )
        answer = httpx.post(
            vendors.env["MIXPANEL_API_URL"] + "/import",
            content=lines.encode(),
            headers=basic(vendors.env["MIXPANEL_API_SECRET"]) | {"Content-Type": "application/x-ndjson"},
        )
        assert described("import", answer.json())["num_records_imported"] == 3
        found = until(lambda: (f := events(vendors, marker)) and len(f) == 3 and f)
        assert {len(one["long"]) for one in found} == {255}


class TestExport:
    def test_a_reader_who_asks_too_often_is_refused(self, own_vendors):
        vendors = own_vendors()
        answers = [export(vendors).status_code for _ in range(61)]
        assert answers[0] == 200
        assert 429 in answers, "three queries a second, sixty an hour"

    def test_where_narrows(self, vendors, marker):
        batch = [record(vendors, marker, colour=c, **{"$insert_id": c}) for c in ("red", "blue")]
        assert send_import(vendors, batch).status_code == 200
        until(lambda: len(events(vendors, marker)) == 2)
        narrow = {"event": json.dumps([marker]), "where": 'properties["colour"] == "red"'}
        lines = export(vendors, **narrow).text.splitlines()
        assert [json.loads(line)["properties"]["colour"] for line in lines] == ["red"]

    @pytest.mark.parametrize(
        "asked", [{"from_date": "soon"}, {"where": "drop table"}, {"event": "["}, {"limit": 100_001}]
    )
    def test_a_wrong_request_is_400(self, vendors, asked):
        assert export(vendors, **asked).status_code == 400


class TestDeletion:
    def test_a_person_is_deleted(self, vendors, marker):
        client = client_of(vendors)
        client.track(marker, marker)
        client.track("other", marker)
        client.people_set(marker, {"plan": "gold"})
        until(lambda: len(events(vendors, marker)) == 2)
        url = vendors.env["MIXPANEL_APP_URL"] + "/api/app/data-deletions/v3.0/"
        asked = {"token": vendors.env["MIXPANEL_TOKEN"]}
        right = {"Authorization": "Bearer " + vendors.env["MIXPANEL_GDPR_TOKEN"]}
        body = {"distinct_ids": [marker], "compliance_type": "GDPR"}
        for wrong in ("x", vendors.env["MIXPANEL_API_SECRET"]):
            refused = httpx.post(url, params=asked, headers={"Authorization": f"Bearer {wrong}"}, json=body)
            assert refused.status_code == 401
        assert httpx.post(url, params={"token": "x"}, headers=right, json=body).status_code == 403
        assert httpx.post(url, params=asked, headers=right, json={}).status_code == 400
        made = httpx.post(url, params=asked, headers=right, json=body)
        assert made.status_code == 201
        task = described("deletion asked", made.json())["results"]["task_id"]

        def done() -> bool:
            answer = described("deletion", httpx.get(url + task, params=asked, headers=right).json())
            return bool(answer["results"]["status"] == "SUCCESS")

        until(done)
        assert [one["distinct_id"] for one in events(vendors, marker)] == ["other"]
        assert [one for one in vendors.kept("mixpanel.profile") if one["$distinct_id"] == marker] == []


class TestKeys:
    @pytest.mark.parametrize("wrong", ["0" * 32, "x"])
    def test_a_wrong_token_is_told_to_nobody_and_shows_nothing(self, vendors, marker, wrong):
        """As the vendor does: 1 "does not signify a valid project token"; only reading back tells."""
        client = client_of(vendors, token=wrong)
        client.track("u", marker)
        client.people_set(marker, {"a": 1})
        client.group_set("company", marker, {"a": 1})
        client_of(vendors).track("u", marker + "right")
        until(lambda: events(vendors, marker + "right"))
        assert events(vendors, marker) == []
        assert marker not in str(vendors.kept("mixpanel.profile") + vendors.kept("mixpanel.group"))

    @pytest.mark.parametrize("wrong", ["", "0" * 32])
    def test_a_wrong_secret_imports_and_exports_nothing(self, vendors, marker, wrong):
        refused = send_import(vendors, [record(vendors, marker)], secret=wrong)
        assert (refused.status_code, described("refused", refused.json())["code"]) == (401, 401)
        assert export(vendors, headers=basic(wrong)).status_code == 401
        assert export(vendors, headers={}).status_code == 401
        url = vendors.env["MIXPANEL_APP_URL"] + "/api/query/engage"
        assert httpx.post(url, headers=basic(wrong)).status_code == 401

    def test_the_token_imports_and_reads_nothing(self, vendors, marker):
        token = vendors.env["MIXPANEL_TOKEN"]
        assert send_import(vendors, [record(vendors, marker)], secret=token).status_code == 200
        assert export(vendors, headers=basic(token)).status_code == 401

    def test_another_project_is_403(self, vendors, marker):
        assert send_import(vendors, [record(vendors, marker)], project_id="1").status_code == 403
