"""Builder.io's stand-in: content, targeting, caching, writing, webhooks, keys."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from stack.vendors.builder import Builder
from stack.vendors.store import Store
from stack.vendors.variables import variables
from tests.stack.vendors.eventually import until
from tests.stack.vendors.receiver import Receiver
from tests.stack.vendors.running import Running


def test_the_newer_of_two_entries_goes_first_within_a_millisecond_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock may also step back; else a page for mobile visitors would stay behind the one for all."""
    clock = iter([1_700_000_000_000] * 2 + [1_699_999_999_000])
    monkeypatch.setattr("stack.vendors.builder.now_ms", lambda: next(clock, 1_700_000_001_000))
    env = variables(1, {})
    builder = Builder(Store(tmp_path / "builder.sqlite3"), env, {})
    app = Starlette(routes=[*builder.routes_api(), *builder.routes_cdn()])

    async def served() -> list[str]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://builder") as http:
            for name in ("general", "mobile", "members"):
                await http.post(
                    "/api/v1/write/page?triggerWebhooks=false",
                    headers={"Authorization": f"Bearer {env['BUILDER_PRIVATE_KEY']}"},
                    json={"name": name, "published": "published"},
                )
            found = await http.get("/api/v3/content/page", params={"apiKey": env["BUILDER_PUBLIC_KEY"]})
            return [entry["name"] for entry in found.json()["results"]]

    assert asyncio.run(served()) == ["members", "mobile", "general"]


def write(vendors: Running, method: str = "POST", path: str = "page", key: str | None = None, **body: Any):
    key = vendors.env["BUILDER_PRIVATE_KEY"] if key is None else key
    token = {"Authorization": f"Bearer {key}"} if key else {}
    url = f"{vendors.env['BUILDER_WRITE_URL']}/api/v1/write/{path}"
    return httpx.request(method, url, headers=token, json=body if method != "DELETE" else None)


def read(vendors: Running, path: str = "page", key: str | None = None, **parameters: Any) -> httpx.Response:
    asked = {"apiKey": vendors.env["BUILDER_PUBLIC_KEY"] if key is None else key, **parameters}
    return httpx.get(f"{vendors.env['BUILDER_API_URL']}/api/v3/content/{path}", params=asked)


def names(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return sorted(entry["name"] for entry in answer.json()["results"])


def publish(vendors: Running, name: str, **more: Any) -> dict[str, Any]:
    body = {"name": name, "published": "published", **more}
    answer = write(vendors, **body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.fixture(scope="module")
def shelf(vendors):
    shelf = f"shelf-{secrets.token_hex(6)}"  # digits alone would be asked for as a number
    for number in range(5):
        publish(
            vendors,
            f"b{number}",
            data={
                "shelf": shelf,
                "price": number * 10,
                "tags": ["odd" if number % 2 else "even", "all"],
                "author": {"name": f"Author {number}"},
                **({"note": "x"} if number == 3 else {}),
            },
        )
    return shelf


class TestQueries:
    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"query.data.price": 10}, ["b1"]),
            ({"query.data.price.$gt": 20}, ["b3", "b4"]),
            ({"query.data.price.$gte": 10, "query.data.price.$lt": 30}, ["b1", "b2"]),
            ({"query.data.price.$in": "[0,40]"}, ["b0", "b4"]),
            ({"query.data.price.$nin": "[0,40]"}, ["b1", "b2", "b3"]),
            ({"query.data.price.$ne": 20}, ["b0", "b1", "b3", "b4"]),
            ({"query.data.tags": "odd"}, ["b1", "b3"]),
            ({"query.data.note.$exists": "true"}, ["b3"]),
            ({"query.data.author.name.$regex": "^author 2", "query.data.author.name.$options": "i"}, ["b2"]),
            ({"query.$or": '[{"data.price":0},{"data.price":40}]'}, ["b0", "b4"]),
            ({"query.$and": '[{"data.price":{"$gt":0}},{"data.tags":"even"}]'}, ["b2", "b4"]),
            ({"query": '{"data.price":{"$not":{"$gt":10}}}'}, ["b0", "b1"]),
            ({"query.data.tags.$elemMatch": '{"$eq":"odd"}'}, ["b1", "b3"]),
            ({"query.data.price.$type": "string"}, []),
        ],
    )
    def test_operators(self, vendors, shelf, query, found):
        assert names(read(vendors, **{"query.data.shelf": json.dumps(shelf)}, **query)) == found

    def test_limit_offset_sort_and_total(self, vendors, shelf):
        asked = {"query.data.shelf": shelf, "sort.data.price": -1, "fetchTotalCount": "true"}
        answer = read(vendors, **asked, limit=2, offset=1).json()
        assert [entry["name"] for entry in answer["results"]] == ["b3", "b2"]
        assert answer["totalCount"] == 5

    def test_fields_and_omit(self, vendors, shelf):
        (kept,) = read(
            vendors, **{"query.data.shelf": shelf, "query.data.price": 0, "fields": "data.price,name"}
        ).json()["results"]
        assert set(kept) == {"id", "name", "data"}
        assert kept["data"] == {"price": 0}
        (rest,) = read(
            vendors, **{"query.data.shelf": shelf, "query.data.price": 0, "omit": "data.price"}
        ).json()["results"]
        assert "price" not in rest["data"]

    @pytest.mark.parametrize(
        "query", [{"query.data.a.$magic": "1"}, {"limit": "many"}, {"query": "[1]"}, {"limit": -1}]
    )
    def test_a_broken_query_is_400(self, vendors, query):
        assert read(vendors, **query).status_code == 400


