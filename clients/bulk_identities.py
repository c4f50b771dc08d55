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
from functools import partial
from typing import Any

from clients.http_port import WireAnswer
from clients.pages import pages
from clients.personal_rows import remove_person
from clients.services import auth, undoing
from core.description import fill
from core.errors import BrokenError
from core.ledger import Ledger
from core.ownership import demand_tag
from core.permit import Action
from core.run import Run

AT_ONCE = 4
"""Requests to Auth under way at once: making identities must not load the platform itself."""
_PAGE = 200


@dataclass(frozen=True)
class BulkIdentity:
    """One signed-in identity. What is secret does not show."""

    id: str
    username: str
    email: str
    password: str = field(repr=False)
    token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: float
    """When the token ends, as Auth told; Unix seconds."""


def make(run: Run, client: auth.AuthClient, ledger: Ledger, count: int) -> list[BulkIdentity]:
    """`count` confirmed people, each signed in once, within the target's login budget. Raises BrokenError."""
    run.permit.demand(Action.ADMIN, "making test identities through the admin API")
    tag = run.tag()
    start, name = f"assay-{tag}-", f"a_{re.sub('[^a-z0-9]', '', tag)}"
    password = secrets.token_urlsafe(18) + "aA1!"
    run.redactor.add(password)
    ledger.plan("auth.crowd", start=start)

    def one(number: int) -> BulkIdentity:
        email, username = f"{start}{number}@{client.domain}", f"{name}_{number:05}"
        given = {"email": email, "password": password}
        more = {"email_confirm": True, "user_metadata": metadata_of(run, username)}
        made = _demand(client.as_admin("POST", "/admin/users", body={**given, **more}), "creating")
        answer = client.port.request("POST", "/token", params={"grant_type": "password"}, body=given)
        session = _demand(answer, "signing in")
        run.redactor.learn((session["access_token"], session["refresh_token"]))
        return BulkIdentity(
            made["id"], username, email, password,
            session["access_token"], session["refresh_token"], float(session["expires_at"]),
        )  # fmt: skip

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, range(count)))


def metadata_of(run: Run, username: str) -> dict[str, str]:
    """What a new person registers with, as `[people]` of the description says."""
    return dict(fill(run.target.description.people.metadata, {"username": username}))


def _demand(answer: WireAnswer, doing: str) -> dict[str, Any]:
    if answer.status not in (200, 201):
        raise BrokenError(
            f"{doing} one of the load's people was answered {answer.status}: {answer.text[:200]}"
        )
    return dict(answer.json())


def remove(run: Run, start: str) -> None:
    """Removes everybody whose address begins with `start`, and what they own in the stores."""
    demand_tag(run.id, start, "the start of a crowd's addresses")
    client = undoing(auth.AuthClient, run)
    there = [
        user["id"]
        for user in _everybody(client)
        if str(user.get("email", "")).startswith(start) and client.is_ours(user)
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(partial(remove_person, run), there))


def _everybody(client: auth.AuthClient) -> Iterator[dict[str, Any]]:
    for number in pages(auth.SERVICE.id, "listing all users"):
        answer = client.as_admin("GET", "/admin/users", params={"page": number + 1, "per_page": _PAGE})
        users = answer.demand(200).json(dict).get("users", [])
        yield from users
        if len(users) < _PAGE:
            return
