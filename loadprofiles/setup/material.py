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
from core.errors import ServiceError
from core.ledger import Ledger
from core.run import Run
from loadengine.identities import LoadIdentity
from loadprofiles.oracles import TITLE

_POST = "id,title,body,tags,status,created_at,author:profiles(id,username,display_name)"


@contextmanager
def made(run: Run, people: list[LoadIdentity], *, pages: int, posts: int) -> Iterator[dict[str, Any]]:
    """What was made, see `loadprofiles.oracles`; it is gone at the end (posts with their authors)."""
    with run.part("material") as run, ServiceClients(run) as services:
        ledger = Ledger(run.journal, undoers(run), run.permit, check="load")
        try:
            found: dict[str, Any] = {"pages": [_page(run, services, ledger) for _ in range(pages)]}
            if posts:
                found |= _posts(services, people, posts)
            yield found
        finally:
            for failure in ledger.undo_all():
                print(f"left behind: {failure}", flush=True)


def _page(run: Run, services: ServiceClients, ledger: Ledger) -> dict[str, Any]:
    """One published page, already served once and so kept in the platform's cache."""
    tag = run.tag()
    path, marker = f"/assay/load-{tag}", f"load {tag} 0"
    ledger.plan("kv.prefix", prefix=content_keys(path))
    planned = ledger.plan("builder.entry", path=path)
    made = services.builder.create(page_entry(path, f"Page {tag}", marker))
    planned.confirm(id=made["id"])
    answer = eventually(
        lambda: services.platform.call("GET", "/api/content", params={"path": path}),
        until=lambda a: a.status == 200 and marker in a.text,
        within=90,
        claim=f"the platform serves the page {path}",
        service="platform",
    )
    return {"id": made["id"], "path": path, "tag": tag, "marker": marker, "served": answer.json(dict)}


def _posts(services: ServiceClients, people: list[LoadIdentity], each: int) -> dict[str, Any]:
    """Published posts and one draft of every person, as the REST API itself shows them to their author."""
    drafts: dict[str, Any] = {}
    profiles: dict[str, Any] = {}
    published: list[Any] = []
    for person in people:
        rows = [_row(person, number, "published") for number in range(each)] + [_row(person, each, "draft")]
        answer = services.database.rest(
            "POST",
            f"/posts?select={_POST}",
            token=person.token,
            body=rows,
            headers={"Prefer": "return=representation"},
        )
        stored = answer.demand(201).json(list)
        if [row["title"] for row in stored] != [row["title"] for row in rows]:
            raise ServiceError("supabase.database", "posts came back in another order than they were sent")
        published += stored[:-1]
        drafts[person.id] = stored[-1]
        own = services.database.rest("GET", f"/profiles?select=*&id=eq.{person.id}", token=person.token)
        profiles[person.id] = own.demand(200).json(list)[0]
    hot = services.database.rest(
        "POST", "/posts", token=people[0].token, body=_row(people[0], each + 1, "draft")
    )
    return {
        "posts": sorted(published, key=lambda row: str(row["id"])),
        "drafts": drafts,
        "profiles": profiles,
        "hot": hot.demand(201).json(list)[0]["id"],
    }


def _row(person: LoadIdentity, number: int, status: str) -> dict[str, Any]:
    title = f"{TITLE} {person.username} {number}"
    return {"title": title, "body": f"{title}: " + "words " * 40, "status": status, "tags": ["load", status]}
