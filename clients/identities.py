"""Actors: signed-in people of our own, made by the admin API so that no mail is sent, undone by the ledger."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from supabase import Client as Supabase

from clients import bulk_identities
from clients.sdk import preparing
from clients.service_clients import ServiceClients
from core.clock import eventually
from core.errors import Missed, ServiceError
from core.ledger import Entry, Ledger
from core.permit import Action
from core.run import Run


@dataclass
class Actor:
    """One person. `supabase` is their own SDK client, signed in; the password and tokens are redacted."""

    id: str
    email: str
    username: str
    password: str = field(repr=False)
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    supabase: Supabase = field(repr=False)

    @property
    def bearer(self) -> dict[str, str]:
        """The Authorization header that carries this person's token."""
        return {"Authorization": f"Bearer {self.access_token}"}


def new_identity(run: Run, services: ServiceClients) -> tuple[str, str, str]:
    """(email, username, password) that nobody has; the password is made known to the redactor."""
    run.permit.demand(Action.WRITE, "making a test identity")
    tag = run.tag()
    password = secrets.token_urlsafe(18) + "aA1!"
    run.redactor.add(password)
    run.redactor.add(f"assay-{tag}@{services.auth.domain}")
    return f"assay-{tag}@{services.auth.domain}", f"a_{tag}", password


def plan_user(ledger: Ledger, email: str) -> Entry:
    """Plans a user in the ledger, before whatever creates it; confirm with `id=` once it is known.

    Only the address's local part is journaled: addresses are masked in evidence, and the sweeper must still
    find a user whose creation was cut off before its id was known.
    """
    return ledger.plan("auth.user", local=email.partition("@")[0])


def make_actor(run: Run, services: ServiceClients, ledger: Ledger) -> Actor:
    """A new confirmed person, signed in once. A failure is the preparation's: broken, not missed."""
    run.permit.demand(Action.ADMIN, "making a test identity through the admin API")
    email, username, password = new_identity(run, services)
    entry = plan_user(ledger, email)
    with preparing("making a test identity"):
        created = services.auth.admin.create_user(
            {
                "email": email,
                "password": password,
                "email_confirm": True,
                "user_metadata": bulk_identities.metadata_of(run, username),
            }
        )
    entry.confirm(id=created.user.id)
    return sign_in(run, services, created.user.id, email, username, password)


def sign_in(
    run: Run, services: ServiceClients, identifier: str, email: str, username: str, password: str
) -> Actor:
    """Signs an existing person in with a client of their own and waits until the platform has made their row, if it does."""
    person = services.auth.person()
    with preparing("signing a test identity in"):
        session = person.auth.sign_in_with_password({"email": email, "password": password}).session
    if session is None:
        raise ServiceError("supabase.auth", "signing a test identity in gave no session")
    for token in (session.access_token, session.refresh_token):
        run.redactor.add(token)
    if ready := run.target.description.people.ready:
        try:
            eventually(
                lambda: services.database.witness_rows(ready.table, **{ready.column: identifier}),
                within=10,
                claim=f"the platform makes a new person's row in {ready.table}",
                service="supabase.database",
            )
        except Missed as error:
            raise ServiceError(
                "supabase.database", f"preparing a test identity: {error.claim}: it never came"
            ) from error
    return Actor(
        id=identifier,
        email=email,
        username=username,
        password=password,
        access_token=session.access_token,
        refresh_token=session.refresh_token,
        supabase=person,
    )


class SharedIdentities:
    """People with a session that checks of one process share, so that many people cost few log-ins.

    For checks that only need somebody who is signed in: they may talk, and must neither change nor end the
    person, their session, or what they own.
    """

    def __init__(self, run: Run, services: ServiceClients, ledger: Ledger) -> None:
        self._run, self._services, self._ledger = run, services, ledger
        self._people: list[Actor] = []

    def of(self, number: int) -> list[Actor]:
        """That many different people; those who are there first, new ones for the rest.

        Their `supabase` has no session: it is their tokens that are signed in.
        """
        for made in bulk_identities.make(
            self._run, self._services.auth, self._ledger, max(0, number - len(self._people))
        ):
            self._people.append(
                Actor(
                    id=made.id,
                    email=made.email,
                    username=made.username,
                    password=made.password,
                    access_token=made.token,
                    refresh_token=made.refresh_token,
                    supabase=self._services.auth.person(),
                )
            )
        return self._people[:number]
