"""What the recorder takes and what it refuses, held to Relay's statuses and sentences."""

from __future__ import annotations

import gzip
import json
import secrets
import time
import uuid
from typing import Any

import httpx
import pytest
import sentry_sdk

from tests.stack.sentry.sdk import sdk
from tests.stack.vendors.eventually import until
from tests.stack.vendors.running import make

AUTH = "Sentry sentry_version=7, sentry_client=test/1, sentry_key={key}"


def key_of(sentry) -> str:
    return str(sentry.env["SENTRY_DSN"]).split("//")[1].split("@")[0]


def envelope(*items: tuple[dict[str, Any], Any], **headers: Any) -> bytes:
    lines = [json.dumps(headers).encode()]
    for head, payload in items:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        lines += [json.dumps({**head, "length": len(body)}).encode(), body]
    return b"\n".join(lines) + b"\n"


def send(sentry, body: bytes, key: str | None = None, **headers: str) -> httpx.Response:
    auth = {"X-Sentry-Auth": AUTH.format(key=key or key_of(sentry))}
    return httpx.post(f"{sentry.root}/api/1/envelope/", content=body, headers=auth | headers, timeout=30)


def error(marker: str, **more: Any) -> dict[str, Any]:
    exception = {"values": [{"type": "Boom", "value": marker}]}
    return {
        "event_id": uuid.uuid4().hex,
        "timestamp": time.time(),
        "platform": "other",
        "exception": exception,
    } | more


class TestRefusals:
    @pytest.mark.parametrize(
        ("key", "status", "detail"),
        [
            ("0" * 32, 403, "event submission rejected with_reason: ProjectId"),
            ("short", 400, "bad sentry DSN public key"),
        ],
    )
    def test_a_wrong_key_never_works(self, sentry, api, marker, key, status, detail):
        event = error(marker)
        body = envelope(({"type": "event"}, event), event_id=event["event_id"])
        for answer in (
            send(sentry, body, key),
            httpx.post(f"{sentry.root}/api/1/envelope/?sentry_key={key}", content=body),
            httpx.post(f"{sentry.root}/api/1/store/?sentry_key={key}", json=event),
        ):
            assert (answer.status_code, answer.json()["detail"]) == (status, detail)
        assert api.get(f"/projects/assay/platform/events/{event['event_id']}/").status_code == 404

    def test_another_project_is_refused(self, sentry):
        auth = {"X-Sentry-Auth": AUTH.format(key=key_of(sentry))}
        answer = httpx.post(f"{sentry.root}/api/2/envelope/", content=envelope(), headers=auth)
        assert answer.status_code == 403

    def test_no_key_is_401(self, sentry):
        answer = httpx.post(f"{sentry.root}/api/1/envelope/", content=b"{}\n")
        assert answer.status_code == 401
        assert answer.json() == {"detail": "missing authorization information"}

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b"not json\n", id="no header"),
            pytest.param(b"[]\n", id="header is a list"),
            pytest.param(b'{"event_id":"x"}\n', id="bad event id"),
            pytest.param(b'{}\n{"length":2}\n{}\n', id="item without type"),
            pytest.param(b'{}\n{"type":"event","length":99}\n{}\n', id="too short"),
            pytest.param(b'{}\n{"type":"event","length":-1}\n{}\n', id="negative length"),
            pytest.param(b'{}\n{"type":"event","length":1}\n{}\n', id="length too small"),
            pytest.param(b'{}\n{"type":"event"}\n{not json\n', id="event is not JSON"),
            pytest.param(b'{}\n{"type":"transaction"}\n[]\n', id="transaction is a list"),
        ],
    )
    def test_a_malformed_envelope_is_400(self, sentry, body):
        answer = send(sentry, body)
        assert answer.status_code == 400, answer.text
        assert answer.json()["detail"]

    def test_too_large_is_413(self, sentry):
        big = error("x", extra={"filling": "x" * 1_100_000})
        assert send(sentry, envelope(({"type": "event"}, big))).status_code == 413
        sessions = [({"type": "session"}, {"sid": str(n)}) for n in range(101)]
        assert send(sentry, envelope(*sessions)).status_code == 413

    def test_an_event_over_200_kb_compressed_is_413(self, sentry):
        def sent(size: int) -> int:
            event = error("x", extra={"filling": secrets.token_hex(size)})
            body = gzip.compress(envelope(({"type": "event"}, event)))
            return send(sentry, body, **{"Content-Encoding": "gzip"}).status_code

        assert [sent(150_000), sent(210_000)] == [200, 413]

    @pytest.mark.parametrize("text", [r"half \ud83d", r"\udc00\ud83d whole \ud83d\ude00", r"nul \u0000"])
    def test_any_text_of_json_is_taken(self, sentry, api, text):
        event = error("@@")
        lines = json.dumps(event).replace("@@", text)
        answer = send(sentry, envelope(({"type": "event"}, lines.encode()), event_id=event["event_id"]))
        assert answer.status_code == 200, answer.text
        until(lambda: api.get(f"/projects/assay/platform/events/{event['event_id']}/").status_code == 200)

    def test_a_quota_answers_429_with_the_header_that_sdks_read(self, tmp_path):
        running = make("sentry", tmp_path, events_per_minute=1)
        running.start()
        try:
            answers = [send(running, envelope(({"type": "event"}, error("x")))) for _ in range(3)]
        finally:
            running.stop()
        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused
        assert refused[0].headers["x-sentry-rate-limits"].startswith("60:")