class TestTargeting:
    def rule(self, value: Any, name: str = "urlPath", operator: str = "is") -> dict[str, Any]:
        return {"@type": "@builder.io/core:Query", "property": name, "operator": operator, "value": value}

    def test_an_entry_is_for_its_visitors_alone(self, vendors, marker):
        path = f"/{marker}"
        publish(vendors, "page", query=[self.rule(path)])
        publish(vendors, "phone", query=[self.rule(path), self.rule(["mobile", "tablet"], "device")])
        publish(vendors, "below", query=[self.rule(path, operator="startsWith")])
        shown = read(vendors, userAttributes=json.dumps({"urlPath": path}))
        assert {"page", "below"} <= set(names(shown))
        assert "phone" not in names(shown)
        assert "phone" in names(
            read(vendors, **{"userAttributes.urlPath": path, "userAttributes.device": "tablet"})
        )
        assert "page" not in names(read(vendors, userAttributes=json.dumps({"urlPath": path + "/x"})))
        assert "page" not in names(read(vendors))


class TestStates:
    def test_a_draft_is_not_public(self, vendors, marker):
        draft = write(vendors, name=marker, data={"m": marker}).json()
        assert names(read(vendors, **{"query.data.m": marker})) == []
        assert read(vendors, f"page/{draft['id']}").status_code == 404
        assert names(read(vendors, **{"query.data.m": marker, "includeUnpublished": "true"})) == [marker]

    def test_schedules_are_kept(self, vendors, marker):
        later = int(time.time() * 1000) + 3_600_000
        publish(vendors, "later", data={"m": marker}, startDate=later)
        publish(vendors, "over", data={"m": marker}, endDate=later - 7_200_000)
        publish(vendors, "now", data={"m": marker}, startDate=later - 7_200_000, endDate=later)
        assert names(read(vendors, **{"query.data.m": marker})) == ["now"]

    def test_patch_merges_put_replaces_delete_deletes(self, vendors, marker):
        made = publish(vendors, marker, data={"a": 1, "b": 2})
        path = f"page/{made['id']}"
        patched = write(vendors, "PATCH", path, data={"b": 3}).json()
        assert (patched["data"], patched["name"]) == ({"a": 1, "b": 3}, marker)
        assert patched["lastUpdated"] > made["lastUpdated"]
        replaced = write(vendors, "PUT", path, name="new", published="published", data={"c": 4}).json()
        assert (replaced["id"], replaced["data"]) == (made["id"], {"c": 4})
        assert write(vendors, "DELETE", path).status_code == 200
        assert write(vendors, "DELETE", path).status_code == 404
        assert read(vendors, path, cachebust="true").status_code == 404

    @pytest.mark.parametrize("body", [{"published": "soon"}, {"data": []}, {"data": {"blocks": {}}}])
    def test_what_cannot_be_is_400(self, vendors, body):
        assert write(vendors, **body).status_code == 400

    def test_an_unknown_model_is_404(self, vendors):
        assert read(vendors, "nothing").status_code == 404
        assert write(vendors, path="nothing").status_code == 404


