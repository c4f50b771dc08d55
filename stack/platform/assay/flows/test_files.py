"""P2.1 to P2.3 as people live them: large files over a bad network, versions, search, many at once."""

from __future__ import annotations

from collections.abc import Iterable

from clients.made_files import MIB, MadeFile
from clients.service_clients import ServiceClients
from core.clock import eventually
from core.expect import expect, expect_equal
from core.passport import check
from core.run import Run
from scenarios.browser.conftest import NewMember, OnDisk, Witness
from scenarios.browser.facts import payload
from stack.platform.assay.flows.stored_files import same_bytes

LARGE = 100 * MIB
RELOADED = 64 * MIB


@check(
    "browser.large_upload_resumed",
    "A 100 MB file goes up in parts, survives a cut network, and lies in R2 byte for byte",
    requirement=("P6.1", "P2.1", "P2.2"),
    service="r2",
    needs=("storage.r2", "platform.web", "settings.pages", "auth.email", "database.rest", "people.form"),
    timeout=120,
    why_slow="100 MB through a browser, with the network away in the middle",
)
def test_large_upload(services: ServiceClients, member: NewMember, on_disk: OnDisk, witness: Witness) -> None:
    """The network is cut after the first part; the upload waits, goes on, and nothing of it is left over."""
    ada, actor = member("ada")
    file, path = on_disk("large", LARGE)
    ada.file.visit()
    ada.file.cut_midway(path, 2)
    half = ada.file.progress(file.name)
    expect(
        0 < half < 1,
        "an upload that is cut in the middle shows how much of it has gone up",
        expected="more than nothing, less than all",
        saw=f"{half:.0%}",
        service="platform",
    )
    ada.person.context.set_offline(False)
    identifier = ada.file.shows(file.name, store="r2", within=90_000)
    expect_equal(ada.file.progress(file.name), 1.0, "a finished upload shows 100 %", service="platform")
    same_bytes(services, identifier, file, witness)
    under_way = services.database.witness_rows("uploads", owner_id=actor.id)
    witness(services.database.channel, "no upload is left under way")
    expect_equal(under_way, [], "no half-finished upload is left", service="supabase.database")


@check(
    "browser.file_manager",
    "A person uploads a new version, restores the old one, searches, and deletes several files at once",
    requirement=("P6.1", "P2.3"),
    service="platform",
    needs=(
        "storage.supabase",
        "platform.web",
        "settings.pages",
        "auth.email",
        "database.rest",
        "people.form",
    ),
    timeout=60,
    why_slow="five uploads and four actions in a real browser",
)
def test_file_manager(run: Run, services: ServiceClients, member: NewMember, witness: Witness) -> None:
    """Each action is read back from the database and the store."""
    ada, actor = member("ada")
    tag = run.tag()
    first, second = (MadeFile(f"notes-{tag}.bin", 4096, f"{tag}{n}") for n in (1, 2))
    other = MadeFile(f"other-{tag}.bin", 2048, tag)
    ada.file.upload(payload(first), payload(other))
    identifier = ada.file.shows(first.name, store="supabase")
    ada.file.shows(other.name, store="supabase")
    ada.file.choose(payload(second))
    ada.file.is_version(first.name, 2)
    same_bytes(services, identifier, second, witness)
    ada.file.restore(first.name, 1)
    same_bytes(services, identifier, first, witness)
    ada.file.search("other-")
    ada.file.lists_no_more(first.name)
    ada.file.lists(other.name)
    ada.file.search("")
    ada.file.lists(first.name)
    ada.file.delete_together(first.name, other.name)
    expect_equal(
        services.database.witness_rows("files", owner_id=actor.id),
        [],
        "the deleted files' rows are gone",
        service="supabase.database",
    )
    gone = eventually(
        lambda: services.storage.keys(f"{actor.id}/"),
        until=lambda keys: not keys,
        within=30,
        claim="the deleted files' objects are gone from Supabase Storage",
        service="supabase.storage",
    )
    witness("Storage API", "no object of the deleted files is left")
    expect_equal(gone, [], "the deleted files' objects are gone", service="supabase.storage")


@check(
    "browser.upload_after_reload",
    "An upload that a reload interrupts goes on where it was when the same file is chosen again",
    requirement=("P6.1", "P2.1", "P2.2"),
    service="r2",
    needs=("storage.r2", "platform.web", "settings.pages", "auth.email", "database.rest", "people.form"),
    timeout=100,
    why_slow="an upload in parts, interrupted by a reload, in a real browser",
)
def test_upload_after_reload(
    services: ServiceClients, member: NewMember, on_disk: OnDisk, witness: Witness
) -> None:
    """The parts that the platform has are not sent again, and the file is whole."""
    ada, _ = member("ada")
    file, path = on_disk("again", RELOADED)
    ada.file.visit()
    arrived = ada.file.cut_midway(path, 1)
    ada.person.context.set_offline(False)
    ada.file.reload()
    before = len(ada.person.seen.requests)
    ada.file.choose(path)
    same_bytes(services, ada.file.shows(file.name, store="r2", within=60_000), file, witness)

    def numbers(urls: Iterable[str]) -> set[str]:
        """Which parts these addresses are of, whatever upload they belong to."""
        return {url[found.end() :] for url in urls if (found := ada.file.part.search(url))}

    sent = numbers(r["url"] for r in ada.person.seen.requests[before:] if r["status"] == 200)
    expect(sent, "the parts that were missing are sent (positive control)", service="platform")
    expect_equal(
        sorted(sent & numbers(arrived)), [], "parts that had arrived are not sent again", service="platform"
    )
