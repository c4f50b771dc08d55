"""What a profile's users read, made before the load through the ledger and undone after it.

A profile states what it needs: `NEEDS = Needs(pages=8, posts=3)` are 8 content pages, 3 published posts and a draft of
each person. What was made is handed to the load's processes, word for word, so that any answer can be compared with
the truth.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from clients.service_clients import ServiceClients
from clients.services.builder import page_entry
from clients.services.kv import content_keys
from clients.undo import undoers
from core.clock import eventually
from core.ledger import Ledger
from core.run import Run
from loadengine.identities import LoadIdentity
from scenarios.adapter import Adapter, adapter_of


@contextmanager
def made(run: Run, people: list[LoadIdentity], *, pages: int, posts: int) -> Iterator[dict[str, Any]]:
    """What was made, see `loadprofiles.oracles`; it is gone at the end (posts with their authors)."""
    with run.part("material") as run, ServiceClients(run) as services:
        ledger = Ledger(run.journal, undoers(run), run.permit, check="load")
        adapter = adapter_of(run.target)
        try:
            found: dict[str, Any] = {"pages": [_page(run, services, ledger, adapter) for _ in range(pages)]}
            if posts:
                found |= adapter.make_posts(services, people, posts)
            yield found
        finally:
            for failure in ledger.undo_all():
                print(f"left behind: {failure}", flush=True)


def _page(run: Run, services: ServiceClients, ledger: Ledger, adapter: Adapter) -> dict[str, Any]:
    """One published page, already served once and so kept in the platform's cache."""
    tag = run.tag()
    path, marker = f"/assay/load-{tag}", f"load {tag} 0"
    ledger.plan("kv.prefix", prefix=content_keys(path))
    planned = ledger.plan("builder.entry", path=path)
    made = services.builder.create(page_entry(path, f"Page {tag}", marker))
    planned.confirm(id=made["id"])
    answer = eventually(
        lambda: adapter.page(services.platform.port, path),
        until=lambda a: a.status == 200 and marker in a.text,
        within=90,
        claim=f"the platform serves the page {path}",
        service="platform",
    )
    return {"id": made["id"], "path": path, "tag": tag, "marker": marker, "served": answer.json()}
