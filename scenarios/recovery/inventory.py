"""Everything that a project holds, by name and digest; what one holds and another does not is a loss, by its name."""

from __future__ import annotations

from clients.service_clients import ServiceClients
from scenarios.recovery import database, stores

Inventory = dict[str, str]
SHOWN = 20


def inventory(services: ServiceClients) -> Inventory:
    """Rows, policies and other facts of the schema, objects and keys, each with a digest of its contents."""
    target = services.run.target
    found = database.rows_and_facts(target.get("SUPABASE_DB_URL"), target.permit)
    return found | {one.name: one.digest for one in stores.back_up(services)}


def losses(before: Inventory, after: Inventory) -> list[str]:
    """What is gone and what is another, in words. What is there beside it was not lost."""
    gone = [f"lost: {name}" for name in sorted(before.keys() - after.keys())]
    other = [
        f"changed: {name}" for name in sorted(before.keys() & after.keys()) if before[name] != after[name]
    ]
    return gone + other


def stated(found: list[str]) -> str:
    """Losses in one sentence, the first of them by name."""
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return f"{len(found)}: {'; '.join(found[:SHOWN])}{more}"