class TestCache:
    def test_headers_follow_the_parameters(self, vendors):
        assert (
            read(vendors, cacheSeconds=5, staleCacheSeconds=60)
            .headers["cache-control"]
            .startswith("public, max-age=5, stale-while-revalidate=60")
        )
        assert "no-store" in read(vendors, cachebust="true").headers["cache-control"]

    def test_the_old_copy_is_served_until_it_is_refreshed(self, own_vendors, marker):
        vendors = own_vendors(builder_delay_ms=3_600_000)
        made = publish(vendors, "old", data={"m": marker})
        asked = {"query.data.m": marker}
        assert names(read(vendors, **asked)) == ["old"]
        write(vendors, "PATCH", f"page/{made['id']}", name="new")
        assert names(read(vendors, **asked)) == ["old"]
        assert names(read(vendors, **asked, cachebust="true")) == ["new"]
        assert names(read(vendors, **asked, limit=7)) == ["new"]  # another address, another copy

    def test_the_new_copy_comes_by_itself(self, vendors, marker):
        made = publish(vendors, "old", data={"m": marker})
        asked = {"query.data.m": marker}
        assert names(read(vendors, **asked)) == ["old"]
        write(vendors, "PATCH", f"page/{made['id']}", name="new")
        until(lambda: names(read(vendors, **asked)) == ["new"])


class TestWebhooks:
    def test_changes_are_told_signed(self, own_vendors):
        with Receiver() as receiver:
            vendors = own_vendors(platform=receiver.url)
            made = publish(vendors, "one")
            until(lambda: len(receiver.got) == 1)
            write(vendors, "PATCH", f"page/{made['id']}", published="draft")
            until(lambda: len(receiver.got) == 2)
            write(vendors, "PATCH", f"page/{made['id']}", published="archived")
            until(lambda: len(receiver.got) == 3)
            write(vendors, "DELETE", f"page/{made['id']}")
            until(lambda: len(receiver.got) == 4)
        hooks = [json.loads(body) for _, _, body in receiver.got]
        assert [one["operation"] for one in hooks] == ["publish", "unpublish", "archive", "delete"]
        assert [one["modelName"] for one in hooks] == ["page"] * 4
        assert hooks[0]["previousValue"] is None
        assert hooks[3]["newValue"] is None
        for path, headers, body in receiver.got:
            assert path == "/api/content/webhook"
            at, _, digest = headers["x-builder-signature"].removeprefix("t=").partition(",v1=")
            secret = vendors.env["BUILDER_WEBHOOK_SECRET"].encode()
            assert hmac.new(secret, f"{at}.".encode() + body, hashlib.sha256).hexdigest() == digest
            assert secret.decode() not in str(headers)

    def test_a_receiver_that_fails_is_told_again(self, own_vendors):
        with Receiver([500, 503]) as receiver:
            vendors = own_vendors(platform=receiver.url, builder_webhook_pauses=[0.01, 0.01, 0.01])
            publish(vendors, "one")
            until(lambda: len(receiver.got) == 3)
            delivery = until(lambda: [one for one in vendors.kept("builder.delivery") if one["delivered"]])[0]
        assert [attempt["status"] for attempt in delivery["attempts"]] == [500, 503, 200]

    def test_builder_alone_sends_its_custom_header(self, own_vendors):
        with Receiver() as receiver:
            vendors = own_vendors(platform=receiver.url, builder_webhook_form="header")
            publish(vendors, "one")
            until(lambda: receiver.got)
        headers = receiver.got[0][1]
        assert headers["x-builder-webhook-secret"] == vendors.env["BUILDER_WEBHOOK_SECRET"]
        assert "x-builder-signature" not in headers

    def test_triggering_can_be_declined(self, own_vendors, marker):
        with Receiver() as receiver:
            vendors = own_vendors(platform=receiver.url)
            url = vendors.env["BUILDER_WRITE_URL"] + "/api/v1/write/page?triggerWebhooks=false"
            token = {"Authorization": "Bearer " + vendors.env["BUILDER_PRIVATE_KEY"]}
            assert httpx.post(url, headers=token, json={"published": "published"}).status_code == 200
            publish(vendors, marker)
            until(lambda: receiver.got)
        assert [json.loads(body)["newValue"]["name"] for _, _, body in receiver.got] == [marker]


def admin(vendors: Running, query: str, key: str | None = None, **variables: Any) -> httpx.Response:
    token = {"Authorization": f"Bearer {vendors.env['BUILDER_PRIVATE_KEY'] if key is None else key}"}
    url = vendors.env["BUILDER_WRITE_URL"] + "/api/v2/admin"
    return httpx.post(url, headers=token, json={"query": query, "variables": variables})