class TestKinds:
    def test_store_and_compressed_envelopes_are_taken(self, sentry, api, marker):
        first, second = error(marker), error(marker)
        assert (
            httpx.post(f"{sentry.root}/api/1/store/?sentry_key={key_of(sentry)}", json=first).status_code
            == 200
        )
        body = gzip.compress(envelope(({"type": "event"}, second), event_id=second["event_id"]))
        answer = send(sentry, body, **{"Content-Encoding": "gzip"})
        assert answer.json() == {"id": second["event_id"]}
        assert answer.headers["x-assay-engine"] == "bugsink"
        for one in (first, second):
            assert (
                api.get(f"/projects/assay/platform/events/{one['event_id']}/").json()["title"]
                == f"Boom: {marker}"
            )

    def test_a_transaction_of_the_sdk_is_kept_with_its_spans(self, sentry, api, marker):
        with (
            sdk(sentry, traces_sample_rate=1.0, release="platform@2.0.0", environment="test"),
            sentry_sdk.start_transaction(name=f"GET /{marker}", op="http.server") as transaction,
            sentry_sdk.start_span(op="db", name="select 1"),
        ):
            transaction.set_status("ok")
        asked = {
            "dataset": "transactions",
            "field": ["transaction", "transaction.duration", "trace", "release"],
            "query": f'event.type:transaction transaction:"GET /{marker}"',
        }
        answer = api.get("/organizations/assay/events/", params=asked)
        assert answer.headers["x-assay-engine"] == "recorder"
        (row,) = answer.json()["data"]
        assert (row["release"], row["trace"]) == ("platform@2.0.0", transaction.trace_id)
        event = api.get(f"/projects/assay/platform/events/{row['id']}/").json()
        assert event["type"] == "transaction"
        assert [span["op"] for span in event["entries"][0]["data"]] == ["db"]
        counted = {"dataset": "transactions", "field": ["count()", "p95(transaction.duration)"]}
        (total,) = api.get(
            "/organizations/assay/events/", params=counted | {"query": f"transaction:*{marker}"}
        ).json()["data"]
        assert total["count()"] == 1
        spans = {
            "dataset": "spans",
            "field": ["span.op", "span.description"],
            "query": f"trace:{row['trace']}",
        }
        found = api.get("/organizations/assay/events/", params=spans).json()["data"]
        assert sorted(one["span.op"] for one in found) == ["db", "http.server"]

    def test_sessions_are_counted_by_release(self, sentry, api, marker):
        release = f"platform@{marker}"
        with sdk(sentry, release=release, environment="test", auto_session_tracking=False):
            for _ in range(3):
                scope = sentry_sdk.get_isolation_scope()
                scope.start_session(session_mode="application")
                scope.end_session()
        body = {
            "sid": uuid.uuid4().hex, "did": "u1", "init": True, "started": "2026-11-22T00:00:00Z",
            "status": "crashed", "errors": 1, "attrs": {"release": release, "environment": "test"},
        }  # fmt: skip
        body["started"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        assert send(sentry, envelope(({"type": "session"}, body))).headers["x-assay-engine"] == "recorder"
        asked = {
            "field": ["sum(session)", "crash_free_rate(session)"],
            "groupBy": ["release"],
            "query": f"release:{release}",
            "statsPeriod": "1h",
        }
        (group,) = api.get("/organizations/assay/sessions/", params=asked).json()["groups"]
        assert group["by"] == {"release": release}
        assert group["totals"] == {"sum(session)": 4, "crash_free_rate(session)": 0.75}

    def test_an_attachment_is_kept_beside_its_event(self, sentry, api, marker):
        with sdk(sentry):
            sentry_sdk.get_current_scope().add_attachment(bytes=b"hello \x00", filename="a.bin")
            event_id = sentry_sdk.capture_message(marker)
        (kept,) = api.get(f"/projects/assay/platform/events/{event_id}/attachments/").json()
        assert (kept["name"], kept["size"]) == ("a.bin", 7)
        path = f"/projects/assay/platform/events/{event_id}/attachments/{kept['id']}/"
        assert api.get(path, params={"download": "1"}).content == b"hello \x00"

    def test_check_ins_and_feedback_are_kept(self, sentry, api, marker):
        with sdk(sentry):
            sentry_sdk.crons.capture_checkin(monitor_slug=marker, status="in_progress")
            sentry_sdk.crons.capture_checkin(monitor_slug=marker, status="ok", duration=2.0)
        found = api.get(f"/organizations/assay/monitors/{marker}/checkins/").json()
        assert [one["status"] for one in found] == ["ok", "in_progress"]
        report = {"name": "A", "email": "a@example.test", "comments": marker, "event_id": uuid.uuid4().hex}
        assert send(sentry, envelope(({"type": "user_report"}, report))).status_code == 200
        assert marker in [
            one["comments"] for one in api.get("/projects/assay/platform/user-feedback/").json()
        ]

    def test_an_unknown_item_is_taken_and_shown_to_the_operator(self, sentry, marker):
        assert send(sentry, envelope(({"type": "later"}, marker))).status_code == 200
        assert [one["type"] for one in sentry.kept("sentry.other") if marker in one["payload"]] == ["later"]


class TestBrowsers:
    def test_preflight_is_allowed_and_headers_are_exposed(self, sentry):
        asked = {
            "Origin": "http://example.test",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,x-sentry-auth",
        }
        answer = httpx.options(f"{sentry.root}/api/1/envelope/", headers=asked)
        assert answer.status_code in (200, 204)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "x-sentry-auth" in answer.headers["access-control-allow-headers"].lower()
        body = send(sentry, envelope(({"type": "event"}, error("x"))), Origin="http://example.test")
        assert "X-Sentry-Rate-Limits" in body.headers["access-control-expose-headers"]
