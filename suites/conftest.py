"""What the suites share: people, the platform's adapter, and made files."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from clients.identities import Actor, SharedIdentities, make_actor
from clients.made_files import MadeFile
from clients.service_clients import ServiceClients
from clients.undo import undoers
from core.errors import AssayError
from core.ledger import Ledger
from core.run import Run
from scenarios.adapter import Adapter, adapter_of
from suites.realtime.room_recorder import NewRoom, RoomRecorder


@pytest.fixture
def actor(run: Run, services: ServiceClients, ledger: Ledger) -> Callable[[], Actor]:
    """`actor()` makes a new signed-in person of this check's own; gone again afterwards."""
    return lambda: make_actor(run, services, ledger)


@pytest.fixture
def person(actor: Callable[[], Actor]) -> Actor:
    """One signed-in person, for checks that need no second."""
    return actor()


@pytest.fixture(scope="session")
def shared_identities(run: Run, services: ServiceClients) -> Iterator[SharedIdentities]:
    """`shared_identities.of(n)` are people whom the checks of this process share; undone when it ends."""
    ledger = Ledger(run.journal, undoers(run), run.permit)
    yield SharedIdentities(run, services, ledger)
    if failures := ledger.undo_all():
        raise AssayError("left behind: " + "; ".join(failures))


@pytest.fixture(scope="session")
def adapter(run: Run) -> Adapter:
    """What people do with this platform, as its project describes it."""
    return adapter_of(run.target)


@pytest.fixture
def made(run: Run) -> Callable[..., MadeFile]:
    """`made(size, mime=…, suffix=…)` makes a file of that size with a name of its own."""

    def make(size: int, mime: str = "application/octet-stream", suffix: str = ".bin") -> MadeFile:
        tag = run.tag()
        return MadeFile(f"assay-{tag}{suffix}", size, tag, mime)

    return make


@pytest.fixture
def new_room(run: Run, services: ServiceClients, adapter: Adapter) -> Iterator[NewRoom]:
    """`new_room()` records a new room of this check's own; its connections end with the check."""
    rooms: list[RoomRecorder] = []

    def make() -> RoomRecorder:
        rooms.append(RoomRecorder(services, f"assay-{run.tag()}", adapter.room_wire()))
        return rooms[-1]

    yield make
    for room in rooms:
        room.close()
