"""P2.1, P2.3, P6.3: what a file is, beside its bytes: type, name, age; and what is left of uploads that never end."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from clients.made_files import MIB, made_bytes
from clients.service_clients import ServiceClients
from core.clock import eventually
from core.expect import expect, expect_equal, expect_one, expect_status
from core.passport import check
from core.run import Run
from scenarios.adapter import Adapter
from stack.platform.assay.checks.storage.uploads import holdings, read
from suites.types import NewActor, Witness

PLATFORM = "platform"
DATABASE = "supabase.database"
PNG = b"\x89PNG\r\n\x1a\n"
IMAGE = "image/png"
SWEPT, SWEPT_HERE = 150, 25
"""Seconds until the sweeper must have been: it comes once a minute on a live target, each 3 s on the embedded one."""


def type_in_store(services: ServiceClients, store: str, key: str) -> str | None:
    """The content type that a store itself tells of an object."""
    if store == "r2":
        head = services.r2.s3.head(key)
        return None if head is None else str(head.get("ContentType"))
    answer = services.storage.as_admin("GET", f"/object/files/{key}").demand(200)
    return str(answer.headers.get("content-type"))


@check(
    "storage.kept_as_sent",
    "A file keeps its type and its name, in either store, and is handed out so that a browser runs nothing of it",
    requirement=("P2.1", "P2.3", "P6.3"),
    service=PLATFORM,
    needs=(
        "platform.api",
        "auth.email",
        "database.rest",
        "storage.r2",
        "storage.supabase",
        "platform.files.*.list",
        "platform.files.*.upload.stored_in",
    ),
)
def test_kept_as_sent(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, witness: Witness
) -> None:
    """An image of each size class, under a name with every kind of letter; type by row, store, list and download."""
    person = actor()
    token = person.access_token
    for size in (1000, 6 * MIB):
        tag = run.tag()
        name = f"Bild ä '{tag}' (1) 文 + 100% & a;b=c, #2.png"
        data = PNG + made_bytes(tag, size)
        answer = adapter.upload(services.platform.port, token, name=name, data=data, mime=IMAGE)
        expect_status(answer, 201, f"an image of {len(data)} bytes is taken", service=PLATFORM)
        stored = answer.json()["file"]
        key, store = str(stored["object_key"]), str(stored["store"])
        rows = services.database.witness_rows("files", id=stored["id"])
        row = expect_one(rows, "the file has one row", service=DATABASE)
        expect_equal(
            (row.get("mime"), row.get("name"), row.get("size")),
            (IMAGE, name, len(data)),
            "the row keeps type, name and size as sent",
            service=DATABASE,
        )
        service = "r2" if store == "r2" else "supabase.storage"
        expect_equal(
            type_in_store(services, store, key), IMAGE, "the store itself knows the type", service=service
        )
        got = read(services, token, stored["id"])
        expect_equal(
            got.headers.get("content-type"), IMAGE, "the download has the file's type", service=PLATFORM
        )
        said = got.headers.get("content-disposition", "")
        decoded = unquote(said.partition("filename*=UTF-8''")[2])
        expect(
            decoded == name,
            "the download has the file's name",
            expected=f"attachment; filename*=UTF-8''… of {name!r}",
            saw=said,
            service=PLATFORM,
        )
        expect(
            "sandbox" in got.headers.get("content-security-policy", "")
            and got.headers.get("x-content-type-options") == "nosniff",
            "a file opened in a browser may run nothing",
            expected="Content-Security-Policy: sandbox, X-Content-Type-Options: nosniff",
            saw={n: got.headers.get(n) for n in ("content-security-policy", "x-content-type-options")},
            service=PLATFORM,
        )
        etag = got.headers.get("etag", "")
        half = read(services, token, stored["id"], Range="bytes=0-9", **{"If-Range": etag})
        expect_equal(
            (half.status, half.content), (206, data[:10]), "a range of the same file is one", service=PLATFORM
        )
        other = read(services, token, stored["id"], Range="bytes=0-9", **{"If-Range": '"another"'})
        expect_equal(
            (other.status, len(other.content)),
            (200, len(data)),
            "a range of what was another file is the whole (If-Range)",
            service=PLATFORM,
        )
    witness("SQL and both stores' own APIs", "type, name and size of both")


@check(
    "storage.links_end",
    "No link lives for ever: the longest asked for is refused, and R2's own ends within the hour",
    requirement=("P2.1", "P6.3"),
    service=PLATFORM,
    needs=("storage.r2", "platform.api", "auth.email", "platform.files.*.link"),
)
def test_links_end(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, witness: Witness
) -> None:
    """A week is taken (positive control); a second more, none, and less than none are not."""
    person = actor()
    token, name = person.access_token, f"{run.tag()}.bin"
    data = made_bytes(name, 6 * MIB)
    answer = adapter.upload(services.platform.port, token, name=name, data=data)
    file = answer.json()["file"]["id"] if answer.status == 201 else ""
    expect(file, "a large file is taken", saw=f"{answer.status} {answer.text[:200]}", service=PLATFORM)
    for seconds, due in ((604_800, 200), (604_801, 400), (0, 400), (-1, 400)):
        made = services.platform.call(
            "POST", f"/api/files/{file}/link", token=token, body={"expires_in": seconds}
        )
        expect_status(made, due, f"a link of {seconds} seconds answers {due}", service=PLATFORM)
    direct = services.platform.call("POST", f"/api/files/{file}/direct", token=token, body={})
    url = str(direct.expect(200, 201, claim="a direct address is made").json(dict)["url"])
    life = int(parse_qs(urlsplit(url).query).get("X-Amz-Expires", ["0"])[0])
    witness("the address that R2 judges", f"a life of {life} s")
    expect(
        0 < life <= 3600,
        "R2's own address ends within the hour",
        expected="X-Amz-Expires of 3600 at most",
        saw=life,
        service="r2",
    )


def cut_upload(
    adapter: Adapter, token: str, name: str, size: int, sent: bytes, *, wait: bool = False
) -> bytes:
    """Begins an upload of `size` bytes, sends some, and goes away without a word, as a phone in a tunnel does.

    With `wait` it stays until an answer begins, and returns the start of it.
    """
    parts = urlsplit(adapter.platform)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    head = (
        f"POST /api/upload?name={name} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {size}\r\n\r\n"
    )
    with socket.create_connection((parts.hostname or "", port), timeout=10) as raw:
        line = (
            ssl.create_default_context().wrap_socket(raw, server_hostname=parts.hostname) if secure else raw
        )
        line.sendall(head.encode() + sent)
        answer = b""
        if wait:
            with suppress(TimeoutError):  # no answer is one too
                answer = line.recv(1000)
        line.close()
    return answer


@check(
    "storage.unfinished_uploads",
    "An upload that is cut off, or that nobody goes on with, leaves neither bytes nor rows",
    requirement=("P2.1", "P2.2", "risk.cost"),
    service=PLATFORM,
    needs=(
        "storage.r2",
        "platform.api",
        "auth.email",
        "database.rest",
        "storage.supabase",
        "platform.files.*.parts",
    ),
    timeout=200,
    why_slow="the sweeper, which comes once a minute on a live target, is waited for",
)
def test_unfinished(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, witness: Witness
) -> None:
    """Cut in the middle, to either store; and an upload in parts whose time is over, which stays until then."""
    person = actor()
    token, port = person.access_token, services.platform.port
    run.target.permit.contact(adapter.platform)
    swept = SWEPT_HERE if run.target.embedded else SWEPT
    for size, sent in ((1000, 500), (6 * MIB, 2 * MIB)):
        cut_upload(adapter, token, f"cut-{size}.bin", size, made_bytes(run.tag(), sent))
    over = cut_upload(adapter, token, "over.bin", 100 * MIB + 1, b"x" * 1000, wait=True)
    expect(
        over.startswith(b"HTTP/1.1 413"),
        "over 100 MiB in one request are refused before they are sent",
        expected="413",
        saw=over[:60] or "no answer in 10 s: the platform waits for the bytes",
        service=PLATFORM,
    )
    started = adapter.start_upload(port, token, name="left.bin", size=9 * MIB)
    expect_status(started, 201, "an upload in parts begins", service=PLATFORM)
    upload: dict[str, Any] = started.json()["upload"]
    part = made_bytes(run.tag(), upload["part_size"])
    taken = adapter.put_part(port, token, upload["id"], 1, part)
    expect_status(taken, 200, "its first part is taken", service=PLATFORM)
    eventually(
        lambda: services.database.witness_rows("files", owner_id=person.id),
        until=lambda rows: [row["name"] for row in rows] == ["left.bin"],
        within=swept,
        claim="uploads that were cut off leave no row",
        service=DATABASE,
    )
    rows = services.database.witness_rows("uploads", owner_id=person.id)
    row = expect_one(rows, "one upload is under way", service=DATABASE)
    witness(services.database.channel, "the upload that is under way still, and no other")
    expect_equal(row["id"], upload["id"], "what is under way stays (positive control)", service=DATABASE)
    past = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    services.database.as_admin(
        "PATCH", "/uploads", params={"id": f"eq.{upload['id']}"}, body={"expires_at": past}
    ).demand(200)
    late = services.platform.call("GET", f"/api/upload/{upload['id']}", token=token)
    expect_status(late, 404, "an upload whose time is over is unknown", service=PLATFORM)
    eventually(
        lambda: [
            *services.database.witness_rows("uploads", owner_id=person.id),
            *services.database.witness_rows("files", owner_id=person.id),
        ],
        until=lambda rows: not rows,
        within=swept,
        claim="an upload whose time is over is swept away: its rows go",
        service=DATABASE,
    )
    eventually(
        lambda: services.r2.s3.upload_alive(row["object_key"], row["multipart_id"], 2, part),
        until=lambda alive: not alive,
        within=swept,
        claim="an upload whose time is over is swept away: R2 no longer knows it",
        service="r2",
    )
    left = eventually(
        lambda: holdings(services, person.id),
        until=lambda h: h.empty,
        within=swept,
        claim="neither store keeps anything of unfinished uploads",
        service="r2",
    )
    expect(left.empty, "neither store keeps anything of unfinished uploads", saw=left, service="r2")
