"""P2.1 to P2.3 as people live them: large files over a bad network, versions, search, many at once."""

from __future__ import annotations

from playwright.sync_api import expect as shows

from core.clock import eventually
from core.expect import expect_equal
from core.passport import check
from fixtures.files import MIB, MadeFile
from fixtures.run import Run
from fixtures.toolbox import Services
from scenarios.browser.conftest import NewMember, Witness
from scenarios.browser.facts import payload, same_bytes

LARGE = 100 * MIB


@check(
    "browser.large_upload_resumed",
    "A 100 MB file goes up in parts, survives a cut network, and lies in R2 byte for byte",
    requirement=("P6.1", "P2.1", "P2.2"),
    service="r2",
    capability="storage.r2",
    timeout=120,
    why_slow="100 MB through a browser, with the network away in the middle",
)
def test_large_upload(
    run: Run, services: Services, member: NewMember, witness: Witness, tmp_path: object
) -> None:
    """The network is cut after the first part; the upload waits, goes on, and nothing of it is left over."""
    ada, actor = member("ada")
    file = MadeFile(f"large-{run.tag()}.bin", LARGE, run.tag())
    path = run.directory / "evidence" / file.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file.data)
    try:
        ada.file.visit()
        page = ada.person.page
        with page.expect_response(lambda r: "/parts/" in r.url and r.status == 200, timeout=60_000):
            ada.file.choose(path)
        ada.person.context.set_offline(True)
        item = ada.file.upload_item(file.name)
        shows(item).to_have_attribute("data-state", "waiting", timeout=30_000)
        ada.file.step("the network is away")
        ada.person.context.set_offline(False)
        same_bytes(services, ada.file.shows(file.name, store="r2", within=90_000), file, witness)
    finally:
        path.unlink()
    under_way = services.database.witness_rows("uploads", owner_id=actor.id)
    witness(services.database.channel, "no upload is left under way")
    expect_equal(under_way, [], "no half-finished upload is left", service="supabase.database")


@check(
    "browser.file_manager",
    "A person uploads a new version, restores the old one, searches, and deletes several files at once",
    requirement=("P6.1", "P2.3"),
    service="platform",
    capability="storage.supabase",
    timeout=60,
    why_slow="five uploads and four actions in a real browser",
)
def test_file_manager(run: Run, services: Services, member: NewMember, witness: Witness) -> None:
    """Each action is read back from the database and the store."""
    ada, actor = member("ada")
    tag = run.tag()
    first, second = (MadeFile(f"notes-{tag}.bin", 4096, f"{tag}{n}") for n in (1, 2))
    other = MadeFile(f"other-{tag}.bin", 2048, tag)
    ada.file.upload(payload(first), payload(other))
    identifier = ada.file.shows(first.name, store="supabase")
    ada.file.shows(other.name, store="supabase")
    ada.file.choose(payload(second))
    shows(ada.file.row(first.name).get_by_test_id("file-version")).to_have_text("v2", timeout=15_000)
    same_bytes(services, identifier, second, witness)
    ada.file.restore(first.name, 1)
    same_bytes(services, identifier, first, witness)
    ada.file.search("other-")
    shows(ada.file.row(first.name)).to_have_count(0)
    shows(ada.file.row(other.name)).to_have_count(1)
    ada.file.search("")
    shows(ada.file.row(first.name)).to_have_count(1)
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
