"""P1.2: what goes by mail: recovery and a changed address, by the links that really arrive."""

from __future__ import annotations

from clients.identities import new_identity, plan_user
from clients.sdk import refused
from clients.service_clients import ServiceClients
from core.expect import expect, expect_equal
from core.ledger import Ledger
from core.passport import check
from core.run import Run
from suites.auth.people import auth_user, follow, mailbox_of
from suites.types import NewActor, Witness

AUTH = "supabase.auth"


@check(
    "auth.recovery",
    "Who forgot their password sets a new one by the mailed link, once",
    requirement="P1.2",
    service=AUTH,
    needs=("auth.mail", "auth.email"),
)
def test_recovery(run: Run, services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """The link comes to the person's mailbox, gives a session to who asked (PKCE), and works once."""
    person = actor()
    _, _, new = new_identity(run, services)
    asking = services.auth.person()
    asking.auth.reset_password_for_email(person.email)
    mail = mailbox_of(services).wait_for(person.email)
    link = mail.links()[0]
    given = follow(services, link)
    expect("code" in given, "the link hands the web app a code", saw=sorted(given), service=AUTH)
    with refused(claim="another browser cannot use the code: it lacks the verifier", service=AUTH):
        thief = services.auth.person()
        thief.auth.exchange_code_for_session(
            {"auth_code": given["code"][0], "code_verifier": "x" * 64, "redirect_to": ""}
        )
    session = asking.auth.exchange_code_for_session(
        {"auth_code": given["code"][0], "code_verifier": "", "redirect_to": ""}
    ).session
    expect(session is not None, "the browser that asked gets a session", service=AUTH)
    asking.auth.update_user({"password": new})
    with refused("invalid_credentials", claim="the forgotten password no longer works", service=AUTH):
        services.auth.person().auth.sign_in_with_password(
            {"email": person.email, "password": person.password}
        )
    good = services.auth.person().auth.sign_in_with_password({"email": person.email, "password": new})
    expect(good.session is not None, "the new password works (positive control)", service=AUTH)
    made = services.auth.admin.generate_link({"type": "recovery", "email": person.email})
    run.redactor.add(made.properties.hashed_token)
    posted = [
        services.auth.port.request(
            "POST", "/verify", body={"type": "recovery", "token_hash": made.properties.hashed_token}
        )
        for _ in range(2)
    ]
    expect_equal(
        [answer.status for answer in posted],
        [200, 403],
        "a token that is posted to Auth itself works once too",
        service=AUTH,
    )
    twice = follow(services, link)
    witness("the mailbox", "the recovery mail's own link, used twice")
    expect(
        "error" in twice and "code" not in twice,
        "the link works once",
        expected="an error",
        saw=sorted(twice),
        service=AUTH,
    )


@check(
    "auth.email_change",
    "An address changes only when its links are followed, and then it is the one that logs in",
    requirement="P1.2",
    service=AUTH,
    needs=("auth.mail", "auth.email"),
)
def test_email_change(
    run: Run, services: ServiceClients, ledger: Ledger, actor: NewActor, witness: Witness
) -> None:
    """Secure change: both addresses get a link; after one of two nothing has changed. Else the new one's is enough, as
    it is where addresses are not confirmed at all (Auth's `emailChangeVerify`).
    """
    person = actor()
    new, _, _ = new_identity(run, services)
    plan_user(ledger, new)
    person.supabase.auth.update_user({"email": new})
    box = mailbox_of(services)
    follow(services, box.wait_for(new).links()[0])
    people = run.target.description.people
    if people.email_change == "both addresses" and people.confirmed_by_mail:
        half = auth_user(services, person.id) or {}
        expect_equal(
            half.get("email"),
            person.email,
            "after one of two links the address is still the old one",
            service=AUTH,
        )
        follow(services, box.wait_for(person.email).links()[0])
    stored = auth_user(services, person.id) or {}
    witness(services.database.channel, "the address in auth.users")
    expect_equal(stored.get("email"), new, "after its links auth.users holds the new address", service=AUTH)
    with refused("invalid_credentials", claim="the old address no longer logs in", service=AUTH):
        services.auth.person().auth.sign_in_with_password(
            {"email": person.email, "password": person.password}
        )
    good = services.auth.person().auth.sign_in_with_password({"email": new, "password": person.password})
    expect(good.user is not None, "the new address logs in (positive control)", service=AUTH)
    assert good.user is not None
    expect_equal(good.user.id, person.id, "the new address logs in the same person", service=AUTH)


@check(
    "auth.mail_tells_nothing",
    "Asking for a recovery mail tells nobody whether the person exists",
    requirement=("P1.2", "P6.3"),
    service=AUTH,
    needs=("auth.mail", "auth.email"),
)
def test_mail_tells_nothing(run: Run, services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """The same answer for somebody and nobody; the mail comes to somebody (positive control) and not to nobody."""
    person = actor()
    nobody, _, _ = new_identity(run, services)
    answers = {
        (a.status, a.text)
        for a in (
            services.auth.port.request("POST", "/recover", body={"email": e}) for e in (nobody, person.email)
        )
    }
    expect_equal(len(answers), 1, "both requests are answered alike", service=AUTH)
    expect_equal(next(iter(answers))[0], 200, "both are answered 200", service=AUTH)
    box = mailbox_of(services)
    box.wait_for(person.email)
    witness("the mailbox", "one mail to the person, none to nobody")
    expect_equal(
        box.for_address(nobody), [], "no mail goes to an address that is not registered", service=AUTH
    )
