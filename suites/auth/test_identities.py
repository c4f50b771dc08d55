"""P1.1, P1.2: other ways in, and who may manage people: OAuth, anonymous, a second factor, the admin API."""

from __future__ import annotations

import html
import re
from typing import cast
from urllib.parse import parse_qs, urljoin, urlsplit

import pyotp
from supabase_auth.types import Provider, SignInWithEmailAndPasswordCredentials

from clients.bulk_identities import metadata_of
from clients.http_port import WireAnswer
from clients.identities import new_identity, plan_user
from clients.personal_rows import remove_belongings
from clients.sdk import ServiceRefusal, refused
from clients.service_clients import ServiceClients
from core.clock import eventually
from core.expect import expect, expect_equal
from core.ledger import Ledger
from core.passport import check
from core.run import Run
from suites.auth.people import auth_user, follow, mailbox_of, own_row
from suites.types import NewActor, Witness

AUTH = "supabase.auth"


def sign_in_at_provider(services: ServiceClients, url: str, email: str) -> dict[str, list[str]]:
    """Follows an authorize address to the provider's form, fills it in, and returns what comes back to the app."""
    port = services.auth.port
    page = follow_to_page(services, url)
    action = re.search(r"<form[^>]*?action=\"([^\"]+)\"", page.text)
    target = urljoin(url, html.unescape(action[1])) if action else str(page.headers.get("x-final", ""))
    fields = dict(re.findall(r"<input type=\"hidden\" name=\"([^\"]+)\" value=\"([^\"]*)\"", page.text))
    form = {name: html.unescape(value) for name, value in fields.items()} | {"email": email, "name": "Assay"}
    answer = port.client.post(target, data=form, extensions={"assay.allow": (302, 303)})
    address = answer.headers.get("location", "")
    for _ in range(5):
        if "/auth/v1/" not in address:
            break
        step = port.request("GET", address, allow=(302, 303))
        step.expect(302, 303, claim="the provider's answer is passed on to the app")
        address = step.headers.get("location", "")
    back = urlsplit(address)
    return {"": [address], **parse_qs(back.query), **parse_qs(back.fragment)}


def follow_to_page(services: ServiceClients, url: str) -> WireAnswer:
    """GETs through redirects until a page comes; its address is in the header `x-final`."""
    for _ in range(5):
        answer: WireAnswer = services.auth.port.request(
            "GET", url, headers={"Accept": "text/html"}, allow=(302, 303)
        )
        if answer.status not in (302, 303):
            answer.expect(200, claim="the provider shows its sign-in page")
            answer.headers["x-final"] = url
            return answer
        onward = answer.headers.get("location")
        expect(onward, "a redirect on the way to the provider says where to", saw=answer.said(), service=AUTH)
        url = urljoin(url, onward)
    raise AssertionError("the authorize address redirects without end")


@check(
    "auth.oauth",
    "A person logs in through an OAuth provider, with PKCE, and comes back only to an allowed address",
    requirement=("P1.2", "P6.3"),
    service=AUTH,
    needs=("auth.oauth", "auth.email", "people.register"),
)
def test_oauth(run: Run, services: ServiceClients, ledger: Ledger, witness: Witness) -> None:
    """The code is worthless without the verifier; an address that is not allowed becomes the site's own."""
    email, _, _ = new_identity(run, services)
    entry = plan_user(ledger, email)
    provider = cast(Provider, run.target.get("OAUTH_TEST_PROVIDER"))
    browser = services.auth.person()
    allowed = f"{services.platform.url}/auth/callback"

    def begin(redirect: str) -> str:
        started = browser.auth.sign_in_with_oauth(
            {"provider": provider, "options": {"redirect_to": redirect}}
        )
        return str(started.url)

    own = urlsplit(services.platform.url)
    for elsewhere in (
        "https://evil.example/steal",
        f"{services.platform.url}@evil.example/steal",  # begins like an allowed one
        f"{own.scheme}://{own.hostname}.evil.example/steal",
    ):
        evil = sign_in_at_provider(services, begin(elsewhere), email)
        went = urlsplit(evil[""][0]).hostname or ""
        expect(
            not went.endswith("evil.example"),
            "the provider's answer never goes to an address that is not allowed",
            expected=services.platform.url,
            saw=f"{went}, asked for {elsewhere}",
            service=AUTH,
        )
    back = sign_in_at_provider(services, begin(allowed), email)
    expect(
        back[""][0].startswith(allowed),
        "OAuth comes back to the allowed address (positive control)",
        saw=back[""][0],
        service=AUTH,
    )
    expect(
        "code" in back and "access_token" not in back,
        "the address that OAuth comes back to carries a code, not a token",
        saw=sorted(back),
        service=AUTH,
    )
    thief = services.auth.person()
    with refused(claim="a code without its verifier is worthless", service=AUTH):
        thief.auth.exchange_code_for_session(
            {"auth_code": back["code"][0], "code_verifier": "x" * 64, "redirect_to": ""}
        )
    session = browser.auth.exchange_code_for_session(
        {"auth_code": back["code"][0], "code_verifier": "", "redirect_to": ""}
    ).session
    expect(session is not None, "the browser that began gets a session", service=AUTH)
    assert session is not None
    entry.confirm(id=session.user.id)
    expect_equal(
        session.user.email,
        email,
        "the session is that of the person who signed in at the provider",
        service=AUTH,
    )
    if services.database.sql:
        linked = services.database.sql.rows(
            "select provider from auth.identities where user_id::text = %s", (session.user.id,)
        )
        witness("SQL", "auth.identities")
        expect_equal(
            [r["provider"] for r in linked], [provider], "the identity is the provider's", service=AUTH
        )
    with refused(claim="a provider that is not enabled is refused", service=AUTH):
        url = services.auth.person().auth.sign_in_with_oauth({"provider": "keycloak"}).url
        answer = services.auth.port.request("GET", url, allow=(302, 303))
        if answer.status >= 400:
            raise ServiceRefusal(AUTH, "an unknown provider", answer.status, answer.code, answer.text[:100])


