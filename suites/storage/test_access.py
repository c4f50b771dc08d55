"""P2.1, P2.3, P6.3: reading files: in parts, again, by a signed link, by the wrong person, from another origin."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from core.clock import eventually
from core.expect import expect, expect_equal
from core.passport import check
from fixtures.files import MIB, sha256
from fixtures.toolbox import Services
from scenarios.api.place import Place
from suites.storage.uploads import expect_content, held, prepared, read
from suites.types import NewActor, NewFile, Witness

PLATFORM = "platform"
R2 = "r2"


@check(
    "storage.ranges_and_conditions",
    "A file is read in parts and only when changed, from either store",
    requirement=("P2.1", "P2.3"),
    service=PLATFORM,
    capability="platform.api",
)
def test_ranges(services: Services, place: Place, actor: NewActor, made: NewFile, witness: Witness) -> None:
    """First, middle, last and open ranges; one past the end; ETag by content; HEAD without body."""
    person = actor()
    for size in (1000, 6 * MIB):
        file = made(size)
        stored = prepared(services, place, person.access_token, file)
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
        expect_equal(past.status, 416, "a range past the end answers 416", service=PLATFORM)
        same = read(services, token, identifier, **{"If-None-Match": f'"{file.sha256}"'})
        expect_equal(
            (same.status, same.content),
            (304, b""),
            "an unchanged file answers 304 without body",
            service=PLATFORM,
        )
        other = read(services, token, identifier, **{"If-None-Match": '"other"'})
        expect_equal(other.status, 200, "a changed one answers 200 (positive control)", service=PLATFORM)
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
    capability="platform.api",
)
def test_stranger_denied(
    services: Services, place: Place, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """Each way to a file with a stranger's token and with none; the owner's own way works at the end."""
    owner, stranger, file = actor(), actor(), made(1000)
    stored = prepared(services, place, owner.access_token, file)
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
        saw=direct.status,
        service="supabase.storage",
    )
    own = services.storage.as_user("GET", f"/object/files/{key}", owner.access_token)
    expect_equal(
        own.status, 200, "Supabase Storage lets the owner read (positive control)", service="supabase.storage"
    )
    write = services.storage.as_user(
        "POST", f"/object/files/{owner.id}/x/own.bin", owner.access_token, body=b"mine"
    )
    expect(
        write.status in (400, 401, 403),
        "not even the owner writes there past the platform",
        saw=write.status,
        service="supabase.storage",
    )
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
    "storage.signed_links",
    "A signed link reads its file for whoever holds it, unchanged and in time, and does nothing else",
    requirement=("P2.3", "P6.3"),
    service=PLATFORM,
    capability="platform.api",
)
def test_signed_links(
    services: Services, place: Place, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """Every part of the link changed by itself is refused; a link of one second ends."""
    owner, file, other = actor(), made(1000), made(1000)
    token = owner.access_token
    stored, second = (prepared(services, place, token, f) for f in (file, other))

    def link(seconds: int) -> str:
        answer = services.platform.call(
            "POST", f"/api/files/{stored['id']}/link", token=token, body={"expires_in": seconds}
        )
        url = str(answer.expect(200, 201, claim="a link is made").json(dict)["url"])
        return url if url.startswith("http") else place.platform + url

    url = link(600)
    open_one = services.platform.call("GET", url)
    expect_equal(
        (open_one.status, sha256(open_one.content)),
        (200, file.sha256),
        "the link reads the file without a token",
        service=PLATFORM,
    )
    expect_equal(
        services.platform.call("HEAD", url).status, 200, "HEAD works by the link too", service=PLATFORM
    )
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    changes = {
        "a later end": {"exp": str(int(query["exp"]) + 3600)},
        "another version": {"version": "2"},
        "another signature": {"sig": "A" * len(query["sig"])},
        "no signature": {"sig": ""},
    }
    for what, change in changes.items():
        changed = urlunsplit(parts._replace(query=urlencode({**query, **change})))
        answer = services.platform.call("GET", changed)
        expect(
            answer.status in (401, 403),
            f"the link with {what} is refused",
            saw=answer.said(),
            service=PLATFORM,
        )
    elsewhere = url.replace(stored["id"], second["id"])
    expect(
        services.platform.call("GET", elsewhere).status in (401, 403),
        "the signature does not open another file",
        service=PLATFORM,
    )
    for method in ("DELETE", "PATCH", "PUT", "POST"):
        answer = services.platform.call(method, url, body={})
        expect(
            answer.status in (401, 403, 404, 405),
            f"{method} by the link is refused",
            saw=answer.said(),
            service=PLATFORM,
        )
    short = link(1)
    late = eventually(
        lambda: services.platform.call("GET", short),
        until=lambda a: a.status != 200,
        within=10,
        every=0.3,
        claim="a link of one second ends",
        service=PLATFORM,
    )
    expect_equal(
        (late.status, late.code), (403, "link_expired"), "a late link is refused by name", service=PLATFORM
    )
    expect_equal(
        held(services, "supabase", stored["object_key"]),
        file.sha256,
        "the file is as it was",
        service="supabase.storage",
    )
    witness("Storage API with the secret key", "the file after fourteen tries")


@check(
    "storage.direct_from_r2",
    "A large file is read straight from R2 by a presigned address, from the platform's origin alone",
    requirement=("P2.1", "P6.3"),
    service=R2,
    capability="storage.r2",
)
def test_direct(services: Services, place: Place, actor: NewActor, made: NewFile, witness: Witness) -> None:
    """R2 checks the signature itself: changed, another key and another method are refused; CORS names our origin."""
    owner, small, large = actor(), made(1000), made(6 * MIB)
    token = owner.access_token
    stored, tiny = (prepared(services, place, token, f) for f in (large, small))
    not_there = services.platform.call("POST", f"/api/files/{tiny['id']}/direct", token=token, body={})
    expect_equal(not_there.status, 409, "a file in Supabase Storage has no direct address", service=PLATFORM)
    answer = services.platform.call("POST", f"/api/files/{stored['id']}/direct", token=token, body={})
    url = str(answer.expect(200, 201, claim="a file in R2 has a direct address").json(dict)["url"])
    services.run.target.permit.contact(url)
    port = services.platform.port
    got = port.request("GET", url, headers={"Accept": "*/*", "Origin": place.platform})
    expect_equal(
        (got.status, sha256(got.content)),
        (200, large.sha256),
        "the address reads the file from R2",
        service=R2,
    )
    witness("R2's S3 API", "the presigned read's SHA-256")
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    signature = query["X-Amz-Signature"]
    forged = urlencode(
        {**query, "X-Amz-Signature": signature[:-4] + ("0000" if signature[-4:] != "0000" else "1111")}
    )
    longer = urlencode({**query, "X-Amz-Expires": "604800"})
    for what, method, address in (
        ("with a changed signature", "GET", urlunsplit(parts._replace(query=forged))),
        ("with a longer life", "GET", urlunsplit(parts._replace(query=longer))),
        ("for another object", "GET", urlunsplit(parts._replace(path=parts.path[:-4] + "0000"))),
        ("used to delete", "DELETE", url),
        ("used to write", "PUT", url),
    ):
        refused = port.request(method, address, body=b"" if method == "PUT" else None)
        expect(
            refused.status in (400, 403),
            f"the address {what} is refused by R2",
            saw=refused.status,
            service=R2,
        )
    expect_equal(
        services.r2.s3.sha256(stored["object_key"]), large.sha256, "the object is as it was", service=R2
    )
    for origin, allowed in ((place.platform, True), ("https://evil.example", False)):
        preflight = port.request(
            "OPTIONS",
            url,
            headers={
                "Origin": origin,
                "Access-Control-Request-Method": "GET",
                "Access-Control-Request-Headers": "range",
            },
        )
        said = preflight.headers.get("access-control-allow-origin")
        expect_equal(
            said in (origin, "*"),
            allowed,
            f"R2's CORS {'lets' if allowed else 'does not let'} {origin} read",
            service=R2,
        )


@check(
    "storage.avatars",
    "A person sets their own picture, everybody sees it, nobody sets another's",
    requirement=("P1.3", "P6.3"),
    service="supabase.storage",
    capability="storage.supabase",
)
def test_avatars(services: Services, actor: NewActor, witness: Witness) -> None:
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
    seen = services.storage.port.request("GET", f"/object/public/avatars/{owner.id}/me.png")
    expect_equal(
        (seen.status, seen.content), (200, png), "everybody sees the owner's picture", service=service
    )
    keys = services.storage.keys(owner.id, "avatars")
    witness("Storage API with the secret key", "one object, the owner's")
    expect_equal(keys, [f"{owner.id}/me.png"], "refused pictures left nothing", service=service)
