"""P2.3: long random histories of a file manager, compared step by step with a model of what must hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from clients.identities import Actor
from clients.made_files import PROGRAMS, sha256
from clients.service_clients import ServiceClients
from core.clock import eventually
from core.expect import expect, expect_equal, expect_status
from core.passport import check
from scenarios.adapter import Adapter
from stack.platform.assay.checks.storage.uploads import holdings, listed, read
from suites.histories import FirstError, noted, run_histories
from suites.types import NewActor, Witness

PLATFORM = "platform"
NAMES = st.sampled_from(["a.bin", "b.bin", "c.bin"])
FOLDERS = st.sampled_from(["/", "/x", "/x/y"])
DATA = st.binary(min_size=0, max_size=200).filter(lambda data: not data.startswith(PROGRAMS))
EXAMPLES, STEPS = 4, 15


@dataclass
class World:
    """What all histories share: the target and the person; how many steps were taken."""

    services: ServiceClients
    adapter: Adapter
    person: Actor
    steps: int = 0
    first_error: FirstError = field(default_factory=FirstError)


@dataclass
class Known:
    """A file as the model has it: where it lies and the content of each version, oldest first."""

    name: str
    folder: str
    versions: list[bytes] = field(default_factory=list)


class Files(RuleBasedStateMachine):
    """One person uploads, renames, restores and deletes; names are few, so that they collide."""

    world: ClassVar[World]
    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[str, Known] = {}

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        self.world.steps += 1
        return self.world.services.platform.call(
            method, path, token=self.world.person.access_token, body=body
        )

    def _at(self, folder: str, name: str) -> str | None:
        return next((i for i, f in self.model.items() if (f.folder, f.name) == (folder, name)), None)

    @rule(target=ids, name=NAMES, folder=FOLDERS, data=DATA)
    @noted
    def upload(self, name: str, folder: str, data: bytes) -> str:
        """A new file, or the next version of the one that has this place."""
        self.world.steps += 1
        services, token = self.world.services, self.world.person.access_token
        answer = self.world.adapter.upload(services.platform.port, token, name=name, data=data, folder=folder)
        expect(
            answer.status == 201,
            f"uploading to {folder} {name} is taken",
            saw=answer.text[:200],
            service=PLATFORM,
        )
        file = answer.json()["file"]
        known = self._at(folder, name)
        if known is not None:
            expect_equal(
                file["id"], known, "a taken place gets a version, not another file", service=PLATFORM
            )
        entry = self.model.setdefault(file["id"], Known(name, folder))
        entry.versions.append(data)
        expect_equal(file["version"], len(entry.versions), "versions rise by one", service=PLATFORM)
        return str(file["id"])

    @rule(file=ids, name=NAMES, folder=FOLDERS)
    @noted
    def move(self, file: str, name: str, folder: str) -> None:
        """To a free place, or its own; a taken one is refused."""
        answer = self._call("PATCH", f"/api/files/{file}", {"name": name, "folder": folder})
        if file not in self.model:
            expect_status(answer, 404, "a deleted file cannot be moved", service=PLATFORM)
        elif self._at(folder, name) not in (None, file):
            expect_status(answer, 409, "a taken place is refused", service=PLATFORM)
        else:
            expect_status(answer, 200, "a free place is taken", service=PLATFORM)
            self.model[file].name, self.model[file].folder = name, folder

    @rule(file=ids, version=st.integers(1, 4))
    @noted
    def restore(self, file: str, version: int) -> None:
        """An old version's content becomes the newest version."""
        answer = self._call("POST", f"/api/files/{file}/restore", {"version": version})
        known = self.model.get(file)
        if known is None or version > len(known.versions):
            expect_status(answer, 404, "what is not there is not restored", service=PLATFORM)
        else:
            expect(
                answer.status in (200, 201),
                "a version there was is restored",
                saw=answer.said(),
                service=PLATFORM,
            )
            known.versions.append(known.versions[version - 1])

    @rule(some=st.lists(ids, min_size=1, max_size=3, unique=True))
    @noted
    def delete(self, some: list[str]) -> None:
        """Several at once, all or none."""
        answer = self._call("POST", "/api/files/batch", {"ops": [{"op": "delete", "id": i} for i in some]})
        if all(i in self.model for i in some):
            expect_status(answer, 200, "deleting what is there is done", service=PLATFORM)
            for identifier in some:
                del self.model[identifier]
        else:
            expect_status(answer, 404, "a batch with a deleted file is refused wholly", service=PLATFORM)

    @rule(file=ids)
    @noted
    def content(self, file: str) -> None:
        """The newest content is what is read."""
        answer = read(self.world.services, self.world.person.access_token, file)
        if file in self.model:
            expect_equal(
                (answer.status, answer.content),
                (200, self.model[file].versions[-1]),
                "the newest content is read",
                service=PLATFORM,
            )
        else:
            expect_status(answer, 404, "a deleted file is not read", service=PLATFORM)

    @invariant()
    @noted
    def list_and_rows_are_the_model(self) -> None:
        """The platform's list and PostgreSQL's rows both say what the model says."""
        if not self.world.steps:
            return
        due = {i: (f.name, f.folder, len(f.versions), sha256(f.versions[-1])) for i, f in self.model.items()}
        shown = listed(self.world.services, self.world.person.access_token, limit=200)["files"]
        rows = self.world.services.database.witness_rows("files", owner_id=self.world.person.id)
        for what, found in (("the list shows", shown), ("PostgreSQL holds", rows)):
            seen = {f["id"]: (f["name"], f["folder"], f["version"], f["sha256"]) for f in found}
            expect_equal(seen, due, f"{what} what the history leads to", service=PLATFORM)

    @noted
    def teardown(self) -> None:
        """The objects in both stores are those of the model's versions; then the next history begins with none."""
        services, person = self.world.services, self.world.person
        keys = {
            v["object_key"]
            for identifier in self.model
            for v in services.database.witness_rows("file_versions", file_id=identifier)
        }
        eventually(
            lambda: holdings(services, person.id),
            until=lambda h: {*h.supabase, *h.r2} == keys,
            within=20,
            claim="the stores hold the objects of the files that are left, and no others",
            service="supabase.storage",
        )
        for identifier in list(self.model):
            self._call("DELETE", f"/api/files/{identifier}").demand(204)


@check(
    "storage.random_histories",
    "Long random histories of a file manager end as a model says they must",
    requirement="P2.3",
    service=PLATFORM,
    needs=(
        "platform.api",
        "auth.email",
        "database.rest",
        "storage.r2",
        "storage.supabase",
        "platform.files.*.list",
        "platform.files.*.change",
        "platform.files.*.restore",
    ),
    timeout=90,
    why_slow="a hundred random steps, each compared with the list and the rows, each history with the stores",
)
def test_random_histories(
    services: ServiceClients, adapter: Adapter, actor: NewActor, witness: Witness
) -> None:
    """Hypothesis makes the histories; on a failure its last lines show the one that failed, step by step."""

    class Machine(Files):
        pass

    world = Machine.world = World(services, adapter, actor())
    run_histories(Machine, world.first_error, examples=EXAMPLES, steps=STEPS)
    witness(
        services.database.channel, f"rows after each of {world.steps} steps; both stores after each history"
    )
    expect(world.steps >= EXAMPLES, "the histories had steps", saw=world.steps, service=PLATFORM)
