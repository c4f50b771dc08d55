"""Posts made before a load, as the REST API shows them to their author."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clients.service_clients import ServiceClients
from core.errors import ServiceError
from scenarios.adapter import LoadPerson
from stack.platform.assay.posts.journeys import TITLE

_POST = "id,title,body,tags,status,created_at,author:profiles(id,username,display_name)"


def made_posts(services: ServiceClients, people: Sequence[LoadPerson], each: int) -> dict[str, Any]:
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


def _row(person: LoadPerson, number: int, status: str) -> dict[str, Any]:
    title = f"{TITLE} {person.username} {number}"
    return {"title": title, "body": f"{title}: " + "words " * 40, "status": status, "tags": ["load", status]}
