"""P2.2, P6.3: hostile names and folders lead nowhere: refused, or kept as a name and no more."""

from __future__ import annotations

from collections.abc import Iterator

from clients.identities import Actor
from clients.made_files import made_bytes, sha256
from clients.service_clients import ServiceClients
from core.description.platform import Files
from core.errors import ServiceError
from core.expect import expect, expect_equal
from core.passport import check
from core.port import Answer
from core.run import Run
from scenarios.adapter import Adapter, Stored
from suites.security.attempts import Attempts, HostilePort, said
from suites.security.upload.holdings import holdings
from suites.security.upload.hostile import folders, names, stated_name
from suites.storage.test_described_files import held
from suites.types import NewActor, Witness

PLATFORM = "platform"
SIZE = 700
CONTROLS = {chr(code) for code in range(32)} | {"\x7f"}


def hostile(described: Files, victim: str) -> Iterator[tuple[str, str, str]]:
    """(what it tries, name, folder) of each upload."""
    for what, name in names(victim).items():
        yield f"whose name {what}", name, "/"
    if "folder" in described.upload.names:
        for what, folder in folders(victim).items():
            yield f"whose folder {what}", "assay-hostile.bin", folder


@check(
    "security.hostile_names",
    "A hostile name leads to nobody else's folder, out of no store and into no header; it is refused, or only a name",
    requirement=("P2.2", "P2.3", "P6.3"),
    service=PLATFORM,
    needs=("platform.api", "auth.email", "platform.files", "platform.files.*.read"),
    timeout=90,
    why_slow="some forty uploads of each kind of file, each read back and looked for in its store",
    threat="A name that is taken for a path writes over other people's files, or makes a browser run what was kept.",
    references=("ASVS 5.3.2", "ASVS 5.4.1", "ASVS 5.4.2", "CWE-22", "CWE-113"),
    fix="Keep files under keys of your own making; treat a name as text, and write it into headers by RFC 6266 alone.",
)
def test_hostile_names(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, witness: Witness
) -> None:
    """What is taken must lie whole below the sender's own folder and come back whole; the victim's stay as they are."""
    attempts = Attempts(PLATFORM)
    for kind, described in run.target.description.platform.files.items():
        if described.read is None:
            continue
        attacker, victim = actor(), actor()
        theirs = _upload(services, adapter, victim, "taken.bin", "/", kind, run.tag())[0]
        expect_equal(
            theirs.status,
            described.upload.answers,
            f"a person's {kind} is taken (positive control)",
            service=PLATFORM,
        )
        before = holdings(services, victim.id)
        taken = 0
        for what, name, folder in hostile(described, victim.id):
            tag = run.tag()
            answer, data = _upload(services, adapter, attacker, name, folder, kind, tag)
            attempts.must_fail(f"a {kind} {what} breaks the platform", answer.status < 500, said(answer))
            if not 200 <= answer.status < 300:
                continue
            taken += 1
            stored = adapter.stored(answer, kind)
            for wrong in _wrong(services, adapter, attacker, stored, data, kind, described):
                attempts.must_fail(f"a {kind} {what}: {wrong}", False)
            if described.remove is not None and stored.id:
                adapter.remove_file(
                    HostilePort(services.platform.port), attacker.access_token, stored.id, kind
                )
        after = holdings(services, victim.id)
        attempts.must_fail("another's files change", after == before, after)
        read = adapter.read_file(
            services.platform.port, victim.access_token, adapter.stored(theirs, kind).id, kind=kind
        )
        attempts.must_fail(f"another's {kind} of the same name changes", read.status == 200, said(read))
        plain = _upload(services, adapter, victim, "plain.bin", "/", kind, run.tag())[0]
        if plain.status != described.upload.answers:
            raise ServiceError(PLATFORM, f"a plain {kind} is taken no more: {said(plain)}")
        witness("both stores' own APIs", f"{taken} hostile names taken, and the victim's folder as it was")
    attempts.judge("a hostile name is refused, or only a name", "no path, no header, no other's folder")
    expect(attempts.tried, "the project describes a kind of file", service=PLATFORM)


def _upload(
    services: ServiceClients, adapter: Adapter, who: Actor, name: str, folder: str, kind: str, tag: str
) -> tuple[Answer, bytes]:
    data = made_bytes(tag, SIZE)
    port, token = HostilePort(services.platform.port), who.access_token
    return adapter.upload(port, token, name=name, data=data, folder=folder, kind=kind), data


def _wrong(
    services: ServiceClients,
    adapter: Adapter,
    who: Actor,
    stored: Stored,
    data: bytes,
    kind: str,
    described: Files,
) -> Iterator[str]:
    """What is wrong with a file that was taken under a hostile name."""
    parts = stored.key.replace("\\", "/").split("/")
    if stored.key and (who.id not in stored.key or {"..", "."} & set(parts) or CONTROLS & set(stored.key)):
        yield f"it lies at {stored.key!r}"
    store = described.store_of(len(data))
    if stored.key and services.run.target.has(
        "storage.r2" if store == "r2" else "storage.supabase" if store else ""
    ):
        lies = held(services, store, stored.key)
        if lies != sha256(data):
            yield f"{store} does not hold its bytes under {stored.key!r}"
    answer = adapter.read_file(HostilePort(services.platform.port), who.access_token, stored.id, kind=kind)
    if answer.status != 200 or answer.content != data:
        yield f"it does not come back whole ({said(answer)[:60]})"
    if "x-assay-injected" in answer.headers:
        yield "its name becomes a header of the answer"
    name = stated_name(answer.headers.get("content-disposition", ""))
    if "/" in name or "\\" in name or CONTROLS & set(name) or name in (".", ".."):
        yield f"a browser is told to keep it as {name!r}"
