"""P1.2: sessions: refreshed, restored, ended, and what their tokens say."""

from __future__ import annotations

import time
from typing import Any

import jwt
from supabase_auth.types import Session

from clients.identities import Actor
from clients.service_clients import ServiceClients
from core.errors import Missed
from core.expect import expect, expect_equal, expect_status
from core.passport import check
from core.run import Run
from scenarios.adapter import Adapter
from suites.auth.people import claims_of
from suites.types import NewActor, Witness

AUTH = "supabase.auth"
CLOCKS = 60
"""Seconds by which the project's clock may be ahead of ours: what a token says of its times is not its signature."""


def log_in(run: Run, services: ServiceClients, person: Actor) -> Session:
    """Another session of the same person."""
    answer = services.auth.person().auth.sign_in_with_password(
        {"email": person.email, "password": person.password}
    )
    expect(answer.session is not None, "the right password logs in", service=AUTH)
    session = answer.session
    assert session is not None
    run.redactor.add(session.access_token)
    run.redactor.add(session.refresh_token)
    return session


def refresh(services: ServiceClients, token: str) -> Any:
    """One use of a refresh token."""
    return services.auth.port.request(
        "POST", "/token", params={"grant_type": "refresh_token"}, body={"refresh_token": token}
    )


def alive(services: ServiceClients, token: str) -> bool:
    """Whether an access token still reads its user."""
    answer = services.auth.as_user("GET", "/user", token)
    expect(
        answer.status in (200, 401, 403),
        "asking for the user answers yes or no",
        saw=answer.said(),
        service=AUTH,
    )
    return bool(answer.status == 200)


def age(services: ServiceClients, user: str) -> int:
    """Makes the person's spent refresh tokens an hour old, past the interval in which reuse is forgiven; how many."""
    aged = services.database.demand_sql().rows(
        "update auth.refresh_tokens set updated_at = now() - interval '1 hour' "
        "where user_id::text = %s and revoked returning id",
        (user,),
    )
    return len(aged)


