"""A crowd: many identities of our own that only load needs, made and removed together.

One entry of the ledger stands for all of them (`auth.crowd`, the start of their addresses), planned before the
first is created: whatever became of the making, undoing asks the admin API who is there.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from clients.http_port import WireAnswer
from clients.services import auth, database, undoing
from core.errors import BrokenError
from core.ledger import Ledger
from core.permit import Action
from core.run import Run

AT_ONCE = 4
"""Requests to Auth under way at once: a crowd arrives through the side door, not as a storm."""
_PAGE = 200


@dataclass(frozen=True)
class Member:
    """One signed-in identity. What is secret does not show."""

    id: str
    username: str
    email: str
    password: str = field(repr=False)
    token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: float
    """When the token ends, as Auth told; Unix seconds."""


def make(run: Run, client: auth.Client, ledger: Ledger, count: int) -> list[Member]:
    """`count` confirmed people, each signed in once, within the target's login budget. Raises BrokenError."""
    run.permit.demand(Action.ADMIN, "making test identities through the admin API")
    tag = run.tag()
    start, name = f"assay-{tag}-", f"a_{re.sub('[^a-z0-9]', '', tag)}"
    password = secrets.token_urlsafe(18) + "aA1!"
    run.redactor.add(password)
    ledger.plan("auth.crowd", start=start)

    def one(number: int) -> Member:
        email, username = f"{start}{number}@{client.domain}", f"{name}_{number:05}"
        given = {"email": email, "password": password}
        more = {"email_confirm": True, "user_metadata": {"username": username}}
        made = _demand(client.as_admin("POST", "/admin/users", body={**given, **more}), "creating")
        answer = client.port.request("POST", "/token", params={"grant_type": "password"}, body=given)
        session = _demand(answer, "signing in")
        run.redactor.learn((session["access_token"], session["refresh_token"]))
        return Member(
            made["id"], username, email, password,
            session["access_token"], session["refresh_token"], float(session["expires_at"]),
        )  # fmt: skip

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, range(count)))


def _demand(answer: WireAnswer, doing: str) -> dict[str, Any]:
    if answer.status not in (200, 201):
        raise BrokenError(
            f"{doing} one of the load's people was answered {answer.status}: {answer.text[:200]}"
        )
    return dict(answer.json())


def remove(run: Run, start: str) -> None:
    """Removes everybody whose address begins with `start`, and what they own in the stores."""
    from clients.services import r2, storage

    client = undoing(auth.Client, run)
    rows = undoing(database.Client, run)
    there = [user["id"] for user in _everybody(client) if str(user.get("email", "")).startswith(start)]
    owners: set[str] = set()
    for begin in range(0, len(there), 50):
        some = ",".join(there[begin : begin + 50])
        for table in ("files", "uploads"):
            params = {"select": "owner_id", "owner_id": f"in.({some})"}
            found = rows.as_admin("GET", f"/{table}", params=params).demand(200).json(list)
            owners |= {row["owner_id"] for row in found}

    def one(identifier: str) -> None:
        if identifier in owners:
            storage.empty_folder(run, f"{identifier}/")
            r2.empty_folder(run, f"{identifier}/")
        client.delete_user(identifier)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, there))


def _everybody(client: auth.Client) -> Iterator[dict[str, Any]]:
    for page in range(1, 501):
        answer = client.as_admin("GET", "/admin/users", params={"page": page, "per_page": _PAGE})
        users = answer.demand(200).json(dict).get("users", [])
        yield from users
        if len(users) < _PAGE:
            return