class TestModels:
    ADD = "mutation ($body: JSONObject!) { addModel(body: $body) { id name kind } }"

    def test_a_model_is_made_used_changed_and_deleted(self, vendors, marker):
        body = {"name": marker, "kind": "data", "fields": [{"name": "title", "type": "text"}]}
        made = admin(vendors, self.ADD, body=body).json()["data"]["addModel"]
        assert (made["name"], made["kind"]) == (marker, "data")
        assert marker in [
            one["name"] for one in admin(vendors, "{ models { name } }").json()["data"]["models"]
        ]
        assert write(vendors, path=marker, name="x", published="published").status_code == 200
        assert names(read(vendors, marker)) == ["x"]
        assert names(read(vendors)) != ["x"]
        update = "mutation ($id: String!) { updateModel(body: {id: $id, data: {hidden: true}}) { hidden } }"
        assert admin(vendors, update, id=made["id"]).json()["data"]["updateModel"] == {"hidden": True}
        delete = "mutation ($id: String!) { deleteModel(id: $id) { id } }"
        assert admin(vendors, delete, id=made["id"]).json()["data"]["deleteModel"]["id"] == made["id"]
        assert read(vendors, marker).status_code == 404

    def test_what_cannot_be_is_refused(self, vendors, marker):
        for body in (
            {"name": marker, "kind": "odd"},
            {"name": "", "kind": "data"},
            {"name": "page", "kind": "page"},
        ):
            assert admin(vendors, self.ADD, body=body).json()["errors"]
        assert admin(vendors, "{ nothing }").status_code == 400

    def test_a_models_own_webhook_is_told(self, own_vendors, marker):
        with Receiver() as receiver:
            vendors = own_vendors()
            hook = {"url": receiver.url + "/own", "customHeaders": [{"name": "X-Shared", "value": "s"}]}
            body = {"name": marker, "kind": "data", "webhooks": [hook]}
            assert "errors" not in admin(vendors, self.ADD, body=body).json()
            publish(vendors, "another model")
            write(vendors, path=marker, name="x", published="published")
            until(lambda: receiver.got)
        path, headers, sent = receiver.got[0]
        assert (path, headers["x-shared"], json.loads(sent)["modelName"]) == ("/own", "s", marker)

    def test_a_wrong_key_sees_no_model(self, vendors):
        for key in ("x", vendors.env["BUILDER_PUBLIC_KEY"]):
            assert admin(vendors, "{ models { name } }", key=key).status_code == 401


class TestKeys:
    @pytest.mark.parametrize("wrong", ["", "0" * 32])
    def test_a_wrong_public_key_reads_nothing(self, vendors, wrong):
        made = publish(vendors, "x")
        assert read(vendors, key=wrong).status_code == 401
        assert read(vendors, f"page/{made['id']}", key=wrong).status_code == 401
        url = f"{vendors.env['BUILDER_API_URL']}/api/v3/query/{wrong or 'x'}/page"
        assert httpx.get(url).status_code == 401

    @pytest.mark.parametrize("wrong", ["", "bpk-" + "0" * 32])
    @pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
    def test_a_wrong_private_key_writes_nothing(self, vendors, wrong, method, marker):
        made = publish(vendors, marker, data={"m": marker})
        path = "page" if method == "POST" else f"page/{made['id']}"
        assert write(vendors, method, path, key=wrong, name="changed").status_code == 401
        assert names(read(vendors, **{"query.data.m": marker, "cachebust": "true"})) == [marker]

    def test_a_wrong_key_tracks_nothing(self, vendors, marker):
        url = vendors.env["BUILDER_API_URL"] + "/api/v1/track"
        for key in ("0" * 32, None, vendors.env["BUILDER_PUBLIC_KEY"]):
            event = {"type": "impression", "data": {"ownerId": key, "metadata": marker}}
            assert httpx.post(url, json={"events": [event]}).status_code == 200
        kept = [
            one["data"]["ownerId"]
            for one in vendors.kept("builder.track")
            if one["data"]["metadata"] == marker
        ]
        assert kept == [vendors.env["BUILDER_PUBLIC_KEY"]]

    def test_the_public_key_does_not_write(self, vendors):
        assert write(vendors, key=vendors.env["BUILDER_PUBLIC_KEY"], name="x").status_code == 401
