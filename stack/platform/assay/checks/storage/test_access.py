"""P2.1, P2.3, P6.3: reading files: in parts, again, by the wrong person; pictures that everybody sees."""

from __future__ import annotations

from clients.made_files import MIB, sha256
from clients.service_clients import ServiceClients
from core.expect import expect, expect_equal, expect_status
from core.passport import check
from scenarios.adapter import Adapter
from stack.platform.assay.checks.storage.uploads import expect_content, held, prepared, read
from suites.types import NewActor, NewFile, Witness

PLATFORM = "platform"
R2 = "r2"


@check(
    "storage.ranges_and_conditions",
    "A file is read in parts and only when changed, from either store",
    requirement=("P2.1", "P2.3"),
    service=PLATFORM,
    needs=("platform.api", "auth.email", "storage.r2", "storage.supabase", "platform.files.*.ranges"),
)
def test_ranges(
    services: ServiceClients, adapter: Adapter, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """First, middle, last and open ranges; one past the end; ETag by content; HEAD without body."""
    person = actor()
    for size in (1000, 6 * MIB):
        file = made(size)
        stored = prepared(services, adapter, person.access_token, file)
        token, identifier = person.access_token, stored["id"]
        whole = read(services, token, identifier)
        expect_equal(
            sha256(whole.content), file.sha256, "the whole file is right (positive control)", service=PLATFORM
        )
        for name, due in (
            ("accept-ranges", "bytes"),
            ("etag", f'"{file.sha256}"'),
            ("cache-control", "private, no-cache"),
            ("x-store", stored["store"]),
        ):
            expect_equal(whole.headers.get(name), due, f"the answer's {name} is right", service=PLATFORM)
        expect(
            whole.headers.get("content-disposition", "").startswith("attachment"),
            "a file is handed out as an attachment",
            saw=whole.headers.get("content-disposition"),
            service=PLATFORM,
        )
        for asked, begin, end in (
            ("bytes=0-0", 0, 1),
            ("bytes=10-99", 10, 100),
            (f"bytes={size - 5}-", size - 5, size),
            ("bytes=-7", size - 7, size),
            (f"bytes=0-{size * 2}", 0, size),
        ):
            part = read(services, token, identifier, Range=asked)
            expect_equal(
                (part.status, part.content == file.data[begin:end], part.headers.get("content-range")),
                (206, True, f"bytes {begin}-{end - 1}/{size}"),
                f"the range {asked} of {size} bytes is answered with exactly these",
                service=PLATFORM,
            )
        past = read(services, token, identifier, Range=f"bytes={size}-")
        expect_status(past, 416, "a range past the end answers 416", service=PLATFORM)
        same = read(services, token, identifier, **{"If-None-Match": f'"{file.sha256}"'})
        expect_equal(
            (same.status, same.content),
            (304, b""),
            "an unchanged file answers 304 without body",
            service=PLATFORM,
        )
        other = read(services, token, identifier, **{"If-None-Match": '"other"'})
        expect_status(other, 200, "a changed one answers 200 (positive control)", service=PLATFORM)
        head = services.platform.call("HEAD", f"/api/files/{identifier}/content", token=token)
        expect_equal(
            (head.status, head.headers.get("content-length"), head.content),
            (200, str(size), b""),
            "HEAD tells the size without the bytes",
            service=PLATFORM,
        )
        expect_equal(
            held(services, stored["store"], stored["object_key"]),
            file.sha256,
            "the store holds it whole",
            service=R2,
        )
    witness("both stores' own APIs", "SHA-256 of both files")


@check(
    "storage.stranger_denied",
    "A stranger neither sees, reads, changes nor removes somebody's file",
    requirement=("P2.3", "P6.3"),
    service=PLATFORM,
    needs=(
        "platform.api",
        "auth.email",
        "database.rest",
        "storage.supabase",
        "platform.files.*.batch",
        "platform.files.*.link",
    ),
)
def test_stranger_denied(
    services: ServiceClients, adapter: Adapter, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """Each way to a file with a stranger's token and with none; the owner's own way works at the end."""
    owner, stranger, file = actor(), actor(), made(1000)
    stored = prepared(services, adapter, owner.access_token, file)
    identifier = stored["id"]
    ways: tuple[tuple[str, str, object], ...] = (
        ("GET", f"/api/files/{identifier}", None),
        ("GET", f"/api/files/{identifier}/content", None),
        ("PATCH", f"/api/files/{identifier}", {"name": "taken.bin"}),
        ("POST", f"/api/files/{identifier}/restore", {"version": 1}),
        ("POST", f"/api/files/{identifier}/link", {}),
        ("POST", f"/api/files/{identifier}/direct", {}),
        ("DELETE", f"/api/files/{identifier}", None),
        ("POST", "/api/files/batch", {"ops": [{"op": "delete", "id": identifier}]}),
    )
    for method, path, body in ways:
        for who, token, due in (("a stranger", stranger.access_token, 404), ("nobody", None, 401)):
            answer = services.platform.call(method, path, token=token, body=body)
            what = path.replace(identifier, "<file>")
            expect_equal(answer.status, due, f"{method} {what} is refused to {who}", service=PLATFORM)
    listed = services.platform.call("GET", "/api/files", token=stranger.access_token).demand(200).json(dict)
    expect_equal(listed["files"], [], "a stranger's list does not show it", service=PLATFORM)
    key = stored["object_key"]
    direct = services.storage.as_user("GET", f"/object/files/{key}", stranger.access_token)
    expect(
        direct.status in (400, 403, 404),
        "Supabase Storage itself refuses the stranger",
        saw=f"{direct.status} {direct.text[:200]}",
        service="supabase.storage",
    )
    own = services.storage.as_user("GET", f"/object/files/{key}", owner.access_token)
    expect_status(
        own, 200, "Supabase Storage lets the owner read (positive control)", service="supabase.storage"
    )
    write = services.storage.as_user(
        "POST", f"/object/files/{owner.id}/x/own.bin", owner.access_token, body=b"mine"
    )
    expect(
        write.status in (400, 401, 403),
        "not even the owner writes there past the platform",
        saw=f"{write.status} {write.text[:200]}",
        service="supabase.storage",
    )
    for what, path, body in (
        ("moves", "/object/move", {"destinationKey": f"{stranger.id}/x/moved.bin"}),
        ("copies", "/object/copy", {"destinationKey": f"{stranger.id}/x/copied.bin"}),
        ("signs", f"/object/sign/files/{key}", {"expiresIn": 60}),
    ):
        body = {"bucketId": "files", "sourceKey": key, **body} if "sign" not in path else body
        tried = services.storage.as_user("POST", path, stranger.access_token, body=body)
        expect(
            tried.status in (400, 401, 403, 404),
            f"a stranger {what} it at Supabase Storage itself neither",
            saw=f"{tried.status} {tried.text[:200]}",
            service="supabase.storage",
        )
    taken = services.storage.keys(stranger.id, "files")
    expect_equal(taken, [], "nothing of it lies with the stranger", service="supabase.storage")
    expect_content(services, owner.access_token, stored, file)
    [row] = services.database.witness_rows("files", id=identifier) or [{}]
    witness(services.database.channel, "the file's row unchanged")
    expect_equal(
        (row.get("name"), row.get("version")),
        (file.name, 1),
        "the file is unchanged",
        service="supabase.database",
    )


@check(
    "storage.avatars",
    "A person sets their own picture, everybody sees it, nobody sets another's",
    requirement=("P1.3", "P6.3"),
    service="supabase.storage",
    needs=("storage.supabase", "auth.email", "storage.buckets.avatars"),
)
def test_avatars(services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """Bucket `avatars` through Storage itself: own folder, images up to 1 MiB; public to read."""
    owner, stranger = actor(), actor()
    png = b"\x89PNG\r\n\x1a\n" + b"a" * 1000
    path = f"/object/avatars/{owner.id}/me.png"

    def put(token: str | None, data: bytes, *, mime: str = "image/png", where: str = path) -> int:
        answer = services.storage.as_user(
            "POST", where, token, body=data, headers={"Content-Type": mime, "x-upsert": "true"}
        )
        return int(answer.status)

    service = "supabase.storage"
    expect_equal(
        put(owner.access_token, png),
        200,
        "a person sets their own picture (positive control)",
        service=service,
    )
    for what, status in (
        ("a stranger", put(stranger.access_token, b"\x89PNG\r\n\x1a\nstolen")),
        ("nobody", put(None, b"\x89PNG\r\n\x1a\nstolen")),
        (
            "a page of HTML",
            put(owner.access_token, b"<html>", mime="text/html", where=path.replace(".png", ".html")),
        ),
        ("a picture over 1 MiB", put(owner.access_token, png + b"a" * MIB, where=path.replace("me", "big"))),
    ):
        expect(400 <= status < 500, f"{what} is refused", expected="a 4xx", saw=status, service=service)
    services.storage.as_user(
        "DELETE", path, stranger.access_token
    )  # whatever it answers: judged by what is left
    services.storage.as_user("DELETE", path, None)
    seen = services.storage.port.request("GET", f"/object/public/avatars/{owner.id}/me.png")
    expect_equal(
        (seen.status, seen.content), (200, png), "everybody sees the owner's picture", service=service
    )
    keys = services.storage.keys(owner.id, "avatars")
    witness("Storage API with the secret key", "one object, the owner's")
    expect_equal(keys, [f"{owner.id}/me.png"], "refused pictures left nothing", service=service)
    source = {"bucketId": "avatars", "sourceKey": f"{owner.id}/me.png"}
    for verb in ("move", "copy"):
        body = {**source, "destinationKey": f"{stranger.id}/{verb}.png"}
        services.storage.as_user("POST", f"/object/{verb}", stranger.access_token, body=body)
    left = (services.storage.keys(owner.id, "avatars"), services.storage.keys(stranger.id, "avatars"))
    expect_equal(left, (keys, []), "a stranger neither moves nor copies a picture", service=service)
