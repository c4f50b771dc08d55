"""HTML for JSON, 502, a cut connection, silence, a body without end, a redirect: each names its service."""

from __future__ import annotations

import httpx
import pytest

from clients import http
from clients.service_clients import ServiceClients
from clients.services import modules
from core.errors import Missed, ServiceError
from tests.clients.strange import KINDS, strange_run

NOBODY = "00000000-0000-4000-8000-000000000000"
CALLS = {
    "auth": {
        "sdk": lambda s: s.auth.person().auth.sign_in_with_password(
            {"email": "a@b.example", "password": "x"}
        ),
        "sdk admin": lambda s: s.auth.admin.create_user({"email": "a@b.example"}),
        "admin": lambda s: s.auth.find_id("a@b.example"),
        "mailbox": lambda s: s.auth.mailbox.for_address("a@b.example"),
    },
    "database": {
        "sdk": lambda s: s.auth.person().table("posts").select("*").execute(),
        "witness by REST": lambda s: s.database.rows_past_policies("posts", id=NOBODY),
        "witness by SQL": lambda s: s.database.witness_rows("posts", id=NOBODY),
    },
    "storage": {"list": lambda s: s.storage.keys("x"), "delete": lambda s: s.storage.delete(["x"])},
    "r2": {"head": lambda s: s.r2.s3.head("x"), "list": lambda s: s.r2.s3.keys("x")},
    "kv": {"list": lambda s: s.kv.keys("x")},
    "rooms": {"join": lambda s: s.rooms.join("room", "token", timeout=0.4)},
    "builder": {"read": lambda s: s.builder.content("/x"), "write": lambda s: s.builder.create({})},
    "sentry": {
        "event": lambda s: s.sentry.event("x"),
        "events": lambda s: s.sentry.events(),
        "intake": lambda s: s.sentry.send(b"{}").json(dict),
    },
    "datadog": {
        "search": lambda s: s.datadog.search("x"),
        "metrics": lambda s: s.datadog.metric_points("x"),
        "intake": lambda s: s.datadog.send([]).json(dict),
    },
    "ga4": {
        "report": lambda s: s.ga4.realtime(page_title="x"),
        "intake": lambda s: s.ga4.collect([], "1.1", debug=True).json(dict),
    },
    "mixpanel": {
        "export": lambda s: s.mixpanel.export("x"),
        "intake": lambda s: s.mixpanel.track([]).json(dict),
    },
    "platform": {"json": lambda s: s.platform.call("GET", "/api/me").json(dict)},
}
NAMES = {m.ATTRIBUTE: m.SERVICE.id for m in modules()}


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Less than a second of silence, a megabyte of body: enough to be strange in a test."""
    monkeypatch.setattr(http, "LARGEST_BODY", 1024 * 1024)
    monkeypatch.setattr("clients.s3.LARGEST_ANSWER", 1024 * 1024)
    real = httpx.Client.__init__

    def quick(self, *args, **kwargs):
        kwargs["timeout"] = httpx.Timeout(0.4)
        real(self, *args, **kwargs)
        transport = self._transport
        if isinstance(transport, http.GuardedTransport):
            transport._largest = 1024 * 1024

    monkeypatch.setattr(httpx.Client, "__init__", quick)
    real_s3 = __import__("clients.s3", fromlist=["S3"]).S3.__init__

    def quick_s3(self, *args, **kwargs):
        real_s3(self, *args, **{**kwargs, "timeout": 0.4})

    monkeypatch.setattr("clients.s3.S3.__init__", quick_s3)
    real_sql = __import__("clients.sql", fromlist=["Sql"]).Sql.__init__
    monkeypatch.setattr(
        "clients.sql.Sql.__init__", lambda self, *a, **k: real_sql(self, *a, **{**k, "timeout": 1.0})
    )


def test_every_service_is_tried():
    assert set(CALLS) == set(NAMES)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("attribute", CALLS)
def test_a_strange_answer_names_its_service(attribute, kind, tmp_path):
    # what it answered itself, or began to: that is missed, and no fault of ours
    judged = NAMES[attribute] == "platform" and kind in ("html", "cut")
    with strange_run(kind, tmp_path) as run, ServiceClients(run) as services:
        for how, call in CALLS[attribute].items():
            with pytest.raises(Missed if judged else ServiceError) as caught:
                call(services)
            assert caught.value.service == NAMES[attribute], (how, str(caught.value))
            assert judged or str(caught.value).startswith(NAMES[attribute]), how


def test_the_platforms_own_fault_is_an_answer_and_a_missing_upstream_is_named(tmp_path):
    """500 internal is the platform's answer, for a check to judge; upstream_failed names who is away.

    Who answered and refused what the platform asked is not away: that is the platform's own fault again.
    """
    from clients.services.platform import Platform

    def served(code, error, **more):
        details = {"service": "builder", **more}
        body = {"error": {"code": error, "message": "m", "trace": "t", "details": details}}
        inner = httpx.MockTransport(lambda request: httpx.Response(code, json=body))
        client = httpx.Client(transport=http.GuardedTransport("platform", permit, inner=inner))
        return Platform("platform", permit, base=run.target.get("PLATFORM_URL"), client=client)

    with strange_run("nothing", tmp_path) as run:
        permit = run.target.permit
        assert served(500, "internal").request("GET", "/x").status == 500
        with pytest.raises(ServiceError, match=r"^builder: "):
            served(502, "upstream_failed").request("GET", "/x")
        assert served(502, "upstream_failed").request("GET", "/x", allow=(502,)).code == "upstream_failed"
        for refused in (400, 403, 413, 422):
            assert served(502, "upstream_failed", status=refused).request("GET", "/x").status == 502
        for away in (200, 408, 429, 500, 503, "413"):
            with pytest.raises(ServiceError, match=r"^builder: "):
                served(502, "upstream_failed", status=away).request("GET", "/x")
