"""P2.1, P2.2, P6.3: every kind of file that the project describes lies where it should, whole, and is its owner's alone."""

from __future__ import annotations

from clients.identities import Actor
from clients.made_files import MadeFile, sha256
from clients.service_clients import ServiceClients
from core.clock import eventually
from core.expect import expect, expect_equal
from core.passport import check
from core.run import Run
from scenarios.adapter import Adapter, Stored
from suites.types import NewActor, NewFile, Witness

PLATFORM = "platform"
SMALL = 3000
REFUSED = (401, 403, 404)


def held(services: ServiceClients, store: str, key: str) -> str | None:
    """SHA-256 of the object that a store itself holds under a key, or None. `store` is `r2` or `storage:<bucket>`."""
    if store == "r2":
        found: str | None = services.r2.s3.sha256(key)
        return found
    seen: str | None = services.storage.witness_sha256(key, store.removeprefix("storage:"))
    return seen


@check(
    "storage.files_as_described",
    "Every kind of file lies whole in the store that the project names, and is read and removed by its owner alone",
    requirement=("P2.1", "P2.2", "P6.3", "done.nomocks"),
    service=PLATFORM,
    needs=("platform.api", "auth.email", "platform.files", "storage.supabase"),
    timeout=60,
    why_slow="a file on each side of every rule, up and down",
)
def test_files(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """One file for every rule of each kind: a small one, and one byte over each size at which the store changes."""
    owner, stranger = actor(), actor()
    kinds = run.target.description.platform.files
    for kind, described in kinds.items():
        sizes = [SMALL, *(rule.above + 1 for rule in described.rules if rule.above is not None)]
        for size in sorted(sizes):
            file = made(size, described.type)
            stored = _uploaded(services, adapter, owner, file, kind)
            _lies_where_it_should(services, adapter, stored, file, kind, witness)
            _is_its_owners(services, adapter, owner, stranger, stored, file, kind)
            _goes(services, adapter, owner, stored, file, kind)
    expect(kinds, "the project describes a kind of file", service=PLATFORM)


def _uploaded(services: ServiceClients, adapter: Adapter, owner: Actor, file: MadeFile, kind: str) -> Stored:
    described = adapter.files(kind)
    answer = adapter.upload(
        services.platform.port, owner.access_token, name=file.name, data=file.data, mime=file.mime, kind=kind
    )
    expect_equal(
        answer.status,
        described.upload.answers,
        f"uploading {file.size} bytes as {kind} answers {described.upload.answers}",
        service=PLATFORM,
    )
    stored = adapter.stored(answer, kind)
    expect(
        stored.id, f"the upload's answer tells the id of a {kind}", saw=answer.text[:200], service=PLATFORM
    )
    for what, value, due in (
        ("size", stored.size, file.size),
        ("name", stored.name or None, file.name),
        ("sha256", stored.sha256 or None, file.sha256),
    ):
        expect(
            value in (None, due),
            f"the upload's answer tells the {what} that was sent",
            expected=due,
            saw=value,
        )
    return stored


def _lies_where_it_should(
    services: ServiceClients, adapter: Adapter, stored: Stored, file: MadeFile, kind: str, witness: Witness
) -> None:
    described = adapter.files(kind)
    due = described.store_of(file.size)
    if not due:
        return
    seen = held(services, due, stored.key)
    witness(f"{due}'s own API", f"SHA-256 of a {kind} of {file.size} bytes")
    expect_equal(
        seen,
        file.sha256,
        f"{due} holds the very bytes of a {kind} of {file.size} bytes under the key that its upload told",
        service="r2" if due == "r2" else "supabase.storage",
    )
    for other in {rule.store for rule in described.rules} - {due}:
        expect_equal(
            held(services, other, stored.key),
            None,
            f"{other} holds nothing of a {kind} of {file.size} bytes",
            service="r2" if other == "r2" else "supabase.storage",
        )


def _is_its_owners(
    services: ServiceClients,
    adapter: Adapter,
    owner: Actor,
    stranger: Actor,
    stored: Stored,
    file: MadeFile,
    kind: str,
) -> None:
    if adapter.files(kind).read is None:
        return
    port = services.platform.port
    own = adapter.read_file(port, owner.access_token, stored.id, kind=kind)
    expect_equal(
        (own.status, sha256(own.content)),
        (200, file.sha256),
        f"its owner reads a {kind} back, byte for byte (positive control)",
        service=PLATFORM,
    )
    for who, token in (("a stranger", stranger.access_token), ("nobody", None)):
        answer = adapter.read_file(port, token, stored.id, kind=kind)
        expect(
            answer.status in REFUSED and file.data not in answer.content,
            f"{who} does not read somebody's {kind}",
            expected=" or ".join(map(str, REFUSED)),
            saw=f"{answer.status}, {len(answer.content)} bytes",
            service=PLATFORM,
        )
        if adapter.files(kind).remove is not None:
            adapter.remove_file(port, token, stored.id, kind)  # whatever it answers: judged by what is left
    again = adapter.read_file(port, owner.access_token, stored.id, kind=kind)
    expect_equal(
        (again.status, sha256(again.content)),
        (200, file.sha256),
        f"a {kind} is still there after others tried to remove it",
        service=PLATFORM,
    )


def _goes(
    services: ServiceClients, adapter: Adapter, owner: Actor, stored: Stored, file: MadeFile, kind: str
) -> None:
    described = adapter.files(kind)
    if described.remove is None:
        return
    gone = adapter.remove_file(services.platform.port, owner.access_token, stored.id, kind)
    expect_equal(gone.status, described.remove.answers, f"its owner removes a {kind}", service=PLATFORM)
    if due := described.store_of(file.size):
        eventually(
            lambda: held(services, due, stored.key) is None,
            within=15,
            claim=f"the bytes of a removed {kind} leave {due}",
            service=PLATFORM,
        )
