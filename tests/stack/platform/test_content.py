"""Content from Builder.io: cache, staleness, webhook; rendering that lets nothing harmful through."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from typing import Any
from urllib.parse import quote

import httpx

from .conftest import Stack, until

HARMFUL = '<p onclick="x()">Hi <b>there</b><script>alert(1)</script><a href="javascript:x">l</a><img src=x onerror=y></p>'


def write(stack: Stack, path: str, text: str, published: str = "published") -> dict[str, Any]:
    """A page written by Builder.io's write API."""
    answer = httpx.post(
        f"{stack.env['BUILDER_WRITE_URL']}/api/v1/write/page",
        headers={"authorization": f"Bearer {stack.env['BUILDER_PRIVATE_KEY']}"},
        json={
            "name": path,
            "published": published,
            "query": [{"property": "urlPath", "operator": "is", "value": path}],
            "data": {
                "title": text,
                "url": path,
                "blocks": [
                    {
                        "@type": "@builder.io/sdk:Element",
                        "id": "b1",
                        "component": {"name": "Hero", "options": {"title": text}},
                    },
                    {
                        "@type": "@builder.io/sdk:Element",
                        "id": "b2",
                        "component": {
                            "name": "Text",
                            "options": {"text": HARMFUL},
                        },
                    },
                ],
            },
        },
    )
    assert answer.status_code < 300, answer.text
    made: dict[str, Any] = answer.json()
    return made


def read(stack: Stack, path: str, **more: str) -> httpx.Response:
    return stack.http.get("/api/content", params={"path": path, **more})


def signed(stack: Stack, body: bytes, at: float | None = None, secret: str | None = None) -> dict[str, str]:
    t = int(at or time.time())
    mac = hmac.new(
        (secret or stack.env["BUILDER_WEBHOOK_SECRET"]).encode(), f"{t}.".encode() + body, hashlib.sha256
    )
    return {"x-builder-signature": f"t={t},v1={mac.hexdigest()}", "content-type": "application/json"}


def hook(path: str, operation: str = "publish", **more: Any) -> bytes:
    value = {
        "id": secrets.token_hex(8),
        "lastUpdated": int(time.time() * 1000),
        "query": [{"property": "urlPath", "operator": "is", "value": path}],
        **more,
    }
    return json.dumps(
        {"operation": operation, "modelName": "page", "newValue": value, "previousValue": None}
    ).encode()


def test_miss_then_hit_then_webhook_then_new(stack: Stack) -> None:
    path, text = f"/t-{secrets.token_hex(4)}", f"marker {secrets.token_hex(6)}"
    assert read(stack, path).status_code == 404
    page = write(stack, path, text)
    # The webhook of the publication warms the plain page; a targeted one is asked for first by us.
    plain = quote(f"content:page:{path}|||", safe="")
    assert until(lambda: stack.kv("GET", f"values/{plain}").status_code == 200)
    first = until(lambda: (r := read(stack, path, locale="de")).status_code == 200 and r)
    assert first.headers["x-cache"] == "miss"
    body = first.json()
    assert (body["title"], body["path"]) == (text, path)
    assert text in body["html"]
    assert "<p>Hi <b>there</b>" in body["html"]
    for harmful in ("script", "onclick", "javascript:", "<img", "onerror"):
        assert harmful not in body["html"]
    second = until(lambda: (r := read(stack, path, locale="de")).headers["x-cache"] == "hit" and r)
    assert second.json()["html"] == body["html"]
    kept = stack.kv("GET", "keys", params={"prefix": f"content:page:{path}|"}).json()["result"]
    assert f"content:page:{path}|de||" in [k["name"] for k in kept]
    changed = f"changed {secrets.token_hex(6)}"
    httpx.patch(
        f"{stack.env['BUILDER_WRITE_URL']}/api/v1/write/page/{page['id']}",
        headers={"authorization": f"Bearer {stack.env['BUILDER_PRIVATE_KEY']}"},
        json={"data": {"title": changed}},
    ).raise_for_status()
    raw = hook(path)
    answer = stack.http.post("/api/content/webhook", content=raw, headers=signed(stack, raw))
    assert answer.json()["refreshed"] == [path], answer.text
    assert until(lambda: read(stack, path, locale="de").json()["title"] == changed)


def test_only_a_true_fresh_new_webhook_is_taken(stack: Stack) -> None:
    raw = hook("/x")

    def post(headers: dict[str, str], body: bytes = raw) -> tuple[int, str]:
        answer = stack.http.post("/api/content/webhook", content=body, headers=headers)
        return answer.status_code, answer.json().get("error", {}).get("code", "")

    assert post({}) == (401, "bad_signature")
    assert post(signed(stack, raw, secret="wrong")) == (401, "bad_signature")
    assert post(signed(stack, raw), raw + b" ") == (401, "bad_signature")
    assert post(signed(stack, raw, at=time.time() - 400)) == (401, "stale")
    assert post(signed(stack, raw, at=time.time() + 400)) == (401, "stale")
    good = signed(stack, raw)
    assert post(good) == (200, "")
    assert post(good) == (409, "replayed")
    secret = {"x-builder-webhook-secret": stack.env["BUILDER_WEBHOOK_SECRET"]}
    other = hook("/y")
    assert post(secret, other) == (200, "")
    assert post(secret, other) == (409, "replayed")
    assert post(secret, hook("/z", lastUpdated=1)) == (401, "stale")
    assert post({"x-builder-webhook-secret": "no"}, hook("/z")) == (401, "bad_signature")
    assert post(signed(stack, b"nonsense"), b"nonsense") == (400, "bad_request")


def test_stale_content_when_builder_is_away(stack: Stack) -> None:
    path = f"/s-{secrets.token_hex(4)}"
    text = f"kept {secrets.token_hex(6)}"
    write(stack, path, text)
    assert until(lambda: read(stack, path).status_code == 200)
    key = quote(f"content:page:{path}|||", safe="")
    kept = until(lambda: (r := stack.kv("GET", f"values/{key}")).status_code == 200 and r).json()
    kept["fetched_at"] -= 3_600_000  # an hour old: no longer fresh
    stack.kv("PUT", f"values/{key}", content=json.dumps(kept)).raise_for_status()
    faults = f"http://127.0.0.1:{stack.config['ports']['vendors']}/__control/faults"
    stack.control(
        faults, {"rules": [{"where": "builder", "path": "/api/v3/content", "status": 503}]}
    ).raise_for_status()
    try:
        answer = read(stack, path)
        assert (answer.status_code, answer.headers["x-cache"]) == (200, "stale")
        assert text in answer.json()["html"]
        assert int(answer.headers["age"]) >= 3600
        assert read(stack, f"/none-{secrets.token_hex(4)}").status_code == 502
    finally:
        stack.control(faults, {"rules": []})
    assert until(lambda: read(stack, path).headers["x-cache"] in ("miss", "hit"))


def test_drafts_are_not_public(stack: Stack) -> None:
    path = f"/d-{secrets.token_hex(4)}"
    write(stack, path, "secret draft", published="draft")
    assert read(stack, path).status_code == 404
