"""After a load that uploads: nothing half done may remain. What the load cut off is removed, and looked for.

A user whom the end of the load interrupts leaves an upload without its last parts, as people do who close their
browser. Those are aborted through the platform, files that were not removed any more are removed, and then the
witnesses must find nothing: no row of an upload, no object in R2 or Storage, no part of an unfinished upload.
"""

from __future__ import annotations

from typing import Any

from clients.service_clients import ServiceClients
from core.clock import eventually
from core.errors import AssayError, Missed
from core.events import Gauge
from core.run import Run
from loadengine.identities import LoadIdentity

WITHIN = 30.0
"""Seconds until everything that was asked to go must be gone."""


def sweep(run: Run, profile: str, people: list[LoadIdentity]) -> int:
    """Removes what these people's uploads left and journals what remains; returns how much that is.

    Gauge `load.leftovers` in objects: what the witnesses still find at the end.
    """
    with run.part("leftovers") as run, ServiceClients(run) as services:
        parts = [one for person in people for one in _unfinished(services, person)]
        files = sum(_remove_files(services, person) for person in people)
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


def _unfinished(services: ServiceClients, person: LoadIdentity) -> list[dict[str, Any]]:
    """Uploads under way, each aborted through the platform."""
    found = services.database.witness_rows("uploads", owner_id=person.id)
    for upload in found:
        services.platform.call("DELETE", f"/api/upload/{upload['id']}", token=person.token)
    return list(found)


def _remove_files(services: ServiceClients, person: LoadIdentity) -> int:
    found = services.platform.call("GET", "/api/files", token=person.token, params={"limit": 200})
    rows = found.demand(200).json(dict)["files"]
    for row in rows:
        services.platform.call("DELETE", f"/api/files/{row['id']}", token=person.token)
    return len(rows)


def _remaining(
    run: Run,
    services: ServiceClients,
    people: list[LoadIdentity],
    parts: list[dict[str, Any]],
    left: list[str],
) -> int:
    """How much the witnesses still find; `left` names it."""
    left.clear()
    for person in people:
        left += [
            f"upload {row['id']}" for row in services.database.witness_rows("uploads", owner_id=person.id)
        ]
        left += [f"r2 {key}" for key in services.r2.s3.keys(f"{person.id}/")]
        left += [f"storage {key}" for key in services.storage.keys(f"{person.id}/")]
    left += [
        f"part of {one['object_key']}"
        for one in parts
        if one.get("multipart_id")
        and services.r2.s3.upload_alive(one["object_key"], one["multipart_id"], 10_000, b"still there?")
    ]
    return len(left)
