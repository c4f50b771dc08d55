"""After a load that uploads: nothing half done may remain. What the load cut off is removed, and looked for.

A user whom the end of the load interrupts leaves an upload without its last parts, as people do who close their
browser. Those are aborted through the platform, files that were not removed any more are removed, and then the
witnesses must find nothing: no row of an upload, no object in R2 or Storage, no part of an unfinished upload.
"""

from __future__ import annotations

from typing import Any

from clients.service_clients import ServiceClients
from core.clock import eventually
from core.description import pick
from core.description.platform import UnfinishedParts
from core.errors import AssayError, Missed
from core.events import Gauge
from core.run import Run
from loadengine.identities import LoadIdentity
from scenarios.adapter import Adapter, adapter_of

WITHIN = 30.0
"""Seconds until everything that was asked to go must be gone."""


def sweep(run: Run, profile: str, people: list[LoadIdentity]) -> int:
    """Removes what these people's uploads left and journals what remains; returns how much that is.

    Gauge `load.leftovers` in objects: what the witnesses still find at the end.
    """
    with run.part("leftovers") as run, ServiceClients(run) as services:
        adapter = adapter_of(run.target)
        parts = [one for person in people for one in _unfinished(services, adapter, person)]
        files = sum(_remove_files(services, adapter, person) for person in people)
        left: list[str] = []
        try:
            eventually(
                lambda: _remaining(run, services, people, parts, left),
                until=lambda n: n == 0,
                within=WITHIN,
                every=1.0,
                claim="uploads leave nothing behind",
            )
        except Missed:
            print(f"left behind by uploads: {', '.join(left[:5])}", flush=True)
        except AssayError as error:
            left[:] = [str(error)]
        named = dict.fromkeys(left[:20], 1)
        run.journal.write(
            Gauge("load.leftovers", len(left), "objects", {"profile": profile}, named), durable=True
        )
        print(
            f"uploads: {len(parts)} cut off and aborted, {files} files removed, {len(left)} left", flush=True
        )
        return len(left)


def _rows(services: ServiceClients, person: LoadIdentity) -> list[dict[str, Any]]:
    """What the platform itself keeps of this person's uploads under way, where the project says in which table."""
    kept = _kept(services)
    return list(services.database.witness_rows(kept.table, **{kept.owner: person.id})) if kept else []


def _kept(services: ServiceClients) -> UnfinishedParts | None:
    files = services.run.target.description.files()
    return files.parts.unfinished if files and files.parts else None


def _unfinished(services: ServiceClients, adapter: Adapter, person: LoadIdentity) -> list[dict[str, Any]]:
    """Uploads under way, each aborted through the platform."""
    found, kept = _rows(services, person), _kept(services)
    for upload in found:
        assert kept is not None
        adapter.abort_upload(services.platform.port, person.token, str(upload[kept.id]))
    return found


def _remove_files(services: ServiceClients, adapter: Adapter, person: LoadIdentity) -> int:
    """Removes this person's files, page by page of the list as the platform gives it."""
    gone: set[str] = set()
    while adapter.files().listing is not None:
        listed = adapter.listed(adapter.list_files(services.platform.port, person.token))
        left = {str(pick(one, adapter.files().upload.id, "")) for one in listed} - gone
        if not left:
            break
        for file in left:
            adapter.remove_file(services.platform.port, person.token, file)
        gone |= left
    return len(gone)


def _remaining(
    run: Run,
    services: ServiceClients,
    people: list[LoadIdentity],
    parts: list[dict[str, Any]],
    left: list[str],
) -> int:
    """How much the witnesses still find; `left` names it."""
    left.clear()
    kept = _kept(services)
    for person in people:
        left += [f"upload {row[kept.id]}" for row in _rows(services, person) if kept]
        left += [f"r2 {key}" for key in services.r2.s3.keys(f"{person.id}/")]
        left += [f"storage {key}" for key in services.storage.keys(f"{person.id}/")]
    if kept and kept.multipart:
        left += [
            f"part of {one[kept.key]}"
            for one in parts
            if one.get(kept.multipart)
            and services.r2.s3.upload_alive(one[kept.key], one[kept.multipart], 10_000, b"still there?")
        ]
    return len(left)
