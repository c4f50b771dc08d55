"""The Auth wire, by bare HTTP: what a client may rely on, and what must be refused."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import secrets
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pyotp
import pytest

from tests.stack.supabase import engine
from tests.stack.supabase.conftest import PASSWORD

AUTH = "/auth/v1"
VERSION = {"x-supabase-api-version": "2024-01-01"}


def address() -> str:
    return f"u-{uuid.uuid4().hex[:12]}@example.test"


def sign_up(raw: httpx.Client, email: str, **more: Any) -> httpx.Response:
    return raw.post(f"{AUTH}/signup", json={"email": email, "password": PASSWORD, **more}, headers=VERSION)


def token(raw: httpx.Client, grant: str, **body: str) -> httpx.Response:
    return raw.post(f"{AUTH}/token?grant_type={grant}", json=body, headers=VERSION)


def bearer(session: dict[str, Any]) -> dict[str, str]:
    return {"authorization": f"Bearer {session['access_token']}", **VERSION}


def refusal(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


@pytest.fixture
def mails(gateway: engine.Gateway) -> Iterator[Any]:
    """The newest mail to somebody: (link, code), through the mailbox's API."""
    with httpx.Client(base_url=gateway.mail_url) as client:

        def newest(email: str) -> tuple[str, str]:
            found = client.get("/api/v1/search", params={"query": f'to:"{email}"'}).json()["messages"]
            mail = client.get(f"/api/v1/message/{found[0]['ID']}").json()
            link = re.search(r'href="([^"]+)"', mail["HTML"])
            code = re.search(r"code: (\d{6})", mail["Text"])
            assert link is not None
            assert code is not None
            return html.unescape(link[1]), code[1]

        yield newest


@pytest.fixture
def session(raw: httpx.Client, root: httpx.Client) -> dict[str, Any]:
    """Somebody confirmed and signed in."""
    email = address()
    root.post(f"{AUTH}/admin/users", json={"email": email, "password": PASSWORD, "email_confirm": True})
    found: dict[str, Any] = token(raw, "password", email=email, password=PASSWORD).json()
    return found


def test_sign_up_confirm_log_in(raw: httpx.Client, mails: Any) -> None:
    email = address()
    made = sign_up(raw, email, data={"name": "Ada"})
    assert made.status_code == 200
    assert made.json()["user_metadata"] == made.json()["identities"][0]["identity_data"]
    assert made.json()["user_metadata"]["name"] == "Ada"
    assert made.json()["identities"][0]["provider"] == "email"
    assert "access_token" not in made.json()
    assert refusal(token(raw, "password", email=email, password=PASSWORD)) == (400, "email_not_confirmed")
    link, _ = mails(email)
    landed = raw.get(link)
    target = urlsplit(landed.headers["location"])
    assert (landed.status_code, f"{target.scheme}://{target.netloc}") == (303, "http://127.0.0.1:3000")
    fragment = {k: v[0] for k, v in parse_qs(target.fragment).items()}
    assert fragment["type"] == "signup"
    user = raw.get(f"{AUTH}/user", headers={"authorization": f"Bearer {fragment['access_token']}"}).json()
    assert (user["email"], user["role"], user["aud"]) == (email, "authenticated", "authenticated")
    assert user["email_confirmed_at"]
    again = urlsplit(raw.get(link).headers["location"])
    assert parse_qs(again.fragment)["error_code"] == ["otp_expired"]
    assert token(raw, "password", email=email, password=PASSWORD).status_code == 200


