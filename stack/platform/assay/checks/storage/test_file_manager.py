"""P2.3: the file manager: search, renaming and moving, all-or-nothing batches, quota."""

from __future__ import annotations

from typing import Any

from clients.made_files import MIB, MadeFile
from clients.service_clients import ServiceClients
from core.clock import eventually
from core.expect import expect, expect_equal, expect_status
from core.passport import check
from core.run import Run
from scenarios.adapter import Adapter
from stack.platform.assay.checks.storage.uploads import held, listed, prepared
from suites.types import NewActor, NewFile, Witness

PLATFORM = "platform"


@check(
    "storage.search_and_sort",
    "Files are found by part of their name and by folder, sorted and paged as asked",
    requirement="P2.3",
    service=PLATFORM,
    needs=("platform.api", "auth.email", "database.rest", "storage.supabase", "platform.files.*.list"),
)
def test_search(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, witness: Witness
) -> None:
    """Names with wildcards and other scripts are plain text; another person's files never show.

    The same lists are asked for before anything is there and after something went: each time they tell how it is now.
    """
    person, other = actor(), actor()
    token = person.access_token
    files_there = {
        "alpha.txt": "/",
        "ALPHABET.txt": "/a",
        "100%_sure.txt": "/a/b",
        "日本語.txt": "/a/b",
        "beta.txt": "/z",
        "gamma.txt": "/about",  # begins like /a and does not lie in it
        "star*one.txt": "/x*y",
        "starZone.txt": "/xZy",
        "caf\u00e9+one.txt": "/z",
    }

    def names(**params: Any) -> list[str]:
        return [f["name"] for f in listed(services, token, **params)["files"]]

    expect_equal(names(), [], "who has no file has an empty list", service=PLATFORM)
    stored = [
        prepared(services, adapter, token, MadeFile(name, size, f"{run.id}{name}"), folder=folder)
        for size, (name, folder) in enumerate(files_there.items(), 1)
    ]
    prepared(services, adapter, other.access_token, MadeFile("alpha.txt", 9, "other"))
    everything, claim = sorted(files_there), "the list tells what is there now, not what was there before"
    expect_equal(sorted(names()), everything, claim, service=PLATFORM)
    for what, params, due in (
        ("everything by size", {"sort": "size", "order": "asc"}, list(files_there)),
        (
            "a part of a name, any case",
            {"q": "alpha", "sort": "size", "order": "asc"},
            ["alpha.txt", "ALPHABET.txt"],
        ),
        ("a wildcard as plain text", {"q": "0%_s"}, ["100%_sure.txt"]),
        ("a percent sign alone", {"q": "%"}, ["100%_sure.txt"]),
        ("a star, which is the Data API's own wildcard", {"q": "r*o"}, ["star*one.txt"]),
        ("a folder with a star and below", {"under": "/x*y"}, ["star*one.txt"]),
        ("a letter that is written as two", {"q": "cafe\u0301"}, ["caf\u00e9+one.txt"]),
        ("a plus sign", {"q": "\u00e9+o"}, ["caf\u00e9+one.txt"]),
        ("another script", {"q": "本"}, ["日本語.txt"]),
        ("what is not there", {"q": "nothing"}, []),
        ("a folder exactly", {"folder": "/a"}, ["ALPHABET.txt"]),
        (
            "a folder and below",
            {"under": "/a", "sort": "size", "order": "desc"},
            ["日本語.txt", "100%_sure.txt", "ALPHABET.txt"],
        ),
        (
            "the second page",
            {"sort": "size", "order": "asc", "limit": 2, "offset": 2},
            ["100%_sure.txt", "日本語.txt"],
        ),
    ):
        expect_equal(names(**params), due, f"searching for {what} finds exactly these", service=PLATFORM)
    total = listed(services, token, limit=1)["total"]
    rows = services.database.witness_rows("files", owner_id=person.id)
    witness(services.database.channel, f"{len(rows)} files")
    expect_equal(total, len(rows), "the total counts every file, not the page", service=PLATFORM)
    services.platform.call("DELETE", f"/api/files/{stored[-1]['id']}", token=token).demand(204)
    expect_equal(sorted(names()), sorted([*files_there][:-1]), claim, service=PLATFORM)


