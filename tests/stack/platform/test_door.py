"""The Worker's door: headers, errors, limits by address, relays that are no open proxy, secrets that stay in."""

from __future__ import annotations

import hmac
import json
import re
import secrets
import time
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from jwt.utils import base64url_encode

from .conftest import Person, Stack, until


def test_every_answer_has_its_headers(stack: Stack, person: Person) -> None:
    for path in ("/", "/api/version", "/api/none", "/c/welcome", "/some/page"):
        answer = stack.http.get(path)
        headers = answer.headers
        assert re.fullmatch("[0-9a-f]{32}", headers["x-trace"]), path
        assert headers["x-content-type-options"] == "nosniff"
        assert "max-age" in headers["strict-transport-security"]
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert ("frame-ancestors 'none'" in policy) == (not path.startswith("/c/"))
    assert stack.http.get("/api/none").json()["error"]["code"] == "not_found"
    wrong = stack.http.put("/api/upload")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    foreign = stack.http.options(
        "/api/files", headers={"origin": "http://evil.test", "access-control-request-method": "GET"}
    )
    assert foreign.status_code == 403
    assert not any(h.startswith("access-control") for h in foreign.headers)
    assert stack.http.get("/api/files/%ff").status_code in (400, 401)


def test_no_secret_reaches_a_browser(stack: Stack) -> None:
    config = stack.http.get("/config.json").text
    index = stack.http.get("/").text
    scripts = re.findall(r'(?:src|href)="(/assets/[^"]+)"', index)
    assert scripts
    texts = [config, index, *(stack.http.get(s).text for s in scripts)]
    public = {
        "PLATFORM_URL",
        "VITE_SUPABASE_URL",
        "VITE_SUPABASE_ANON_KEY",
        "BUILDER_PUBLIC_KEY",
        "BUILDER_API_URL",
        "BUILDER_WRITE_URL",
        "SENTRY_DSN",
        "SENTRY_ENVIRONMENT",
        "SENTRY_ORG",
        "SENTRY_PROJECT",
        "DATADOG_CLIENT_TOKEN",
        "DATADOG_APPLICATION_ID",
        "GA4_MEASUREMENT_ID",
        "MIXPANEL_TOKEN",
        "OAUTH_TEST_PROVIDER",
    }
    for name, value in stack.env.items():
        if name not in public and len(value) > 8:
            assert not any(value in text for text in texts), name
    assert (
        stack.http.get(scripts[0] + ".map").headers["content-type"].startswith("text/html")
    )  # the app's own page: no map


def test_the_address_is_the_sockets_and_cannot_be_claimed(stack: Stack, person: Person) -> None:
    with httpx.Client(
        base_url=stack.url, transport=httpx.HTTPTransport(local_address="127.0.77.3"), headers=person.bearer
    ) as client:
        claims = {"cf-connecting-ip": "9.9.9.9", "x-forwarded-for": "9.9.9.9"}
        assert client.get("/api/me", headers=claims).json()["address"] == "127.0.77.3"
    assert person.http.get("/api/me").json()["address"] == "127.0.0.1"


def test_limits_tell_when_to_come_back(stack: Stack, person: Person) -> None:
    codes = [person.http.get("/api/privacy/export").status_code for _ in range(25)]
    assert 429 in codes
    refused = until(lambda: (r := person.http.get("/api/privacy/export")).status_code == 429 and r)
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.json()["error"]["code"] == "rate_limited"
    assert stack.person().http.get("/api/privacy/export").status_code == 200


def test_relays_carry_only_our_own(stack: Stack) -> None:
    for dsn in ("http://0123@127.0.0.1:1/1", stack.env["SENTRY_DSN"].replace("/1", "/2"), ""):
        body = json.dumps({"dsn": dsn}) + '\n{"type":"event"}\n{}\n'
        assert stack.http.post("/api/telemetry/sentry", content=body).status_code == 403
    assert stack.http.post("/api/telemetry/sentry", content=b"x").status_code == 400
    for forward in ("", "/api/v2/logs", "http://evil.test/api/v2/rum", "/../x"):
        assert (
            stack.http.post(
                "/api/telemetry/datadog", params={"ddforward": forward}, content=b"{}"
            ).status_code
            == 403
        )
    assert stack.http.post("/api/telemetry/mixpanel/import").status_code == 404