def test_refresh_rotates_and_reuse_ends_the_family(cluster: engine.Postgres) -> None:
    with (
        engine.gateway(cluster, {"refresh_reuse_interval": 0, "autoconfirm": True}) as gateway,
        httpx.Client(base_url=gateway.url, headers={"apikey": gateway.keys.publishable_key}) as raw,
    ):
        first = sign_up(raw, address()).json()
        second = token(raw, "refresh_token", refresh_token=first["refresh_token"]).json()
        assert second["refresh_token"] != first["refresh_token"]
        # A lost answer: the immediate predecessor is given its successor again.
        assert (
            token(raw, "refresh_token", refresh_token=first["refresh_token"]).json()["refresh_token"]
            == second["refresh_token"]
        )
        third = token(raw, "refresh_token", refresh_token=second["refresh_token"]).json()
        stolen = token(raw, "refresh_token", refresh_token=first["refresh_token"])
        assert refusal(stolen) == (400, "refresh_token_already_used")
        assert refusal(token(raw, "refresh_token", refresh_token=third["refresh_token"])) == (
            400,
            "refresh_token_already_used",
        )
        for unknown, code in (("nonsense", "validation_failed"), ("abcdefghijkl", "refresh_token_not_found")):
            assert refusal(token(raw, "refresh_token", refresh_token=unknown)) == (400, code)


def test_without_rotation_reuse_is_refused_and_ends_nothing(cluster: engine.Postgres) -> None:
    options = {"refresh_reuse_interval": 0, "autoconfirm": True, "refresh_token_rotation": False}
    with (
        engine.gateway(cluster, options) as gateway,
        httpx.Client(base_url=gateway.url, headers={"apikey": gateway.keys.publishable_key}) as raw,
    ):
        tokens = [sign_up(raw, address()).json()["refresh_token"]]
        for _ in range(2):
            tokens.append(token(raw, "refresh_token", refresh_token=tokens[-1]).json()["refresh_token"])
        old = token(raw, "refresh_token", refresh_token=tokens[0])
        assert refusal(old) == (400, "refresh_token_already_used")
        assert token(raw, "refresh_token", refresh_token=tokens[2]).status_code == 200


def pkce() -> tuple[str, dict[str, str]]:
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    return verifier, {"code_challenge": challenge, "code_challenge_method": "s256"}


def test_pkce_sign_up_by_mail(raw: httpx.Client, mails: Any) -> None:
    email, (verifier, challenge) = address(), pkce()
    raw.post(
        f"{AUTH}/signup?redirect_to=http://allowed.test/done",
        json={"email": email, "password": PASSWORD, **challenge},
    )
    target = urlsplit(raw.get(mails(email)[0]).headers["location"])
    assert (target.netloc, target.path) == ("allowed.test", "/done")
    code = parse_qs(target.query)["code"][0]
    assert refusal(token(raw, "pkce", auth_code=code, code_verifier="x" * 43)) == (400, "bad_code_verifier")
    assert token(raw, "pkce", auth_code=code, code_verifier=verifier).json()["user"]["email"] == email
    assert refusal(token(raw, "pkce", auth_code=code, code_verifier=verifier)) == (
        404,
        "flow_state_not_found",
    )


def test_otp_recovery_and_password_change(raw: httpx.Client, mails: Any, session: dict[str, Any]) -> None:
    email = session["user"]["email"]
    assert raw.post(f"{AUTH}/otp", json={"email": email}).json() == {}
    by_code = raw.post(
        f"{AUTH}/verify", json={"type": "email", "email": email, "token": mails(email)[1]}, headers=VERSION
    )
    assert by_code.json()["user"]["email"] == email
    wrong = raw.post(
        f"{AUTH}/verify", json={"type": "email", "email": email, "token": "000000"}, headers=VERSION
    )
    assert refusal(wrong) == (403, "otp_expired")
    assert raw.post(f"{AUTH}/recover", json={"email": email}).json() == {}
    hashed = parse_qs(urlsplit(mails(email)[0]).query)["token"][0]
    recovered = raw.post(f"{AUTH}/verify", json={"type": "recovery", "token_hash": hashed}).json()
    same = raw.put(f"{AUTH}/user", json={"password": PASSWORD}, headers=bearer(recovered))
    assert refusal(same) == (422, "same_password")
    assert (
        raw.put(f"{AUTH}/user", json={"password": "another-1"}, headers=bearer(recovered)).status_code == 200
    )
    assert refusal(raw.get(f"{AUTH}/user", headers=bearer(session))) == (403, "session_not_found")
    assert token(raw, "password", email=email, password="another-1").status_code == 200
    assert raw.post(f"{AUTH}/recover", json={"email": address()}).json() == {}
    unknown = raw.post(f"{AUTH}/otp", json={"email": address(), "create_user": False}, headers=VERSION)
    assert refusal(unknown) == (422, "otp_disabled")


