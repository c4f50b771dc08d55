"""P1.2 as people live it: back after a reload, logged out everywhere, recovered, in through a provider."""

from __future__ import annotations

from clients.identities import new_identity, plan_user
from clients.service_clients import ServiceClients
from core.clock import eventually
from core.expect import expect, expect_equal
from core.ledger import Ledger
from core.passport import check
from core.run import Run
from scenarios.browser.conftest import NewMember, NewPerson, NewTab, Witness
from scenarios.browser.facts import mailed_link

AUTH = "supabase.auth"
SLOW = "several pages and mails in a real browser"


@check(
    "browser.session_restored",
    "A person stays logged in over a reload and in a second tab, and is logged out in both at once",
    requirement=("P6.1", "P1.2"),
    service=AUTH,
    needs=("platform.web", "settings.pages", "auth.email", "people.form"),
    timeout=60,
    why_slow=SLOW,
)
def test_session_restored(services: ServiceClients, member: NewMember, tab: NewTab, witness: Witness) -> None:
    """Log-out everywhere ends the sessions at Supabase Auth, not only in the page."""
    ada, actor = member("ada")
    ada.person.page.reload()
    ada.account.is_signed_in_as(actor.username)
    second = tab(ada)
    second.account.open("/")
    second.account.is_signed_in()
    refreshed = services.auth.as_user("GET", "/user", actor.access_token)
    expect_equal(refreshed.status, 200, "the account's other session works before the log-out", service=AUTH)
    ada.account.log_out_everywhere()
    ada.account.is_signed_out()
    second.account.is_signed_out()
    ended = services.auth.as_user("GET", "/user", actor.access_token)
    witness("Auth API", "a session of the same account no longer reads its user")
    expect(
        ended.status in (401, 403),
        "log out everywhere ends the account's other sessions",
        expected="401 or 403 from /user",
        saw=ended.said(),
        service=AUTH,
    )


@check(
    "browser.log_out",
    "A person who logs out is signed out, in the page and at Supabase Auth, and stays so",
    requirement=("P6.1", "P1.2", "P6.3"),
    service=AUTH,
    needs=("platform.web", "settings.pages", "auth.email", "people.form"),
    timeout=60,
    why_slow=SLOW,
)
def test_log_out(services: ServiceClients, member: NewMember, witness: Witness) -> None:
    """The browser's session is gone from auth.sessions; the person's other one, made past the page, is not."""
    ada, actor = member("ada")
    count = "select count(*) from auth.sessions where user_id::text = %s"
    sql = services.database.sql
    if sql:
        expect_equal(sql.value(count, (actor.id,)), 2, "the person has two sessions before", service=AUTH)
    ada.account.log_out()
    ada.account.open(ada.signed_in[0])
    ada.account.is_signed_out()
    other = services.auth.as_user("GET", "/user", actor.access_token)
    expect_equal(other.status, 200, "the account's other session goes on (positive control)", service=AUTH)
    if sql:
        witness("SQL", "auth.sessions after logging out")
        expect_equal(
            sql.value(count, (actor.id,)), 1, "the page's session has ended at Supabase Auth", service=AUTH
        )


@check(
    "browser.recover_password",
    "A person who forgot their password chooses a new one by the mailed link",
    requirement=("P6.1", "P1.2"),
    service=AUTH,
    needs=("auth.mail", "platform.web", "settings.pages", "auth.email", "people.form"),
    timeout=60,
    why_slow=SLOW,
)
def test_recover(
    run: Run, services: ServiceClients, member: NewMember, people: NewPerson, witness: Witness
) -> None:
    """The new password logs in and the old one no longer does."""
    _, actor = member("ada")
    later = people("later")
    later.account.ask_for_recovery(actor.email)
    later.account.follow_mail(mailed_link(services, actor.email, "recovery"))
    _, _, password = new_identity(run, services)
    later.account.choose_password(password)
    person = services.auth.person()
    session = person.auth.sign_in_with_password({"email": actor.email, "password": password}).session
    witness("Auth API", "the new password signs in")
    expect(session, "the new password logs in", service=AUTH)
    assert session is not None
    run.redactor.add(session.access_token)
    answer = services.auth.port.request(
        "POST",
        "/token?grant_type=password",
        headers={"Content-Type": "application/json"},
        body={"email": actor.email, "password": actor.password},
    )
    expect_equal(answer.status, 400, "the forgotten password no longer logs in", service=AUTH)


@check(
    "browser.oauth",
    "A person logs in through an OAuth provider",
    requirement=("P6.1", "P1.2"),
    service=AUTH,
    needs=("auth.oauth", "platform.web", "settings.pages", "auth.email", "people.form", "people.register"),
    timeout=60,
    why_slow=SLOW,
)
def test_oauth(
    run: Run, services: ServiceClients, ledger: Ledger, people: NewPerson, witness: Witness
) -> None:
    """The person exists at Supabase Auth with the provider's identity."""
    provider = services.run.target.get("OAUTH_TEST_PROVIDER")
    email, _, _ = new_identity(run, services)
    entry = plan_user(ledger, email)
    ada = people("ada")
    ada.account.log_in_with(provider, email)
    identifier = eventually(
        lambda: services.auth.find_id(email),
        within=10,
        claim="Supabase Auth has the provider's person",
        service=AUTH,
    )
    entry.confirm(id=identifier)
    user = services.auth.as_admin("GET", f"/admin/users/{identifier}").demand(200).json(dict)
    witness("admin API", "the person has an identity of the provider")
    expect_equal(
        provider in (user.get("app_metadata") or {}).get("providers", []),
        True,
        f"the person's identity comes from {provider}",
        service=AUTH,
    )