def test_the_workers_own_error_is_found_at_sentry(stack: Stack, person: Person) -> None:
    marker = secrets.token_hex(8)
    answer = person.http.post(f"/api/errors/test?marker={marker}")
    assert answer.status_code == 500
    event = answer.json()["error"]["details"]["event_id"]
    url = f"{stack.env['SENTRY_URL']}/api/0/projects/{stack.env['SENTRY_ORG']}/{stack.env['SENTRY_PROJECT']}/events/{event}/"
    token = {"authorization": f"Bearer {stack.env['SENTRY_AUTH_TOKEN']}"}
    found = until(lambda: (r := httpx.get(url, headers=token)).status_code == 200 and r)
    assert marker in found.text
    assert person.email not in found.text


def test_health_names_each_service(stack: Stack) -> None:
    health = stack.http.get("/api/health").json()
    assert health["status"] == "ok", health
    assert set(health["services"]) == {
        "database",
        "auth",
        "storage",
        "r2",
        "kv",
        "rooms",
        "builder",
        "sentry",
        "datadog",
        "ga4",
        "mixpanel",
    }


def test_cloudflares_api_asks_for_its_token(stack: Stack) -> None:
    api, account = stack.env["CLOUDFLARE_API_URL"], stack.env["CLOUDFLARE_ACCOUNT_ID"]
    for headers, status in [({}, 400), ({"authorization": "Bearer wrong"}, 401)]:
        assert httpx.get(f"{api}/accounts/{account}/r2/buckets", headers=headers).status_code == status
    token = {"authorization": f"Bearer {stack.env['CLOUDFLARE_API_TOKEN']}"}
    assert httpx.get(f"{api}/user/tokens/verify", headers=token).json()["result"]["status"] == "active"
    assert httpx.get(f"{api}/accounts/other/r2/buckets", headers=token).status_code == 403
    buckets = httpx.get(f"{api}/accounts/{account}/r2/buckets", headers=token).json()["result"]["buckets"]
    assert [b["name"] for b in buckets] == [stack.env["R2_BUCKET_NAME"]]
    rules = httpx.get(
        f"{api}/accounts/{account}/r2/buckets/{stack.env['R2_BUCKET_NAME']}/cors", headers=token
    ).json()["result"]["rules"]
    assert rules[0]["allowed"]["origins"] == [stack.url]


def forged(stack: Stack, person: Person, **spoilt: Any) -> str:
    """The person's token, signed anew by Supabase's own key, with other claims."""
    jwk = stack.config["secrets"]["jwt_signing_jwk"]
    claims = jwt.decode(person.token, options={"verify_signature": False})
    key = ECAlgorithm.from_jwk(json.dumps(jwk))
    return jwt.encode({**claims, **spoilt}, key, "ES256", {"kid": jwk["kid"]})  # type: ignore[arg-type]


def test_only_supabases_own_tokens_for_us_are_believed(stack: Stack, person: Person) -> None:
    def me(token: str) -> tuple[int, str]:
        answer = stack.http.get("/api/me", headers={"authorization": f"Bearer {token}"})
        return answer.status_code, answer.json().get("error", {}).get("code", "")

    head, body, signature = person.token.split(".")
    claims = jwt.decode(person.token, options={"verify_signature": False})
    kid = jwt.get_unverified_header(person.token)["kid"]
    stranger = ec.generate_private_key(ec.SECP256R1())
    published = httpx.get(f"{stack.supabase}/auth/v1/.well-known/jwks.json").text
    shared = base64url_encode(json.dumps({"alg": "HS256", "kid": kid}).encode()).decode() + "." + body
    confused = hmac.digest(published.encode(), shared.encode(), "sha256")
    bad = {
        "another signature": f"{head}.{body}.{signature[:-4]}AAAA",
        "no signature": jwt.encode(claims, "", "none"),
        "a stranger's key": jwt.encode(claims, stranger, "ES256", {"kid": kid}),
        "an unknown key": jwt.encode(claims, stranger, "ES256", {"kid": "unknown"}),
        "the public key as a shared secret": shared + "." + base64url_encode(confused).decode(),
        "another issuer": forged(stack, person, iss="https://example.test/auth/v1"),
        "another audience": forged(stack, person, aud="strangers"),
        "another role": forged(stack, person, role="anon"),
        "no person": forged(stack, person, sub=None),
        "the anon key": stack.env["VITE_SUPABASE_ANON_KEY"],
        "the service key": stack.env["SUPABASE_SERVICE_KEY"],
        "nonsense": "a.b.c",
        "a giant": "e" * 9000,
    }
    assert {name: me(token) for name, token in bad.items()} == dict.fromkeys(bad, (401, "unauthenticated"))
    assert me(forged(stack, person, exp=int(time.time()) - 5)) == (401, "token_expired")
    assert me(forged(stack, person))[0] == 200