def test_an_address_changes_once_both_confirm(raw: httpx.Client, mails: Any, session: dict[str, Any]) -> None:
    old, new = session["user"]["email"], address()
    asked = raw.put(f"{AUTH}/user", json={"email": new, "data": {"k": 1}}, headers=bearer(session)).json()
    assert (asked["email"], asked["new_email"], asked["user_metadata"]["k"]) == (old, new, 1)
    raw.get(mails(old)[0])
    assert raw.get(f"{AUTH}/user", headers=bearer(session)).json()["email"] == old
    raw.get(mails(new)[0])
    changed = raw.get(f"{AUTH}/user", headers=bearer(session)).json()
    assert (changed["email"], changed["identities"][0]["email"]) == (new, new)


def test_anonymous_people_can_become_known(raw: httpx.Client, mails: Any) -> None:
    ghost = raw.post(f"{AUTH}/signup", json={"data": {"a": 1}}).json()
    assert ghost["user"]["is_anonymous"]
    assert jwt.decode(ghost["access_token"], options={"verify_signature": False})["is_anonymous"]
    email = address()
    raw.put(f"{AUTH}/user", json={"email": email}, headers=bearer(ghost))
    raw.get(mails(email)[0])
    known = raw.get(f"{AUTH}/user", headers=bearer(ghost)).json()
    assert (known["is_anonymous"], known["email"], known["id"]) == (False, email, ghost["user"]["id"])


def test_administration(raw: httpx.Client, root: httpx.Client) -> None:
    email = address()
    made = root.post(f"{AUTH}/admin/users", json={"email": email, "app_metadata": {"team": "x"}}).json()
    assert made["app_metadata"] == {"provider": "email", "providers": ["email"], "team": "x"}
    again = root.post(f"{AUTH}/admin/users", json={"email": email}, headers=VERSION)
    assert refusal(again) == (422, "email_exists")
    one = f"{AUTH}/admin/users/{made['id']}"
    changed = root.put(
        one, json={"password": "changed-1", "email_confirm": True, "ban_duration": "1h"}
    ).json()
    assert changed["banned_until"]
    assert refusal(token(raw, "password", email=email, password="changed-1")) == (400, "user_banned")
    root.put(one, json={"ban_duration": "none"})
    assert token(raw, "password", email=email, password="changed-1").status_code == 200
    listed = root.get(f"{AUTH}/admin/users?page=1&per_page=2")
    assert len(listed.json()["users"]) == 2
    assert int(listed.headers["x-total-count"]) > 2
    assert root.delete(one).status_code == 200
    assert refusal(root.get(one, headers=VERSION)) == (404, "user_not_found")
    assert refusal(raw.get(f"{AUTH}/admin/users", headers=VERSION)) == (403, "not_admin")


