"""P1.2: passwords: which are refused, and that a refusal tells a stranger nothing."""

from __future__ import annotations

from clients.identities import new_identity, plan_user
from clients.sdk import ServiceRefusal, refused
from clients.service_clients import ServiceClients
from core.expect import expect, expect_equal
from core.ledger import Ledger
from core.passport import check
from core.run import Run
from suites.auth.people import auth_user
from suites.types import NewActor, Witness

AUTH = "supabase.auth"


@check(
    "auth.wrong_password",
    "A wrong password opens nothing, and does not tell whether the person exists",
    requirement=("P1.2", "P6.3"),
    service=AUTH,
    needs=("auth.email",),
)
def test_wrong_password(run: Run, services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """Wrong, empty of case, and for nobody: the same refusal; the right one works (positive control)."""
    person = actor()
    stranger, _, other = new_identity(run, services)
    said: set[tuple[int, str, str]] = set()
    for email, password in (
        (person.email, other),
        (person.email, person.password.swapcase()),
        (stranger, other),
    ):
        try:
            services.auth.person().auth.sign_in_with_password({"email": email, "password": password})
        except ServiceRefusal as error:
            said.add((error.status, error.code, error.message))
        else:
            expect(False, "a wrong password is refused", saw="a session", service=AUTH)
    expect_equal(
        {(status, code) for status, code, _ in said},
        {(400, "invalid_credentials")},
        "each wrong log-in is refused as invalid_credentials",
        service=AUTH,
    )
    expect_equal(len(said), 1, "the refusal is the same whether the person exists or not", service=AUTH)
    good = services.auth.person().auth.sign_in_with_password(
        {"email": person.email, "password": person.password}
    )
    expect(good.session is not None, "the right password logs in (positive control)", service=AUTH)
    stored = auth_user(services, person.id) or {}
    witness(services.database.channel, "how the password is stored")
    if "encrypted_password" in stored:
        kept = str(stored["encrypted_password"])
        expect(
            kept.startswith(("$2", "$argon2")) and person.password not in kept,
            "the password is stored as a salted hash alone",
            expected="bcrypt or argon2",
            saw=f"something beginning {kept[:4]!r}",
            service=AUTH,
        )


@check(
    "auth.registration_refused",
    "A weak password, a bad address and a taken address make no new person",
    requirement=("P1.2", "P6.3"),
    service=AUTH,
    needs=("auth.email", "people.register"),
)
def test_registration_refused(
    run: Run, services: ServiceClients, ledger: Ledger, actor: NewActor, witness: Witness
) -> None:
    """A taken address answers like a new one, so that nobody learns who is registered, and changes nothing."""
    taken = actor()
    email, _, password = new_identity(run, services)
    plan_user(ledger, email)
    least = run.target.description.people.password_minimum
    short = "aB3$"[: max(1, least - 1)].ljust(least - 1, "x")
    with refused(
        "weak_password", claim=f"a password of {least - 1} letters is refused as weak", service=AUTH
    ):
        services.auth.person().auth.sign_up({"email": email, "password": short})
    with refused(
        "validation_failed", "email_address_invalid", claim="an address without @ is refused", service=AUTH
    ):
        services.auth.person().auth.sign_up({"email": "no address", "password": password})
    before = auth_user(services, taken.id)
    for what, address in (("", taken.email), (" in other letters", taken.email.swapcase())):
        claim = f"registering a taken address{what} logs nobody in"
        if run.target.description.people.confirmed_by_mail:
            answer = services.auth.person().auth.sign_up({"email": address, "password": password})
            expect(answer.session is None, claim, saw="a session", service=AUTH)
        else:  # without a mail, Auth says so at once
            with refused("user_already_exists", claim=claim, service=AUTH):
                services.auth.person().auth.sign_up({"email": address, "password": password})
    expect_equal(services.auth.ids_of(taken.email), [taken.id], "one address is one person's", service=AUTH)
    after = auth_user(services, taken.id)
    witness(services.database.channel, "the person whose address was tried")
    expect_equal(after, before, "registering a taken address changes nothing of its owner", service=AUTH)
    expect_equal(
        services.auth.find_id(email), None, "no person came of the refused registrations", service=AUTH
    )
    again = services.auth.person().auth.sign_in_with_password(
        {"email": taken.email, "password": taken.password}
    )
    expect(again.session is not None, "the owner's own password still works (positive control)", service=AUTH)


@check(
    "auth.password_changed",
    "A changed password is the only one that works",
    requirement="P1.2",
    service=AUTH,
    needs=("auth.email",),
)
def test_password_changed(run: Run, services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """The same password again is refused; a new one replaces the old one, in auth.users too."""
    person = actor()
    _, _, new = new_identity(run, services)
    before = auth_user(services, person.id)
    elsewhere = services.auth.person().auth.sign_in_with_password(
        {"email": person.email, "password": person.password}
    )
    expect(elsewhere.session is not None, "a second session is opened", service=AUTH)
    assert elsewhere.session is not None
    run.redactor.add(elsewhere.session.access_token)
    run.redactor.add(elsewhere.session.refresh_token)
    demanded = run.target.description.people.current_password
    if demanded:
        with refused(
            "current_password_required", claim="without the current password none is set", service=AUTH
        ):
            person.supabase.auth.update_user({"password": new})
    for password, known in ((person.password, True), (new, False)):
        body = {"password": password} | ({"current_password": person.password} if demanded else {})
        set_ = services.auth.as_user("PUT", "/user", person.access_token, body)
        if known:
            expect_equal(set_.code, "same_password", "the same password again is refused", service=AUTH)
        else:
            set_.expect(200, claim="a new password is set")
    with refused("invalid_credentials", claim="the old password no longer works", service=AUTH):
        services.auth.person().auth.sign_in_with_password(
            {"email": person.email, "password": person.password}
        )
    session = (
        services.auth.person().auth.sign_in_with_password({"email": person.email, "password": new}).session
    )
    expect(session is not None, "the new password works (positive control)", service=AUTH)
    for what, almost in (("only begins like it", new[:-1]), ("goes on after it", new + "x")):
        with refused("invalid_credentials", claim=f"a password that {what} does not log in", service=AUTH):
            services.auth.person().auth.sign_in_with_password({"email": person.email, "password": almost})
    old = elsewhere.session
    again = services.auth.port.request(
        "POST", "/token", params={"grant_type": "refresh_token"}, body={"refresh_token": old.refresh_token}
    )
    expect(
        again.status in (400, 401, 403),
        "who was logged in elsewhere with the old password is no longer: that session is not refreshed",
        saw=again.said(),
        service=AUTH,
    )
    seen = services.auth.as_user("GET", "/user", old.access_token)
    expect(
        seen.status in (401, 403),
        "the access token of that session, made with the old password, works no longer",
        saw=seen.said(),
        service=AUTH,
    )
    after = auth_user(services, person.id)
    witness(services.database.channel, "the stored hash before and after")
    if before and after and "encrypted_password" in after:
        expect(
            after["encrypted_password"] != before["encrypted_password"],
            "the stored hash changed with the password",
            saw="the same hash",
            service=AUTH,
        )
