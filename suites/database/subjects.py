"""One row of every table, and what becomes of it when somebody tries to read, change, add or delete."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from clients.identities import Actor
from clients.service_clients import Services
from core.errors import ServiceError
from core.run import Run
from scenarios.adapter import Adapter
from suites.database.grants import GRANTS, PUBLISHED_POST, Grant


@dataclass(frozen=True)
class Subject:
    """The owner's row of one table, and how one would change it or add another."""

    name: str
    table: str
    grant: Grant
    key: str
    value: str
    change: dict[str, Any]
    another: Callable[[str], dict[str, Any]]


def subjects(run: Run, services: Services, adapter: Adapter, owner: Actor) -> Iterator[Subject]:
    """One row of the owner's in every table that can hold one, made through the product."""
    tag = run.tag()
    rest, token = services.database.rest, owner.access_token

    def inserted(table: str, row: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = rest("POST", f"/{table}", token=token, body=row).demand(201).json(list)[0]
        return made

    uploaded = adapter.upload(services.platform.port, token, name=f"{tag}.bin", data=b"matrix")
    begun = adapter.start_upload(services.platform.port, token, name=f"{tag}-big.bin", size=6 * 1024 * 1024)
    if uploaded.status != 201 or begun.status != 201:
        raise ServiceError("platform", f"preparing files failed: {uploaded.text[:200]} {begun.text[:200]}")
    file, upload = uploaded.json()["file"], begun.json()["upload"]
    versions = services.database.witness_rows("file_versions", file_id=file["id"])
    entries = services.database.witness_rows("audit_log", entity_id=file["id"])
    inserted("consents", {"analytics": False})

    def file_row(name: str) -> dict[str, Any]:
        return {"owner_id": owner.id, "name": name, "size": 1, "mime": "text/plain", "store": "r2"}

    yield Subject(
        "a profile",
        "profiles",
        GRANTS["profiles"],
        "id",
        owner.id,
        {"bio": tag},
        lambda n: {"id": owner.id, "username": n},
    )
    for name, grant, status in (
        ("a draft", GRANTS["posts"], "draft"),
        ("a published post", PUBLISHED_POST, "published"),
    ):
        post = inserted("posts", {"title": tag, "status": status})
        yield Subject(
            name,
            "posts",
            grant,
            "id",
            post["id"],
            {"body": tag},
            lambda n, s=status: {"author_id": owner.id, "title": n, "status": s},  # type: ignore[misc]
        )
    yield Subject("a file's row", "files", GRANTS["files"], "id", file["id"], {"mime": "text/html"}, file_row)
    yield Subject(
        "a version's row",
        "file_versions",
        GRANTS["file_versions"],
        "id",
        versions[0]["id"],
        {"object_key": f"{owner.id}/x/{tag}"},
        lambda n: {
            "file_id": file["id"],
            "version": 99,
            "size": 1,
            "mime": "a/b",
            "sha256": "0" * 64,
            "store": "r2",
            "object_key": f"{owner.id}/x/{n}",
        },
    )
    yield Subject(
        "an upload's row",
        "uploads",
        GRANTS["uploads"],
        "id",
        upload["id"],
        {"mime": "text/html"},
        lambda n: {
            "owner_id": owner.id,
            "file_id": file["id"],
            "size": 1,
            "mime": "a/b",
            "store": "r2",
            "object_key": f"{owner.id}/x/{n}",
            "expires_at": "2000-01-01T00:00:00Z",
        },
    )
    yield Subject(
        "the trash",
        "object_trash",
        GRANTS["object_trash"],
        "object_key",
        f"{owner.id}/x/none",
        {"reason": tag},
        lambda n: {"store": "r2", "object_key": f"{owner.id}/x/{n}", "reason": "matrix"},
    )
    yield Subject(
        "an audit entry",
        "audit_log",
        GRANTS["audit_log"],
        "id",
        entries[0]["id"],
        {"entity_id": tag},
        lambda n: {"actor": owner.id, "action": "insert", "entity": "posts", "entity_id": n},
    )
    yield Subject(
        "a consent",
        "consents",
        GRANTS["consents"],
        "user_id",
        owner.id,
        {"analytics": True},
        lambda n: {"user_id": owner.id, "analytics": True},
    )


def attempt(
    run: Run, services: Services, subject: Subject, verb: str, token: str | None, owner: Actor
) -> bool:
    """Tries one verb and says whether it was done: reading by the answer, writing by the witness."""
    rest, table = services.database.rest, subject.table
    one = {subject.key: f"eq.{subject.value}"}

    def stored() -> list[dict[str, Any]]:
        return list(services.database.witness_rows(table, **{subject.key: subject.value}))

    match verb:
        case "R":
            answer = rest("GET", f"/{table}", token=token, params={"select": subject.key, **one})
            return answer.status == 200 and len(answer.json(list)) == 1
        case "U":
            before = stored()
            rest("PATCH", f"/{table}", token=token, params=one, body=subject.change, prefer="return=minimal")
            return stored() != before
        case "D":
            if not subject.grant.allows("owner", "D"):
                before = stored()
                rest("DELETE", f"/{table}", token=token, params=one, prefer="return=minimal")
                return len(stored()) < len(before)
            return _deletes_a_copy(services, subject, token, owner, run.tag())
        case _:
            return _inserts(services, subject, token, run.tag())


def _inserts(services: Services, subject: Subject, token: str | None, name: str) -> bool:
    if subject.table == "consents":  # one row a person: the owner's own was made by an insert already
        stored = services.database.witness_rows("consents", user_id=subject.value)
        services.database.rest(
            "POST",
            "/consents",
            token=token,
            body=subject.another(name),
            params={"on_conflict": "user_id"},
            prefer="resolution=merge-duplicates,return=minimal",
        )
        return bool(services.database.witness_rows("consents", user_id=subject.value) != stored)
    before = services.database.witness_rows(subject.table, **_owned(subject, name))
    services.database.rest(
        "POST", f"/{subject.table}", token=token, body=subject.another(name), prefer="return=minimal"
    )
    return len(services.database.witness_rows(subject.table, **_owned(subject, name))) > len(before)


def _owned(subject: Subject, name: str) -> dict[str, str]:
    column, value = next((c, v) for c, v in subject.another(name).items() if isinstance(v, str) and name in v)
    return {column: value}


def _deletes_a_copy(services: Services, subject: Subject, token: str | None, owner: Actor, name: str) -> bool:
    """Deletes a second row of the owner's, so that the subject stays for the next role."""
    made = services.database.rest(
        "POST", f"/{subject.table}", token=owner.access_token, body=subject.another(name)
    )
    identifier = made.demand(201).json(list)[0]["id"]
    services.database.rest(
        "DELETE", f"/{subject.table}", token=token, params={"id": f"eq.{identifier}"}, prefer="return=minimal"
    )
    return not services.database.witness_rows(subject.table, id=identifier)