@pytest.mark.parametrize("kind", ["signup", "invite", "magiclink", "recovery"])
def test_generated_links_work_and_send_no_mail(
    kind: str, gateway: engine.Gateway, raw: httpx.Client, root: httpx.Client
) -> None:
    email = address()
    if kind == "recovery":
        root.post(f"{AUTH}/admin/users", json={"email": email, "email_confirm": True})
    body = {"type": kind, "email": email, "password": PASSWORD, "redirect_to": "http://allowed.test/in"}
    link = root.post(f"{AUTH}/admin/generate_link", json=body).json()
    assert (link["email"], link["redirect_to"]) == (email, "http://allowed.test/in")
    assert (
        httpx.get(f"{gateway.mail_url}/api/v1/search", params={"query": f"to:{email}"}).json()["messages"]
        == []
    )
    verified = raw.post(
        f"{AUTH}/verify", json={"type": link["verification_type"], "token_hash": link["hashed_token"]}
    )
    assert verified.json()["user"]["email"] == email, verified.text


def test_time_based_factors(raw: httpx.Client, session: dict[str, Any]) -> None:
    factor = raw.post(
        f"{AUTH}/factors", json={"factor_type": "totp", "friendly_name": "phone"}, headers=bearer(session)
    ).json()
    one = f"{AUTH}/factors/{factor['id']}"
    challenge = raw.post(f"{one}/challenge", headers=bearer(session)).json()
    bad = raw.post(
        f"{one}/verify", json={"challenge_id": challenge["id"], "code": "000000"}, headers=bearer(session)
    )
    assert refusal(bad) == (422, "mfa_verification_failed")
    code = pyotp.TOTP(factor["totp"]["secret"]).now()
    raised = raw.post(
        f"{one}/verify", json={"challenge_id": challenge["id"], "code": code}, headers=bearer(session)
    ).json()
    claims = jwt.decode(raised["access_token"], options={"verify_signature": False})
    assert (claims["aal"], {m["method"] for m in claims["amr"]}) == ("aal2", {"password", "totp"})
    email = session["user"]["email"]
    low = token(raw, "password", email=email, password=PASSWORD).json()
    assert low["user"]["factors"][0]["status"] == "verified"
    assert refusal(raw.put(f"{AUTH}/user", json={"password": "other-11"}, headers=bearer(low))) == (
        401,
        "insufficient_aal",
    )
    assert refusal(raw.delete(one, headers=bearer(low))) == (422, "insufficient_aal")
    assert raw.delete(one, headers=bearer(raised)).json() == {"id": factor["id"]}


def provider(raw: httpx.Client, query: str, email: str) -> Any:
    """Follow the provider's flow as a browser does; returns where it ends."""
    page = raw.get(f"{AUTH}/authorize?provider=github&{query}")
    assert page.status_code == 302, page.text
    shown = raw.get(page.headers["location"])
    state = re.search(r'name="state" value="([^"]+)"', shown.text)
    assert state is not None
    posted = raw.post(
        page.headers["location"].split("?")[0],
        data={"state": html.unescape(state[1]), "email": email, "name": "Ada"},
    )
    return urlsplit(raw.get(posted.headers["location"]).headers["location"])


def test_a_provider_signs_people_in_by_pkce(
    raw: httpx.Client, root: httpx.Client, session: dict[str, Any]
) -> None:
    verifier, challenge = pkce()
    query = f"redirect_to=http://allowed.test/x&code_challenge={challenge['code_challenge']}&code_challenge_method=s256"
    email = address()
    end = provider(raw, query, email)
    assert end.netloc == "allowed.test"
    got = token(raw, "pkce", auth_code=parse_qs(end.query)["code"][0], code_verifier=verifier).json()["user"]
    assert (got["email"], got["app_metadata"]["provider"], got["user_metadata"]["full_name"]) == (
        email,
        "github",
        "Ada",
    )
    implicit = provider(raw, "redirect_to=http://evil.test/", session["user"]["email"])
    assert implicit.netloc == "127.0.0.1:3000"  # not allowed: the site instead
    linked = raw.get(
        f"{AUTH}/user", headers={"authorization": f"Bearer {parse_qs(implicit.fragment)['access_token'][0]}"}
    ).json()
    assert (linked["id"], {i["provider"] for i in linked["identities"]}) == (
        session["user"]["id"],
        {"email", "github"},
    )
    # An address that only an identity has is as taken as a user's own, and nobody is told.
    root.put(f"{AUTH}/admin/users/{got['id']}", json={"email": address(), "email_confirm": True})
    disguised = sign_up(raw, email)
    assert (disguised.status_code, disguised.json()["identities"]) == (200, [])
    assert raw.post(f"{AUTH}/otp", json={"email": email}).json() == {}
    assert root.get(f"{AUTH}/admin/users?filter={email}").json()["users"] == []
    unknown = raw.get(f"{AUTH}/authorize?provider=myspace", headers=VERSION)
    assert refusal(unknown) == (400, "validation_failed")
    lost = raw.get(f"{AUTH}/callback?state={uuid.uuid4()}&code=y")
    assert parse_qs(urlsplit(lost.headers["location"]).query)["error_code"] == ["bad_oauth_state"]


