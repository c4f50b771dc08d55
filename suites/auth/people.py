"""Steps that the checks of authentication share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt

from clients.mailbox import Mailbox
from clients.service_clients import ServiceClients
from clients.strict_json import strict_json
from core.description import fill
from core.description.database import OWNER, Database
from core.errors import Missed


def confirm(services: ServiceClients, email: str) -> None:
    """Confirms an address as its owner does: by the mailed link, else by the admin API's link."""
    if services.auth.mailbox:
        link = services.auth.mailbox.wait_for(email).links()[0]
    else:
        made = services.auth.admin.generate_link({"type": "magiclink", "email": email})
        link = made.properties.action_link
    follow(services, link)


def follow(services: ServiceClients, link: str) -> dict[str, list[str]]:
    """Opens a mailed link and returns what the redirect hands to the web app, query and fragment together."""
    answer = services.auth.port.request("GET", link, allow=(302, 303))
    answer.expect(302, 303, claim="the mailed link answers with a redirect to the platform")
    location = urlsplit(answer.headers.get("location", ""))
    return {**parse_qs(location.query), **parse_qs(location.fragment)}


def claims_of(token: str) -> dict[str, Any]:
    """What a token says, its signature not looked at; Missed when it is none, or lacks a claim asked of it."""

    def on_missing(what: str) -> Missed:
        return Missed(
            "a session's token is a JWT that says whose it is", expected=what, service="supabase.auth"
        )

    try:
        claims: dict[str, Any] = strict_json(
            jwt.decode(token, options={"verify_signature": False}), on_missing
        )
    except jwt.InvalidTokenError as error:
        raise on_missing(f"a JWT ({error})") from error
    return claims


def auth_user(services: ServiceClients, identifier: str) -> dict[str, Any] | None:
    """The user as PostgreSQL holds it, else as the admin API shows it."""
    if services.database.sql:
        found: dict[str, Any] | None = services.database.sql.one(
            "select id::text, email, email_confirmed_at, encrypted_password, is_anonymous, raw_user_meta_data "
            "from auth.users where id = %s",
            (identifier,),
        )
        return found
    answer = services.auth.as_admin("GET", f"/admin/users/{identifier}")
    if answer.status == 404:
        return None
    shown: dict[str, Any] = answer.demand(200).json(dict)
    return shown


def mailbox_of(services: ServiceClients) -> Mailbox:
    """The mailbox, for checks that cannot do without; ConfigError when MAILBOX_URL is not given."""
    if services.auth.mailbox is None:
        services.run.target.get("MAILBOX_URL")  # raises
    assert services.auth.mailbox is not None
    return services.auth.mailbox


@dataclass(frozen=True)
class OwnRow:
    """A row that a person may write for themselves, and the column that says whose it is."""

    table: str
    row: dict[str, Any]
    column: str


def own_row(database: Database, user: str, tag: str) -> OwnRow | None:
    """A row of the first described table into which its owner may write without anything else; None without one."""
    for name, table in database.tables.items():
        mine = next((column for column, value in (table.row or {}).items() if value == "{user}"), "")
        if mine and table.by == OWNER and not table.before and "C" in table.may[OWNER]:
            row = fill(table.row, {"user": user, "tag": tag, "number": 1})
            return OwnRow(database.table_of(name), row, mine)
    return None
