"""P1.1, P1.2: a person registers, confirms by the mailed link, logs in and is who they say they are."""

from __future__ import annotations

from clients.bulk_identities import metadata_of
from clients.identities import new_identity, plan_user
from clients.sdk import refused
from clients.service_clients import ServiceClients
from core.clock import eventually
from core.expect import expect, expect_equal
from core.ledger import Ledger
from core.passport import check
from core.permit import Action
from core.run import Run
from suites.auth.people import auth_user, confirm
from suites.types import Witness

AUTH = "supabase.auth"


@check(
    "auth.register_confirm_login",
    "A person registers, confirms, logs in and reads themselves",
    requirement=("P1.1", "P1.2", "done.nomocks"),
    service=AUTH,
    needs=("auth.email", "database.rest", "people.register"),
)
def test_register_confirm_login(run: Run, services: ServiceClients, ledger: Ledger, witness: Witness) -> None:
    """Log-in is refused before confirmation and works after it; PostgreSQL and the row that the platform makes agree."""
    email, username, password = new_identity(run, services)
    entry = plan_user(ledger, email)
    person = services.auth.person()
    answer = person.auth.sign_up(
        {"email": email, "password": password, "options": {"data": metadata_of(run, username)}}
    )
    expect(answer.user is not None, "registration answers with the new user", service=AUTH)
    assert answer.user is not None
    entry.confirm(id=answer.user.id)
    if run.target.description.people.confirmed_by_mail:
        expect(
            answer.session is None,
            "registration alone does not log anybody in",
            expected="no session before the address is confirmed",
            saw="a session",
            service=AUTH,
        )
        with refused(
            "email_not_confirmed", claim="log-in is refused before the address is confirmed", service=AUTH
        ):
            services.auth.person().auth.sign_in_with_password({"email": email, "password": password})
        confirm(services, email)
    else:
        expect(answer.session is not None, "registration logs the person in", saw="no session", service=AUTH)

    session = (
        services.auth.person().auth.sign_in_with_password({"email": email, "password": password}).session
    )
    expect(session is not None, "log-in after confirmation answers with a session", service=AUTH)
    assert session is not None
    run.redactor.add(session.access_token)
    me = services.auth.as_user("GET", "/user", session.access_token).expect(
        200, claim="the session's token reads its own user"
    )
    expect_equal(
        me.json(dict).get("id"), answer.user.id, "the session belongs to who registered", service=AUTH
    )

    identifier = answer.user.id
    stored = auth_user(services, identifier)
    witness(services.database.channel, "auth.users holds the confirmed person")
    expect(stored is not None, "PostgreSQL holds the registered user", service=AUTH)
    assert stored is not None
    expect_equal(stored["email"], email, "auth.users holds the address that registered", service=AUTH)
    expect(stored["email_confirmed_at"], "auth.users says when the address was confirmed", service=AUTH)
    if ready := run.target.description.people.ready:
        row = eventually(
            lambda: services.database.witness_rows(ready.table, **{ready.column: identifier}),
            within=10,
            claim=f"the platform makes the person's row in {ready.table}",
            service="supabase.database",
        )[0]
        for name, given in metadata_of(run, username).items():
            if name in row:
                expect_equal(
                    row[name], given, f"the row in {ready.table} has the {name} that registered", service=AUTH
                )


@check(
    "auth.settings_as_described",
    "Auth is set as the project says: who may register, and how an address is confirmed",
    requirement="P1.2",
    service=AUTH,
    needs="auth.email",
    actions=(Action.READ,),
)
def test_settings(services: ServiceClients) -> None:
    """By Auth's own settings."""
    expect_equal(services.auth.unlike_described(), [], "Auth's settings are those of [people]", service=AUTH)