@pytest.mark.parametrize(("asked", "allowed"), [
    ("http://127.0.0.1:3000/any?x=1", True), ("http://allowed.test/a/b", True), ("http://127.0.0.1:3001/", True),
    ("https://127.0.0.1:3000/", False),
    ("http://allowed.test.evil.test/", False), ("http://allowed.test@evil.test/", False), ("javascript:alert(1)", False),
    ("//evil.test", False), ("http://evil.test/http://allowed.test/", False), ("http://allowed.test\\@evil.test/", False),
])  # fmt: skip
def test_only_allowed_addresses_are_redirected_to(asked: str, allowed: bool, root: httpx.Client) -> None:
    body = {"type": "magiclink", "email": address(), "redirect_to": asked}
    given = root.post(f"{AUTH}/admin/generate_link", json=body).json()["redirect_to"]
    assert given == (asked if allowed else "http://127.0.0.1:3000")


def forge(claims: dict[str, Any], key: str, algorithm: str) -> str:
    return jwt.encode(
        {"sub": str(uuid.uuid4()), "role": "service_role", "exp": time.time() + 60, **claims}, key, algorithm
    )


def test_forged_tokens(gateway: engine.Gateway, raw: httpx.Client) -> None:
    none = ".".join([base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("="),
                     base64.urlsafe_b64encode(b'{"role":"service_role"}').decode().rstrip("="), ""])  # fmt: skip
    secret = gateway.keys.jwt_secret
    jwk = raw.get(f"{AUTH}/.well-known/jwks.json").json()["keys"][0]
    confused = forge({}, jwk["x"] + jwk["y"], "HS256")  # the public key taken for a shared secret
    rest = {forge({}, "x" * 40, "HS256"): "PGRST301", none: "PGRST301", "nonsense": "PGRST301", confused: "PGRST301",
            forge({"exp": 1}, secret, "HS256"): "PGRST303",
            forge({"nbf": time.time() + 600}, secret, "HS256"): "PGRST303"}  # fmt: skip
    for bad, code in rest.items():
        headers = {"authorization": f"Bearer {bad}", **VERSION}
        answer = raw.get("/rest/v1/secrets", headers=headers)
        assert refusal(answer) == (401, code)
        assert "invalid_token" in answer.headers["www-authenticate"]
        assert refusal(raw.get(f"{AUTH}/user", headers=headers)) == (403, "bad_jwt")
        stored = raw.post("/storage/v1/object/list/shelf", json={"prefix": ""}, headers=headers)
        assert (stored.status_code, stored.json()["statusCode"]) == (400, "403")
    stranger = {"authorization": f"Bearer {forge({'role': 'authenticated'}, secret, 'HS256')}", **VERSION}
    assert refusal(raw.get(f"{AUTH}/user", headers=stranger)) == (403, "user_not_found")
    no_role = {"authorization": f"Bearer {forge({'role': 'supabase_admin'}, secret, 'HS256')}"}
    assert raw.get("/rest/v1/secrets", headers=no_role).json()["code"] == "42501"