@check(
    "auth.anonymous_upgrade",
    "Somebody anonymous becomes permanent and keeps what is theirs",
    requirement="P1.2",
    service=AUTH,
    needs=("auth.anonymous", "auth.email", "people.register", "database.rest", "database.tables"),
)
def test_anonymous_upgrade(run: Run, services: ServiceClients, ledger: Ledger, witness: Witness) -> None:
    """A post written anonymously is still theirs after they confirmed an address; the id stays."""
    email, _, password = new_identity(run, services)
    browser = services.auth.person()
    entry = plan_user(ledger, email)
    somebody = browser.auth.sign_in_anonymously()
    expect(somebody.session is not None, "an anonymous person gets a session", service=AUTH)
    assert somebody.session is not None
    assert somebody.user is not None
    identifier = somebody.user.id
    entry.confirm(id=identifier)
    run.redactor.add(somebody.session.access_token)
    expect(
        somebody.user.is_anonymous,
        "who signed in without a name is anonymous",
        saw=somebody.user.is_anonymous,
        service=AUTH,
    )
    if ready := run.target.description.people.ready:
        eventually(
            lambda: services.database.witness_rows(ready.table, **{ready.column: identifier}),
            within=10,
            claim=f"an anonymous person has a row in {ready.table} too",
            service="supabase.database",
        )
    token = somebody.session.access_token
    own = own_row(run.target.description.database, identifier, run.tag())
    if own:
        wrote = services.database.rest("POST", f"/{own.table}", token=token, body=own.row)
        if run.target.description.suggested and wrote.status != 201:
            own = None  # nobody said that this row may be written: that it may not says nothing of anonymous people
        else:
            wrote.expect(201, claim=f"an anonymous person writes into {own.table}")
    browser.auth.update_user({"email": email})
    if not run.target.description.people.confirmed_by_mail:
        pass  # the address is theirs at once
    elif services.auth.mailbox:
        follow(services, mailbox_of(services).wait_for(email).links()[0])
    else:
        services.auth.admin.update_user_by_id(somebody.user.id, {"email": email, "email_confirm": True})
    browser.auth.refresh_session()
    browser.auth.update_user({"password": password})
    back = services.auth.person().auth.sign_in_with_password({"email": email, "password": password})
    expect(back.user is not None, "the permanent person logs in with address and password", service=AUTH)
    assert back.user is not None
    expect_equal(
        (back.user.id, back.user.is_anonymous),
        (somebody.user.id, False),
        "who confirmed an address is the same person, no longer anonymous",
        service=AUTH,
    )
    stored = auth_user(services, somebody.user.id) or {}
    expect_equal(stored.get("is_anonymous"), False, "Auth keeps them as no longer anonymous", service=AUTH)
    if own:
        mine = services.database.witness_rows(own.table, **{own.column: somebody.user.id})
        expect_equal(len(mine), 1, "what they wrote is still theirs", service=AUTH)
    witness(services.database.channel, "the person and what they wrote")


