"""P1.3 and P2.3 as people live them: every button of the everyday pages does what it says, read back elsewhere."""

from __future__ import annotations

import base64

from playwright.sync_api import FilePayload

from clients.made_files import MadeFile, sha256
from clients.service_clients import ServiceClients
from core.expect import expect, expect_equal
from core.passport import check
from core.run import Run
from scenarios.browser.conftest import NewMember, NewTab, Witness
from scenarios.browser.facts import payload

DATABASE = "supabase.database"
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""A PNG of one pixel."""


@check(
    "browser.file_actions",
    "A person downloads a file as it was sent, renames it, and moves several to a folder at once",
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
    why_slow="two uploads and three actions in a real browser",
)
def test_file_actions(run: Run, services: ServiceClients, member: NewMember, witness: Witness) -> None:
    """The download by its bytes, name and folder by the rows of the database."""
    ada, actor = member("ada")
    tag = run.tag()
    first, second = MadeFile(f"first-{tag}.bin", 5000, tag), MadeFile(f"second-{tag}.bin", 700, f"{tag}2")
    ada.file.upload(payload(first), payload(second))
    identifier = ada.file.shows(first.name, store="supabase")
    ada.file.shows(second.name, store="supabase")
    data = ada.file.download(first.name)
    expect_equal(
        (len(data), sha256(data)),
        (first.size, first.sha256),
        "the downloaded file has the bytes that were sent",
        service="platform",
    )
    renamed, folder = f"renamed-{tag}.bin", f"/assay-{tag}"
    ada.file.rename(first.name, renamed)
    expect_equal(
        [row["name"] for row in services.database.witness_rows("files", id=identifier)],
        [renamed],
        "the database has the new name",
        service=DATABASE,
    )
    ada.file.move_together(folder, renamed, second.name)
    rows = services.database.witness_rows("files", owner_id=actor.id)
    witness(services.database.channel, "name and folder of both files")
    expect_equal(
        sorted((row["folder"], row["name"]) for row in rows),
        [(folder, renamed), (folder, second.name)],
        "the database has both files in the new folder",
        service=DATABASE,
    )


@check(
    "browser.profile",
    "A person changes their name, words and picture, and finds them again",
    requirement=("P6.1", "P1.3"),
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
    why_slow="several pages in a real browser",
)
def test_profile(run: Run, services: ServiceClients, member: NewMember, witness: Witness) -> None:
    """Read back from the profile's row, and the picture from where the row says that it is."""
    ada, actor = member("ada")
    name, bio = f"Ada <b>{run.tag()}</b>", "words & <i>signs</i>"
    ada.account.change_profile(name, bio, FilePayload(name="me.png", mimeType="image/png", buffer=PICTURE))
    rows = services.database.witness_rows("profiles", id=actor.id)
    witness(services.database.channel, "the changed profile")
    expect_equal(
        [(row["display_name"], row["bio"]) for row in rows],
        [(name, bio)],
        "the profile is kept as it was typed",
        service=DATABASE,
    )
    place = str(rows[0]["avatar_url"] or "")
    base = services.storage.port.base
    expect(
        place.startswith(f"{base}/object/public/"),
        "the profile tells where the chosen picture is",
        expected="an address in Supabase Storage that everybody may read",
        saw=place or "no address: the picture was not kept",
        service="platform",
    )
    seen = services.storage.port.request("GET", place.removeprefix(base))
    expect_equal(
        (seen.status, sha256(seen.content)),
        (200, sha256(PICTURE)),
        "everybody sees the picture that was chosen",
        service="supabase.storage",
    )


@check(
    "browser.post_edited",
    "A person edits and deletes a post; who edits an older state of it is told, and overwrites nothing",
    requirement=("P6.1", "P1.3"),
    service="platform",
    needs=("platform.web", "settings.pages", "auth.email", "database.rest", "people.form"),
    timeout=60,
    why_slow="several pages in two tabs of a real browser",
)
def test_post_edited(
    run: Run, services: ServiceClients, member: NewMember, tab: NewTab, witness: Witness
) -> None:
    """Two tabs open the same post; the second to save learns that the first came before."""
    ada, actor = member("ada")
    tag = run.tag()
    post = ada.post.write(f"First {tag}", "first words")
    second = tab(ada)
    second.post.edit(post)
    ada.post.edit(post)
    ada.post.fill_in(f"Second {tag}", "second words")
    ada.post.save()
    ada.post.is_shown(f"Second {tag}")
    ada.post.says_body("second words")
    second.post.fill_in(f"Third {tag}", "third words")
    second.post.save()
    second.post.tells_an_error()

    def kept() -> list[tuple[str, str]]:
        rows = services.database.witness_rows("posts", author_id=actor.id)
        return [(row["title"], row["body"]) for row in rows]

    expect_equal(
        kept(),
        [(f"Second {tag}", "second words")],
        "the edit that came first is kept, and nobody's words are lost unseen",
        service=DATABASE,
    )
    ada.post.delete(post)
    witness(services.database.channel, "the post as it was edited, and gone once deleted")
    expect_equal(kept(), [], "the deleted post's row is gone", service=DATABASE)