@check(
    "storage.batch_all_or_nothing",
    "A batch is done wholly or not at all",
    requirement="P2.3",
    service=PLATFORM,
    needs=("platform.api", "auth.email", "database.rest", "storage.supabase", "platform.files.*.batch"),
    timeout=60,
    why_slow="objects of what was removed are waited for until they are swept away",
)
def test_batch(
    services: ServiceClients, adapter: Adapter, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """A stranger's file, a name taken and a bad folder, each as the last of three; then three good ones."""
    person, stranger = actor(), actor()
    token = person.access_token
    one, two, three = (prepared(services, adapter, token, made(100)) for _ in range(3))
    theirs = prepared(services, adapter, stranger.access_token, made(100))
    before = services.database.witness_rows("files", owner_id=person.id)
    good = [{"op": "delete", "id": one["id"]}, {"op": "move", "id": two["id"], "folder": "/moved"}]
    for what, last, status in (
        ("somebody else's file", {"op": "delete", "id": theirs["id"]}, 404),
        ("a name that is taken", {"op": "rename", "id": three["id"], "name": two["name"]}, None),
        ("a folder that is none", {"op": "move", "id": three["id"], "folder": "no slash"}, 400),
        ("an unknown operation", {"op": "explode", "id": three["id"]}, 400),
    ):
        ops = [*good, last] if status else [{"op": "delete", "id": one["id"]}, last]
        answer = services.platform.call("POST", "/api/files/batch", token=token, body={"ops": ops})
        expect(
            answer.status == (status or 409) and answer.details.get("index") == len(ops) - 1,
            f"a batch with {what} is refused and says which operation failed",
            expected=f"{status or 409} with details.index {len(ops) - 1}",
            saw=answer.said(),
            service=PLATFORM,
        )
        after = services.database.witness_rows("files", owner_id=person.id)
        expect_equal(
            after, before, f"after a batch with {what} nothing is changed", service="supabase.database"
        )
    many = {"ops": [good[1]] * 101}
    over = services.platform.call("POST", "/api/files/batch", token=token, body=many)
    expect_equal(over.status, 400, "a batch of over a hundred is refused", service=PLATFORM)
    done = services.platform.call(
        "POST",
        "/api/files/batch",
        token=token,
        body={"ops": [*good, {"op": "rename", "id": three["id"], "name": "new.bin"}]},
    )
    results = done.expect(200, claim="a good batch is done (positive control)").json(dict)["results"]
    expect_equal(
        [(r["id"], r["ok"]) for r in results],
        [(f["id"], True) for f in (one, two, three)],
        "each operation is answered",
        service=PLATFORM,
    )
    left = {(f["folder"], f["name"]) for f in services.database.witness_rows("files", owner_id=person.id)}
    witness(services.database.channel, "the files after the batches")
    expect_equal(
        left,
        {("/moved", two["name"]), ("/", "new.bin")},
        "exactly the asked-for changes are stored",
        service="supabase.database",
    )
    gone = eventually(
        lambda: held(services, "supabase", one["object_key"]),
        until=lambda sum: sum is None,
        within=20,
        claim="the deleted file's object is gone",
        service="supabase.storage",
    )
    expect_equal(gone, None, "the deleted file's object is gone", service="supabase.storage")


@check(
    "storage.rename_and_move",
    "Renaming and moving change the name alone, refuse a taken one, and notice a stale version",
    requirement="P2.3",
    service=PLATFORM,
    needs=("platform.api", "auth.email", "database.rest", "storage.supabase", "platform.files.*.change"),
)
def test_rename(
    services: ServiceClients, adapter: Adapter, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """The object in its store is the same before and after."""
    person, first, second = actor(), made(1000), made(1000)
    token = person.access_token
    one, two = (prepared(services, adapter, token, f) for f in (first, second))

    def change(body: dict[str, Any]) -> Any:
        return services.platform.call("PATCH", f"/api/files/{one['id']}", token=token, body=body)

    for what, body, status in (
        ("a name that is taken", {"name": two["name"]}, 409),
        ("an empty name", {"name": ""}, 400),
        ("a name with a slash", {"name": "a/b"}, 400),
        ("a folder that climbs", {"folder": "/../x"}, 400),
        ("a stale version", {"name": "late.bin", "if_version": 7}, 409),
    ):
        expect_equal(change(body).status, status, f"changing to {what} is refused", service=PLATFORM)
    expect_equal(
        sorted(f["name"] for f in listed(services, token)["files"]),
        sorted((first.name, second.name)),
        "the list tells the old names before the change",
        service=PLATFORM,
    )
    done = change({"name": "Ünïcode ☂.bin", "folder": "/x/y", "if_version": 1})
    after = done.expect(200, claim="a good change is done (positive control)").json(dict)["file"]
    expect_equal(
        (after["name"], after["folder"]),
        ("Ünïcode ☂.bin", "/x/y"),
        "a move answers with the new place",
        service=PLATFORM,
    )
    expect_equal(
        sorted(f["name"] for f in listed(services, token)["files"]),
        sorted(("Ünïcode ☂.bin", second.name)),
        "the list tells the new name at once",
        service=PLATFORM,
    )
    [row] = services.database.witness_rows("files", id=one["id"]) or [{}]
    witness(services.database.channel, "the file's row")
    expect_equal(
        (row.get("name"), row.get("folder"), row.get("object_key"), row.get("sha256")),
        ("Ünïcode ☂.bin", "/x/y", one["object_key"], first.sha256),
        "stored are the new name and place, with the same object",
        service="supabase.database",
    )
    expect_equal(
        held(services, "supabase", one["object_key"]),
        first.sha256,
        "the object is untouched",
        service="supabase.storage",
    )


@check(
    "storage.quota",
    "Nobody holds more than their 2 GiB, and what they begin counts",
    requirement=("P2.3", "risk.cost"),
    service=PLATFORM,
    needs=(
        "platform.api",
        "auth.email",
        "database.rest",
        "storage.r2",
        "storage.supabase",
        "platform.files.*.quota",
    ),
)
def test_quota(services: ServiceClients, adapter: Adapter, actor: NewActor, witness: Witness) -> None:
    """Four uploads of 512 MiB are begun without a byte; a fifth is refused; one aborted makes room again."""
    person = actor()
    port, token = services.platform.port, person.access_token
    begun = [adapter.start_upload(port, token, name=f"{n}.bin", size=512 * MIB) for n in range(4)]
    expect_equal(
        [a.status for a in begun],
        [201] * 4,
        "four starts of 512 MiB are taken (positive control)",
        service=PLATFORM,
    )
    over = adapter.upload(port, token, name="over.bin", data=b"one byte")
    expect_equal(
        (over.status, adapter.refusal(over).get("code")),
        (413, "quota_exceeded"),
        "one more byte is over the quota",
        service=PLATFORM,
    )
    uploads = [a.json()["upload"]["id"] for a in begun]
    services.platform.call("DELETE", f"/api/upload/{uploads[0]}", token=token).demand(204)
    fits = adapter.upload(port, token, name="fits.bin", data=b"one byte")
    expect_status(fits, 201, "after an abort there is room again", service=PLATFORM)
    for upload_id in uploads[1:]:
        services.platform.call("DELETE", f"/api/upload/{upload_id}", token=token).demand(204)
    left = services.database.witness_rows("files", owner_id=person.id)
    witness(services.database.channel, "one file left")
    expect_equal(
        [f["name"] for f in left], ["fits.bin"], "only the one file is left", service="supabase.database"
    )