def test_the_audience_is_asked_for_where_the_real_servers_ask(
    gateway: engine.Gateway, session: dict[str, Any], raw: httpx.Client
) -> None:
    """Auth compares it in GET /user alone; PostgREST only where `jwt-aud` is set, which a hosted project does not."""
    who = {"sub": session["user"]["id"], "role": "authenticated"}
    secret = gateway.keys.jwt_secret
    for audience, header, good in (
        ("authenticated", {}, True), ("other", {}, True), (["other", "more"], {"x-jwt-aud": "other"}, True),
        ("authenticated", {"x-jwt-aud": "other"}, False), ("", {}, False), ([], {}, False),
    ):  # fmt: skip
        token = forge({**who, "aud": audience}, secret, "HS256")
        headers = {"authorization": f"Bearer {token}", **VERSION, **header}
        answer = raw.get(f"{AUTH}/user", headers=headers)
        assert answer.status_code == 200 if good else refusal(answer) == (400, "validation_failed"), audience
        assert raw.get("/rest/v1/books?limit=1", headers=headers).status_code == 200
    odd = {"authorization": f"Bearer {forge({**who, 'aud': 7}, secret, 'HS256')}", **VERSION}
    assert raw.get("/rest/v1/books?limit=1", headers=odd).status_code == 401


def test_tokens_are_signed_by_the_published_key(
    gateway: engine.Gateway, session: dict[str, Any], raw: httpx.Client
) -> None:
    keys = jwt.PyJWKSet.from_dict(raw.get(f"{AUTH}/.well-known/jwks.json").json())
    header = jwt.get_unverified_header(session["access_token"])
    claims = jwt.decode(session["access_token"], keys[header["kid"]].key, ["ES256"], audience="authenticated")
    assert claims["iss"] == f"{gateway.url}/auth/v1"
    assert claims["session_id"]


def test_shared_secret_signing_and_legacy_keys(cluster: engine.Postgres) -> None:
    with (
        engine.gateway(cluster, {"autoconfirm": True, "jwt_algorithm": "HS256"}) as gateway,
        httpx.Client(
            base_url=gateway.url,
            headers={"apikey": gateway.keys.anon_key, "authorization": f"Bearer {gateway.keys.anon_key}"},
        ) as raw,
    ):
        made = sign_up(raw, address()).json()
        jwt.decode(made["access_token"], gateway.keys.jwt_secret, ["HS256"], audience="authenticated")
        assert raw.get(f"{AUTH}/.well-known/jwks.json").json() == {"keys": []}
        service = {
            "apikey": gateway.keys.service_role_key,
            "authorization": f"Bearer {gateway.keys.service_role_key}",
        }
        assert raw.get("/rest/v1/secrets", headers=service).status_code == 200
        assert refusal(sign_up(raw, made["user"]["email"])) == (422, "user_already_exists")


def test_api_keys(gateway: engine.Gateway, raw: httpx.Client) -> None:
    assert httpx.get(f"{gateway.url}/rest/v1/books").json()["message"] == "No API key found in request"
    wrong = httpx.get(f"{gateway.url}/rest/v1/books", headers={"apikey": "sb_publishable_x"})
    assert (wrong.status_code, wrong.json()["message"]) == (401, "Invalid API key")
    browser = {"apikey": gateway.keys.secret_key, "user-agent": "Mozilla/5.0 (X11; Linux) Chrome/140"}
    refused = httpx.get(f"{gateway.url}/rest/v1/secrets", headers=browser)
    assert (refused.status_code, refused.json()["message"]) == (
        401,
        "Forbidden use of secret API key in browser",
    )
    assert (
        httpx.get(f"{gateway.url}/rest/v1/secrets", headers={**browser, "user-agent": "node"}).status_code
        == 200
    )
    both = {"apikey": gateway.keys.publishable_key, "authorization": f"Bearer {gateway.keys.publishable_key}"}
    assert httpx.get(f"{gateway.url}/rest/v1/books?limit=1", headers=both).status_code == 200


