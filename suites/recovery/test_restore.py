"""D12: a backup is worth what a restoration brings back: into an empty project, and compared to the last row and byte."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from clients import embedded
from clients.identities import Actor
from clients.made_files import MadeFile, sha256
from clients.service_clients import ServiceClients
from clients.services import catalogue
from core.clock import now_ns
from core.expect import expect, expect_equal
from core.ledger import Ledger
from core.passport import check
from core.permit import Action
from core.run import Run
from scenarios.adapter import Adapter, Stored, adapter_of
from scenarios.recovery import database, stores
from scenarios.recovery.inventory import inventory, losses, stated
from suites.types import NewActor, NewFile, Witness

DATABASE = "supabase.database"
T = TypeVar("T")


@check(
    "recovery.restored",
    "A backup of every store, restored into an empty project, brings back every row, byte and policy, and works",
    requirement=("D12",),
    service=DATABASE,
    needs=(
        "database.sql",
        "platform.api",
        "auth.email",
        "storage.supabase",
        "storage.r2",
        "cache.kv",
        "platform.files.*.read",
    ),
    actions=(Action.READ, Action.WRITE, Action.ADMIN, Action.DESTRUCTIVE, Action.OUTAGE),
    timeout=300,
    why_slow="a second, empty target is started and filled",
    exclusive=True,
)
def test_restored(
    run: Run,
    services: ServiceClients,
    adapter: Adapter,
    ledger: Ledger,
    actor: NewActor,
    made: NewFile,
    witness: Witness,
) -> None:
    """Judged by what both projects hold, in digests of PostgreSQL and the stores; then its owner uses what came back."""
    owner = actor()
    files = _files(services, adapter, owner, made)
    key = f"assay-{run.tag()}"
    ledger.plan("kv.prefix", prefix=key)
    services.kv.put(key, key.encode())
    target = run.target
    dsn = target.get("SUPABASE_DB_URL")
    before = inventory(services)
    rows = _timed(run, "recovery.backup", lambda: database.back_up(dsn, target.permit))
    kept = stores.back_up(services)
    after = inventory(services)
    steady = {name: digest for name, digest in before.items() if after.get(name) == digest}
    with (
        tempfile.TemporaryDirectory(prefix="assay-restore-") as folder,
        embedded.attach(state=Path(folder) / "stack") as stack,
    ):
        fresh = Run.begin(Path(folder) / "run", stack.target(catalogue()), "restore")
        with ServiceClients(fresh) as empty:
            found = _timed(run, "recovery.time", lambda: _restored(rows, kept, empty, steady))
            witness("SQL and the stores' own APIs", f"{len(steady)} rows, facts, objects and keys compared")
            expect(
                not found,
                "a restoration into an empty project loses nothing",
                expected=f"all {len(steady)} rows, policies, objects and keys",
                saw=stated(found),
                service=DATABASE,
            )
            _works(empty, fresh, owner, files)
        fresh.journal.close()


def _files(
    services: ServiceClients, adapter: Adapter, owner: Actor, made: NewFile
) -> list[tuple[MadeFile, Stored, str]]:
    """A file of the owner's in each store that the platform has."""
    found = []
    for kind, described in services.run.target.description.platform.files.items():
        for above in [rule.above for rule in described.rules] or [None]:
            file = made(3000 if above is None else above + 1, described.type)
            answer = adapter.upload(
                services.platform.port,
                owner.access_token,
                name=file.name,
                data=file.data,
                mime=file.mime,
                kind=kind,
            )
            expect_equal(answer.status, described.upload.answers, f"a {kind} is taken", service="platform")
            found.append((file, adapter.stored(answer, kind), kind))
    return found


def _restored(
    rows: database.DatabaseBackup, kept: list[stores.Kept], empty: ServiceClients, due: dict[str, str]
) -> list[str]:
    """Restores and compares; what was lost."""
    target = empty.run.target
    stores.restore(kept, empty)
    database.restore(rows, target.get("SUPABASE_DB_URL"), target.permit)
    return losses(due, inventory(empty))


def _works(
    empty: ServiceClients, fresh: Run, owner: Actor, files: list[tuple[MadeFile, Stored, str]]
) -> None:
    """The owner logs in with the old password, and the platform hands out the old files."""
    adapter = adapter_of(fresh.target)
    session = adapter.sign_in(empty.platform.port, owner.email, owner.password)
    expect_equal(
        session.status, 200, "a restored person logs in with their password", service="supabase.auth"
    )
    token = str(session.json()["access_token"])
    for file, stored, kind in files:
        answer = adapter.read_file(empty.platform.port, token, stored.id, kind=kind)
        expect_equal(
            (answer.status, sha256(answer.content)),
            (200, file.sha256),
            f"a restored {kind} of {file.size} bytes is handed out whole",
            service="platform",
        )


def _timed(run: Run, metric: str, do: Callable[[], T]) -> T:
    """Does it, and records how long it took."""
    begun = now_ns()
    done = do()
    series = run.journal.series(metric, unit="s")
    run.journal.sample(series, intended=begun, sent=begun, done=now_ns())
    return done
