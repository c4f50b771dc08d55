"""What lies in the stores below one person's folder, as the stores' own APIs list it."""

from __future__ import annotations

from clients.service_clients import ServiceClients


def holdings(services: ServiceClients, owner: str) -> dict[str, tuple[str, ...]]:
    """Keys that begin with a person's id, by store: those stores that the project's files name and the target has."""
    target = services.run.target
    stores = {rule.store for files in target.description.platform.files.values() for rule in files.rules}
    found: dict[str, tuple[str, ...]] = {}
    for store in sorted(filter(None, stores)):
        if store == "r2" and target.has("storage.r2"):
            found[store] = tuple(sorted(services.r2.s3.keys(f"{owner}/")))
        elif store != "r2" and target.has("storage.supabase"):
            found[store] = tuple(sorted(services.storage.keys(owner, store.removeprefix("storage:"))))
    return found