@check(
    "auth.second_factor",
    "A TOTP factor is enrolled, asked for, and raises the session's level only with the right code",
    requirement=("P1.2", "P6.3"),
    service=AUTH,
    needs=("auth.mfa", "auth.email"),
)
def test_second_factor(run: Run, services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """A wrong code is refused and leaves the level at aal1; the right one lifts it to aal2 (positive control)."""
    person = actor()
    mfa = person.supabase.auth.mfa
    enrolled = mfa.enroll({"factor_type": "totp", "friendly_name": run.tag()})
    expect(enrolled.totp is not None, "enrolling answers with the factor's secret", service=AUTH)
    assert enrolled.totp is not None
    secret = enrolled.totp.secret
    run.redactor.add(secret)
    code = pyotp.TOTP(secret)
    wrong = f"{(int(code.now()) + 500_000) % 1_000_000:06d}"
    challenge = mfa.challenge({"factor_id": enrolled.id})
    with refused("mfa_verification_failed", claim="a wrong code is refused", service=AUTH):
        mfa.verify({"factor_id": enrolled.id, "challenge_id": challenge.id, "code": wrong})
    before = mfa.get_authenticator_assurance_level()
    expect_equal(before.current_level, "aal1", "after a wrong code the level is still aal1", service=AUTH)
    challenge = mfa.challenge({"factor_id": enrolled.id})
    mfa.verify({"factor_id": enrolled.id, "challenge_id": challenge.id, "code": code.now()})
    after = mfa.get_authenticator_assurance_level()
    expect_equal(after.current_level, "aal2", "after the right code the level is aal2", service=AUTH)
    fresh = services.auth.person()
    fresh.auth.sign_in_with_password({"email": person.email, "password": person.password})
    level = fresh.auth.mfa.get_authenticator_assurance_level()
    expect_equal(
        (level.current_level, level.next_level),
        ("aal1", "aal2"),
        "a new log-in is told that the factor is due",
        service=AUTH,
    )
    if services.database.sql:
        stored = services.database.sql.rows(
            "select status::text, factor_type::text from auth.mfa_factors where user_id::text = %s",
            (person.id,),
        )
        witness("SQL", "auth.mfa_factors")
        expect_equal(
            stored,
            [{"status": "verified", "factor_type": "totp"}],
            "the factor is stored as verified",
            service=AUTH,
        )
    mfa.unenroll({"factor_id": enrolled.id})
    expect_equal(mfa.list_factors().totp, [], "a second factor can be taken off again", service=AUTH)


@check(
    "auth.admin",
    "The admin API manages people, for the secret key alone",
    requirement=("P1.1", "P1.2", "P6.3"),
    service=AUTH,
    needs=("auth.email", "database.rest"),
)
def test_admin(run: Run, services: ServiceClients, ledger: Ledger, actor: NewActor, witness: Witness) -> None:
    """Made, read, changed, banned, deleted, each seen in auth.users; a person and a visitor are refused it all."""
    email, username, password = new_identity(run, services)
    entry = plan_user(ledger, email)
    made = services.auth.admin.create_user(
        {
            "email": email,
            "password": password,
            "email_confirm": True,
            "user_metadata": metadata_of(run, username),
        }
    ).user
    entry.confirm(id=made.id)
    expect_equal(
        services.auth.admin.get_user_by_id(made.id).user.email,
        email,
        "who was made can be read",
        service=AUTH,
    )
    with refused("email_exists", claim="the same address is not made twice", service=AUTH):
        services.auth.admin.create_user({"email": email, "password": password})
    services.auth.admin.update_user_by_id(made.id, {"app_metadata": {"plan": "gold"}})
    read = services.auth.admin.get_user_by_id(made.id).user
    expect_equal(read.app_metadata.get("plan"), "gold", "the admin API changes metadata", service=AUTH)

    people: SignInWithEmailAndPasswordCredentials = {"email": email, "password": password}
    earlier = services.auth.person().auth.sign_in_with_password(people).session
    expect(earlier is not None, "who was made logs in (positive control)", service=AUTH)
    assert earlier is not None
    run.redactor.add(earlier.access_token)
    run.redactor.add(earlier.refresh_token)
    services.auth.admin.update_user_by_id(made.id, {"ban_duration": "1h"})
    stayed = services.auth.port.request(
        "POST",
        "/token",
        params={"grant_type": "refresh_token"},
        body={"refresh_token": earlier.refresh_token},
    )
    expect(
        stayed.status in (400, 403),
        "the session of who is banned is not refreshed",
        saw=stayed.said(),
        service=AUTH,
    )
    with refused("user_banned", claim="who is banned does not log in", service=AUTH):
        services.auth.person().auth.sign_in_with_password(people)
    services.auth.admin.update_user_by_id(made.id, {"ban_duration": "none"})
    session = services.auth.person().auth.sign_in_with_password(people).session
    expect(session is not None, "who is no longer banned logs in (positive control)", service=AUTH)

    person = actor()
    for who, token in (("a person", person.access_token), ("a visitor", services.auth.public_key)):
        for method, path, body in (
            ("GET", "/admin/users", None),
            ("POST", "/admin/users", {"email": f"x{email}", "password": password}),
            ("DELETE", f"/admin/users/{made.id}", {}),
            ("POST", "/admin/generate_link", {"type": "recovery", "email": email}),
        ):
            answer = services.auth.as_user(method, path, token, body)
            expect(
                answer.status in (401, 403),
                f"{method} {path.split('/')[2]} is refused to {who}",
                saw=answer.said(),
                service=AUTH,
            )
    expect(auth_user(services, made.id), "refused deletions deleted nobody", service=AUTH)
    remove_belongings(run, made.id)
    services.auth.delete_user(made.id)
    gone = auth_user(services, made.id)
    ready = run.target.description.people.ready
    row = services.database.witness_rows(ready.table, **{ready.column: made.id}) if ready else []
    witness(services.database.channel, "nobody in auth.users, nor in the row that the platform makes")
    expect_equal((gone, row), (None, []), "who was deleted is gone, the platform's row too", service=AUTH)
    with refused("invalid_credentials", claim="who was deleted does not log in", service=AUTH):
        services.auth.person().auth.sign_in_with_password(people)
