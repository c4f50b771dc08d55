"""How to undo each kind of thing that a run creates: what one service holds, and people, who own things in several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clients import bulk_identities
from clients.personal_rows import remove_person
from clients.services import modules, undoing
from clients.services.auth import AuthClient
from core.ledger import Undo
from core.ownership import NotOursError, demand_tag
from core.run import Run


def undoers(run: Run) -> dict[str, Undo]:
    """The undo of each kind of the ledger's entries, by the kind's name."""
    found = people(run)
    for module in modules():
        if make := getattr(module, "undoers", None):
            found.update(make(run))
    return found


def people(run: Run) -> dict[str, Undo]:
    """`auth.user` {local, id?}: what the person owns in the stores, the person, and mail to them.

    `local` is the address's local part; the domain is the target's. A person who is known by their id may have no
    address (an anonymous one); any other address than one of ours makes them somebody's.
    `auth.crowd` {start}: everybody whose address begins so.
    """

    def undo_user(key: Mapping[str, Any]) -> None:
        client = undoing(AuthClient, run)
        local = demand_tag(run.id, key.get("local", ""), "the address of a person")
        email = f"{local}@{client.domain}"
        identifier = key.get("id") or client.find_id(email)
        if identifier:
            there = client.user(identifier)
            if there and there.get("email") and not client.is_ours(there):
                raise NotOursError(f"person {identifier} has no address of run {run.id}'s own")
            remove_person(run, identifier)
        if client.mailbox:
            client.mailbox.delete_for(email)

    def undo_crowd(key: Mapping[str, Any]) -> None:
        bulk_identities.remove(run, str(key["start"]))

    return {"auth.user": undo_user, "auth.crowd": undo_crowd}