def test_many_at_once_keep_apart(gateway: engine.Gateway, raw: httpx.Client, root: httpx.Client) -> None:
    """More people than connections, and no connection is held while a password is hashed."""

    def live(_: int) -> bool:
        body = {"email": address(), "password": PASSWORD, "email_confirm": True}
        made = root.post(f"{AUTH}/admin/users", json=body)
        link = root.post(f"{AUTH}/admin/generate_link", json={**body, "email": address(), "type": "signup"})
        session = token(raw, "password", email=str(body["email"]), password=PASSWORD)
        change = raw.put(f"{AUTH}/user", json={"password": "another-1"}, headers=bearer(session.json()))
        assert [r.status_code for r in (made, link, session, change)] == [200] * 4
        return bool(made.json()["id"] == session.json()["user"]["id"] == change.json()["id"])

    with ThreadPoolExecutor(24) as threads:
        assert all(threads.map(live, range(120)))
    assert "Traceback" not in gateway.log()


def test_rate_limits(cluster: engine.Postgres) -> None:
    options = {
        "rate_limits": True,
        "rate_limit_anonymous": 3,
        "rate_limit_email_sent": 2,
        "max_mail_frequency": 0.0,
    }
    with (
        engine.gateway(cluster, options) as gateway,
        httpx.Client(base_url=gateway.url, headers={"apikey": gateway.keys.publishable_key}) as raw,
    ):
        answers = [raw.post(f"{AUTH}/signup", json={}, headers=VERSION) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert (answers[3].json()["code"], "retry-after" in answers[3].headers) == (
            "over_request_rate_limit",
            False,
        )
        assert [sign_up(raw, address()).status_code for _ in range(3)] == [200, 200, 429]
        control = {"authorization": f"Bearer {engine.CONTROL_TOKEN}"}
        assert raw.delete("/__control/limits", headers=control).json() == {"reset": True}
        assert sign_up(raw, address()).status_code == 200


def test_a_captcha_is_asked_for_but_not_of_administrators(cluster: engine.Postgres) -> None:
    with (
        engine.gateway(cluster, {"captcha": True, "autoconfirm": True}) as gateway,
        httpx.Client(base_url=gateway.url, headers={"apikey": gateway.keys.publishable_key}) as raw,
    ):
        email, solved = address(), {"captcha_token": "10000000-aaaa-bbbb-cccc-000000000001"}
        assert refusal(sign_up(raw, email)) == (400, "captcha_failed")
        session = sign_up(raw, email, gotrue_meta_security=solved).json()
        who = {"email": email, "password": PASSWORD}
        assert refusal(token(raw, "password", **who)) == (400, "captcha_failed")
        as_service = {"authorization": f"Bearer {gateway.keys.service_role_key}"}
        known = raw.post(f"{AUTH}/token?grant_type=password", json=who, headers=as_service)
        assert (known.status_code, known.json()["user"]["id"]) == (200, session["user"]["id"])
        assert token(raw, "refresh_token", refresh_token=session["refresh_token"]).status_code == 200


def test_what_is_left_out_says_so(raw: httpx.Client) -> None:
    for path in ("/realtime/v1/websocket", "/functions/v1/hello"):
        assert raw.get(path).status_code == 501, path
    off = {
        "passkeys": "passkey_disabled", "oauth/authorize": "feature_disabled", "scim/v2/Users": "feature_disabled",
        "sso/saml/metadata": "saml_provider_disabled", "admin/oauth/clients": "not_admin",
    }  # fmt: skip
    assert {path: raw.get(f"{AUTH}/{path}", headers=VERSION).json()["code"] for path in off} == off
    assert raw.get(f"{AUTH}/settings").json()["external"]["github"]
    assert raw.get(f"{AUTH}/health").json()["name"] == "GoTrue"