@check(
    "auth.refresh_rotation",
    "A refresh token is spent by its use; an old one used again ends the session",
    requirement=("P1.2", "P6.3"),
    service=AUTH,
    needs=("database.sql", "auth.email", "people.rotation"),
)
def test_refresh_rotation(run: Run, services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """The spent token is aged in auth.refresh_tokens past the reuse interval, so that nobody has to wait for it."""
    person = actor()
    first = log_in(run, services, person)
    second = (
        refresh(services, first.refresh_token)
        .expect(200, claim="a refresh token gives a new session")
        .json(dict)
    )
    third = refresh(services, second["refresh_token"]).expect(200, claim="the new one does too").json(dict)
    for one in (second, third):
        run.redactor.add(one["refresh_token"])
        run.redactor.add(one["access_token"])
    expect(
        len({first.refresh_token, second["refresh_token"], third["refresh_token"]}) == 3,
        "each use gives a new refresh token",
        service=AUTH,
    )
    expect(
        alive(services, third["access_token"]),
        "the newest access token works (positive control)",
        service=AUTH,
    )
    expect_equal(
        age(services, person.id), 2, "auth.refresh_tokens marks the two spent tokens as revoked", service=AUTH
    )
    stolen = refresh(services, first.refresh_token)
    expect_equal(
        (stolen.status, stolen.code),
        (400, "refresh_token_already_used"),
        "a refresh token spent long ago is refused",
        service=AUTH,
    )
    age(services, person.id)
    newest = refresh(services, third["refresh_token"])
    expect(
        newest.status == 400,
        "the session whose spent token was used again has ended: its newest token is refused too",
        saw=newest.said(),
        service=AUTH,
    )
    left = services.database.demand_sql().value(
        "select count(*) from auth.refresh_tokens where user_id::text = %s and not revoked and session_id::text = %s",
        (person.id, claims_of(first.access_token)["session_id"]),
    )
    witness("SQL", "no token of that session is left unrevoked")
    expect_equal(left, 0, "no refresh token of the ended session is left", service=AUTH)


@check(
    "auth.log_out_scopes",
    "Logging out ends this session, the others, or all, as asked",
    requirement="P1.2",
    service=AUTH,
    needs=("auth.email",),
)
def test_log_out_scopes(run: Run, services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """Three sessions; after each scope both their tokens are tried: access and refresh."""
    person = actor()
    for scope, ends_own, ends_other in (
        ("local", True, False),
        ("others", False, True),
        ("global", True, True),
    ):
        own, other = log_in(run, services, person), log_in(run, services, person)
        expect(
            alive(services, own.access_token) and alive(services, other.access_token),
            "both sessions work before (positive control)",
            service=AUTH,
        )
        services.auth.as_user("POST", "/logout", own.access_token, params={"scope": scope}).expect(
            204, claim=f"logging out with scope {scope} answers 204"
        )
        for name, session, ended in (("this", own, ends_own), ("the other", other, ends_other)):
            expect_equal(
                alive(services, session.access_token),
                not ended,
                f"scope {scope} {'ends' if ended else 'leaves'} {name} session's access token",
                service=AUTH,
            )
            expect_equal(
                refresh(services, session.refresh_token).status == 200,
                not ended,
                f"scope {scope} {'ends' if ended else 'leaves'} {name} session's refresh token",
                service=AUTH,
            )
    if services.database.sql:
        count = services.database.sql.value(
            "select count(*) from auth.sessions where user_id::text = %s", (person.id,)
        )
        witness("SQL", "auth.sessions after the last, global log-out")
        expect_equal(count, 0, "after a global log-out auth.sessions holds none of the person", service=AUTH)


@check(
    "auth.session_restored",
    "A session survives a reload, and is refreshed when it comes back",
    requirement="P1.2",
    service=AUTH,
    needs=("auth.email", "platform.api", "platform.whoami"),
)
def test_session_restored(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, witness: Witness
) -> None:
    """A new client is handed the stored pair of tokens, as the web app does it; a damaged pair is refused."""
    person = actor()
    again = services.auth.person()
    restored = again.auth.set_session(person.access_token, person.refresh_token)
    expect(restored.user is not None, "stored tokens restore the session", service=AUTH)
    assert restored.user is not None
    expect_equal(restored.user.id, person.id, "the restored session is the same person's", service=AUTH)
    fresh = again.auth.refresh_session().session
    # Signed with HS256, the access token of the same second is the same text: the refresh token and the session tell.
    expect(
        fresh is not None and fresh.refresh_token != person.refresh_token,
        "a restored session can be refreshed",
        service=AUTH,
    )
    assert fresh is not None
    run.redactor.add(fresh.access_token)
    sessions = [claims_of(token)["session_id"] for token in (person.access_token, fresh.access_token)]
    expect_equal(sessions[1], sessions[0], "the refreshed token is of the same session", service=AUTH)
    seen = services.auth.as_user("GET", "/user", fresh.access_token).expect(200, claim="the new token works")
    expect_equal(
        seen.json(dict)["id"], person.id, "the refreshed token is still the same person's", service=AUTH
    )
    me = adapter.whoami(services.platform.port, fresh.access_token)
    witness("the platform", "whose token it is")
    expect_status(me, 200, "the platform takes the token", service="platform")
    expect_equal(adapter.person_of(me), person.id, "the platform sees the same person", service="platform")
    bad = refresh(services, "not-a-token")
    expect(
        bad.status == 400 and bad.code in ("refresh_token_not_found", "validation_failed"),
        "a made-up refresh token is refused",
        saw=bad.said(),
        service=AUTH,
    )


@check(
    "auth.token_contents",
    "A token says who, what and until when, and its signature holds against the published keys",
    requirement=("P1.2", "P6.3", "prod.security"),
    service=AUTH,
    needs=("auth.email", "platform.api", "database.rest", "platform.whoami", "database.probe"),
)
def test_token_contents(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, witness: Witness
) -> None:
    """Verified by the keys at /.well-known/jwks.json alone; changed, unsigned and key-swapped tokens are refused."""
    person = actor()
    header = jwt.get_unverified_header(person.access_token)
    claims = claims_of(person.access_token)
    for name, due in (
        ("sub", person.id),
        ("email", person.email),
        ("role", "authenticated"),
        ("aud", "authenticated"),
        ("aal", "aal1"),
        ("is_anonymous", False),
    ):
        expect_equal(claims.get(name), due, f"the token's {name} is right", service=AUTH)
    expect(
        claims.get("session_id"), "the token names its session", saw=claims.get("session_id"), service=AUTH
    )
    expect(
        time.time() < claims["exp"] and 0 < claims["exp"] - claims["iat"] <= 86_400,
        "the token expires within a day of its issue",
        saw=f"{claims['exp'] - claims['iat']} s after it, in {claims['exp'] - time.time():.0f} s",
        service=AUTH,
    )
    published = services.auth.port.request("GET", "/.well-known/jwks.json").expect(
        200, claim="the keys are published"
    )
    keys = {k["kid"]: k for k in published.json(dict).get("keys", [])}
    if header["alg"] != "HS256":  # a project on the old shared secret publishes no key
        expect(
            header.get("kid") in keys,
            "the token's key is published",
            expected=sorted(keys),
            saw=header.get("kid"),
            service=AUTH,
        )
        key = jwt.PyJWK(keys[header["kid"]])
        try:
            checked = jwt.decode(
                person.access_token,
                key.key,
                algorithms=[header["alg"]],
                audience="authenticated",
                leeway=CLOCKS,
            )
        except jwt.InvalidTokenError as error:
            raise Missed(
                "a fresh token holds against the published key, now and for whom it says",
                expected="signature, audience and times that a client's library believes",
                saw=str(error),
                service=AUTH,
            ) from error
        witness("the published keys", "the signature, verified by PyJWT")
        expect_equal(
            checked.get("sub"), person.id, "the signature holds against the published key", service=AUTH
        )
        expect(not any("d" in k for k in keys.values()), "no private key is published", service=AUTH)
    else:
        asked = services.auth.as_user("GET", "/user", person.access_token)
        owner = asked.expect(200, claim="Auth takes the token that it signed by the shared secret").json(dict)
        witness("Auth itself", "whose token it is; a shared secret publishes no key")
        expect_equal(owner.get("id"), person.id, "Auth knows whose token it is", service=AUTH)
    expect(alive(services, person.access_token), "the token as issued works (positive control)", service=AUTH)
    probe = run.target.description.database.probe
    head, payload, signature = person.access_token.split(".")
    raised = jwt.encode({**claims, "role": "service_role"}, "guess" * 8, algorithm="HS256")
    none = jwt.encode(claims, None, algorithm="none")  # type: ignore[arg-type]
    for what, token in (
        ("with another payload", f"{head}.{raised.split('.')[1]}.{signature}"),
        ("signed with a guessed secret", raised),
        ("without signature", none),
        ("with half a signature", f"{head}.{payload}.{signature[: len(signature) // 2]}"),
    ):
        answer = services.auth.as_user("GET", "/user", token)
        expect(
            answer.status in (401, 403), f"a token {what} is refused by Auth", saw=answer.said(), service=AUTH
        )
        rest = services.database.rest("GET", f"/{probe}?select=*&limit=1", token=token)
        expect(
            rest.status == 401,
            f"a token {what} is refused by the REST API",
            saw=rest.said(),
            service="supabase.database",
        )
        worker = adapter.whoami(services.platform.port, token)
        expect_status(worker, 401, f"a token {what} is refused by the platform", service="platform")
