"""The Storage wire beyond the recording: big files, ranges, conditionals, lists, resumable uploads, policies."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from tests.stack.supabase import engine
from tests.stack.supabase.conftest import Person

OBJECT = "/storage/v1/object"
TUS = {"tus-resumable": "1.0.0"}
PART = {**TUS, "content-type": "application/offset+octet-stream"}


def stored(gateway: engine.Gateway) -> set[str]:
    """Every file on the gateway's disk."""
    return {
        str(p.relative_to(gateway.folder)) for p in (gateway.folder / "storage").rglob("*") if p.is_file()
    }


def metadata(**values: str) -> dict[str, str]:
    return {
        "upload-metadata": ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in values.items())
    }


def test_a_large_upload_is_streamed_to_disk(gateway: engine.Gateway, person: Callable[..., Person]) -> None:
    ada = person()
    block, digest = os.urandom(1 << 20), hashlib.sha256()
    process = psutil.Process(gateway.process.pid if gateway.process else 0)
    before = process.memory_info().rss

    def body() -> Iterator[bytes]:
        for _ in range(45):
            digest.update(block)
            yield block

    up = ada.http.post(
        f"{OBJECT}/shelf/{ada.id}/big.bin",
        content=body(),
        headers={"content-type": "application/octet-stream"},
    )
    assert up.status_code == 200, up.text
    grown = process.memory_info().rss - before
    assert grown < 20 << 20, f"45 MB were uploaded and memory grew by {grown >> 20} MB"
    got = hashlib.sha256()
    with ada.http.stream("GET", f"{OBJECT}/shelf/{ada.id}/big.bin") as response:
        for chunk in response.iter_bytes():
            got.update(chunk)
    assert got.digest() == digest.digest()
    with socket.create_connection(("127.0.0.1", gateway.port)) as client:
        head = {
            **ada.http.headers,
            "content-length": str(60 << 20),
            "host": "x",
            "accept-encoding": "identity",
        }
        lines = "".join(f"{k}: {v}\r\n" for k, v in head.items())
        client.sendall(f"POST {OBJECT}/shelf/{ada.id}/huge.bin HTTP/1.1\r\n{lines}\r\n".encode())
        answer = b""  # comes before any byte of the body is sent
        while b"}" not in answer:
            answer += client.recv(4096)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b'"statusCode":"413"' in answer
    ada.http.request("DELETE", f"{OBJECT}/shelf", json={"prefixes": [f"{ada.id}/big.bin"]})


@pytest.mark.parametrize(("header", "status", "body"), [
    ("bytes=0-3", 206, "0123"), ("bytes=6-", 206, "6789"), ("bytes=-2", 206, "89"), ("bytes=8-99", 206, "89"),
    ("bytes=10-", 416, None), ("bytes=5-2", 416, None), ("nonsense", 416, None), ("bytes=-", 416, None),
])  # fmt: skip
def test_ranges(header: str, status: int, body: str | None, person: Callable[..., Person]) -> None:
    ada = person()
    one = f"{OBJECT}/shelf/{ada.id}/r.txt"
    ada.http.post(one, content=b"0123456789", headers={"content-type": "text/plain"})
    got = ada.http.get(one, headers={"range": header})
    assert got.status_code == status
    if body is not None:
        assert got.text == body


def test_conditionals_and_metadata(person: Callable[..., Person]) -> None:
    ada = person()
    one = f"{OBJECT}/shelf/{ada.id}/c.txt"
    custom = base64.b64encode(json.dumps({"k": "v"}).encode()).decode()
    headers = {"content-type": "text/html", "cache-control": "max-age=60", "x-metadata": custom}
    ada.http.post(one, content=b"<b>", headers=headers)
    first = ada.http.get(one)
    assert (first.headers["content-type"], first.headers["cache-control"]) == ("text/plain", "max-age=60")
    assert ada.http.get(one, headers={"if-none-match": first.headers["etag"]}).status_code == 304
    assert ada.http.get(one, headers={"if-none-match": '"other"'}).status_code == 200
    assert ada.http.get(one, headers={"if-modified-since": first.headers["last-modified"]}).status_code == 304
    info = ada.http.get(f"{OBJECT}/info/authenticated/shelf/{ada.id}/c.txt").json()
    assert (info["metadata"], info["size"], info["content_type"]) == ({"k": "v"}, 3, "text/html")


def test_lists_page_by_cursor_and_by_offset(person: Callable[..., Person]) -> None:
    ada = person()
    names = [f"{ada.id}/{n}" for n in ("a.txt", "b/1.txt", "b/2.txt", "c.txt", "d.txt")]
    for name in names:
        ada.http.post(f"{OBJECT}/shelf/{name}", content=b"x", headers={"content-type": "text/plain"})
    folder = ada.http.post(f"{OBJECT}/list/shelf", json={"prefix": ada.id, "limit": 2, "offset": 1}).json()
    assert [(f["name"], f["id"] is None) for f in folder] == [("b", True), ("c.txt", False)]
    seen, cursor = [], None
    for _ in range(10):
        body: dict[str, Any] = {"prefix": f"{ada.id}/", "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = ada.http.post(f"{OBJECT}/list-v2/shelf", json=body).json()
        seen += [o["name"] for o in page["objects"]]
        cursor = page.get("nextCursor")
        if not page["hasNext"]:
            break
    assert seen == names
    body = {"prefix": f"{ada.id}/", "with_delimiter": True, "sortBy": {"column": "name", "order": "desc"}}
    tree = ada.http.post(f"{OBJECT}/list-v2/shelf", json=body).json()
    assert [f["name"] for f in tree["folders"]] == [f"{ada.id}/b/"]
    assert [o["name"].split("/")[1] for o in tree["objects"]] == ["d.txt", "c.txt", "a.txt"]


def test_resumable_uploads_survive_a_break_and_obey_policies(person: Callable[..., Person]) -> None:
    ada, eve = person("ada"), person("eve")
    content = os.urandom(300_000)
    about = metadata(
        bucketName="shelf", objectName=f"{ada.id}/t.bin", contentType="application/x-t", metadata='{"a":1}'
    )
    endpoint = "/storage/v1/upload/resumable"
    assert eve.http.post(endpoint, headers={**TUS, **about, "upload-length": "300000"}).status_code == 403
    made = ada.http.post(
        endpoint, headers={**PART, **about, "upload-length": "300000"}, content=content[:1000]
    )
    assert (made.status_code, made.headers["upload-offset"]) == (201, "1000")
    url = made.headers["location"]
    with socket.create_connection((ada.http.base_url.host, ada.http.base_url.port or 80)) as broken:
        head = {**ada.http.headers, **PART, "upload-offset": "1000", "content-length": "299000"}
        lines = "".join(f"{k}: {v}\r\n" for k, v in head.items() if k not in ("host", "accept-encoding"))
        broken.sendall(
            f"PATCH {httpx.URL(url).raw_path.decode()} HTTP/1.1\r\nhost: x\r\n{lines}\r\n".encode()
            + content[1000:150_000]
        )
    while (offset := int(ada.http.head(url, headers=TUS).headers["upload-offset"])) < 150_000:
        continue
    assert ada.http.patch(url, headers={**PART, "upload-offset": "7"}, content=b"x").status_code == 409
    while (
        done := ada.http.patch(url, headers={**PART, "upload-offset": str(offset)}, content=content[offset:])
    ).status_code == 423:
        continue
    assert (done.status_code, done.headers["upload-offset"]) == (204, "300000")
    assert ada.http.get(f"{OBJECT}/shelf/{ada.id}/t.bin").content == content
    whole = ada.http.head(url, headers=TUS)
    assert (whole.status_code, whole.headers["upload-offset"]) == (200, "300000")
    assert (
        ada.http.delete(url, headers=TUS).status_code == 409
    )  # it exists, and nobody said that it may be replaced
    replacing = ada.http.delete(url, headers={**TUS, "x-upsert": "true"})
    assert (replacing.status_code, replacing.text) == (400, "Cannot terminate an already completed upload\n")
    over = ada.http.post(endpoint, headers={**TUS, **about, "upload-length": str(60 << 20)})
    assert over.status_code == 413
    given_up = ada.http.post(
        endpoint,
        headers={**TUS, **metadata(bucketName="shelf", objectName=f"{ada.id}/u"), "upload-length": "9"},
    )
    assert ada.http.delete(given_up.headers["location"], headers=TUS).status_code == 204
    assert ada.http.post(endpoint, headers={**about, "upload-length": "9"}).status_code == 412


def test_an_upload_that_breaks_off_leaves_nothing(
    gateway: engine.Gateway, person: Callable[..., Person]
) -> None:
    ada = person()
    before = stored(gateway)
    for form in (False, True):
        name = f"{ada.id}/broken-{form}.bin"
        kind = "multipart/form-data; boundary=x" if form else "application/octet-stream"
        start = b'--x\r\nContent-Disposition: form-data; name=""; filename="f"\r\n\r\n' if form else b""
        with socket.create_connection(("127.0.0.1", gateway.port)) as client:
            head = {**ada.http.headers, "content-type": kind, "content-length": "1000000", "host": "x"}
            lines = "".join(f"{k}: {v}\r\n" for k, v in head.items() if k != "accept-encoding")
            client.sendall(
                f"POST {OBJECT}/shelf/{name} HTTP/1.1\r\n{lines}\r\n".encode() + start + b"z" * 100_000
            )
            while not any("/tmp/" in f for f in stored(gateway)):
                continue
        while stored(gateway) != before:
            continue
        assert ada.http.get(f"{OBJECT}/shelf/{name}").json()["statusCode"] == "404"


def test_replacing_removing_and_copying_leave_no_bytes_behind(
    gateway: engine.Gateway, person: Callable[..., Person]
) -> None:
    ada = person()
    before = stored(gateway)
    one, text = f"{OBJECT}/shelf/{ada.id}/v.txt", {"content-type": "text/plain"}
    for content in (b"1", b"22", b"333"):
        assert ada.http.put(one, content=content, headers=text).status_code == 200
    assert len(stored(gateway)) == len(before) + 1
    copy = {"bucketId": "shelf", "sourceKey": f"{ada.id}/v.txt", "destinationKey": f"{ada.id}/w.txt"}
    assert ada.http.post(f"{OBJECT}/copy", json=copy).status_code == 200
    ada.http.put(one, content=b"4444", headers=text)
    assert ada.http.get(f"{OBJECT}/shelf/{ada.id}/w.txt").content == b"333"
    gone = ada.http.request(
        "DELETE", f"{OBJECT}/shelf", json={"prefixes": [f"{ada.id}/v.txt", f"{ada.id}/w.txt"]}
    )
    assert len(gone.json()) == 2
    assert stored(gateway) == before


def test_strangers_see_and_change_nothing(person: Callable[..., Person], raw: httpx.Client) -> None:
    ada, eve = person("ada"), person("eve")
    one = f"shelf/{ada.id}/s.txt"
    ada.http.post(f"{OBJECT}/{one}", content=b"mine", headers={"content-type": "text/plain"})
    missing = {"statusCode": "404", "error": "not_found", "message": "Object not found", "code": "NoSuchKey"}
    assert eve.http.get(f"{OBJECT}/{one}").json() == missing
    assert eve.http.post(f"{OBJECT}/sign/{one}", json={"expiresIn": 60}).json() == missing
    assert (
        eve.http.post(f"{OBJECT}/{one}", content=b"x", headers={"x-upsert": "true"}).json()["statusCode"]
        == "403"
    )
    move = {"bucketId": "shelf", "sourceKey": f"{ada.id}/s.txt", "destinationKey": f"{eve.id}/s.txt"}
    assert eve.http.post(f"{OBJECT}/move", json=move).json() == missing
    assert ada.http.post(f"{OBJECT}/move", json=move).json()["statusCode"] == "403"
    assert raw.get(f"{OBJECT}/public/{one}").json()["statusCode"] == "404"
    signed = ada.http.post(f"{OBJECT}/sign/{one}", json={"expiresIn": 60}).json()["signedURL"]
    assert raw.get(f"/storage/v1{signed}").text == "mine"
    assert raw.get(f"/storage/v1{signed.replace('s.txt', 'other.txt')}").json()["error"] == "InvalidSignature"
    token = signed.split("token=")[1]
    put = raw.put(f"{OBJECT}/upload/sign/{one}?token={token}", content=b"y")
    assert put.json()["error"] == "InvalidSignature"  # a token to download is none to upload
    assert raw.get("/rest/v1/books", headers={"authorization": f"Bearer {token}"}).status_code == 401
    assert ada.http.get(f"{OBJECT}/{one}").text == "mine"


def test_keys_cannot_leave_their_folder(gateway: engine.Gateway, person: Callable[..., Person]) -> None:
    ada = person()
    for name in ("../../etc/passwd", "..%2f..%2fetc%2fpasswd", "a%00b", "a/../../b"):
        answer = ada.http.post(f"{OBJECT}/shelf/{ada.id}/{name}", content=b"x")
        assert answer.status_code < 500
    assert not [
        p for p in Path(gateway.folder).iterdir() if p.name not in ("CONFIG.json", "gateway.log", "storage")
    ]


def test_a_write_that_postgres_refuses_leaves_no_bytes(
    gateway: engine.Gateway, person: Callable[..., Person]
) -> None:
    ada = person()
    name = f"t{uuid.uuid4().hex[:8]}"
    with psycopg.connect(gateway.postgres.dsn("supabase_admin"), autocommit=True) as db:
        db.execute(f"create function public.{name}() returns trigger language plpgsql as $$ begin "
                   "if new.metadata ? 'eTag' then raise exception 'no'; end if; return new; end $$")  # fmt: skip
        db.execute(
            f"create trigger {name} before insert on storage.objects for each row execute function public.{name}()"
        )
        before = stored(gateway)
        refused = ada.http.post(
            f"{OBJECT}/shelf/{ada.id}/n.txt", content=b"x", headers={"content-type": "text/plain"}
        )
        db.execute(f"drop trigger {name} on storage.objects")
        db.execute(f"drop function public.{name}")
    assert (refused.status_code, refused.json()["message"]) == (500, "database error, code: P0001")
    assert stored(gateway) == before


def test_what_is_left_out_answers_501(root: httpx.Client) -> None:
    defer = {**TUS, **metadata(bucketName="shelf", objectName="a"), "upload-defer-length": "1"}
    answers = [
        root.post("/storage/v1/bucket", json={"name": "lake", "type": "ANALYTICS"}),
        root.get("/storage/v1/render/image/public/shelf/a.png"),
        root.post("/storage/v1/upload/resumable", headers=defer),
    ]
    assert [a.status_code for a in answers] == [501] * 3, [a.text for a in answers]


def names(answer: httpx.Response, kind: str = "objects") -> list[str]:
    return [one["name"] for one in answer.json()[kind]]


@pytest.mark.parametrize("column", ["name", "created_at", "updated_at"])
@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("delimited", [False, True])
def test_pages_in_any_order_are_the_whole_list(
    column: str, order: str, delimited: bool, person: Callable[..., Person]
) -> None:
    ada = person()
    for name in ("c/1", "b", "A", "c/2", "e-1", "d/1", "e", "d/2"):
        ada.http.post(f"{OBJECT}/shelf/{ada.id}/{name}", content=b"x", headers={"content-type": "text/plain"})
    whole = {
        "prefix": f"{ada.id}/",
        "with_delimiter": delimited,
        "sortBy": {"column": column, "order": order},
    }
    listed = ada.http.post(f"{OBJECT}/list-v2/shelf", json=whole)
    files, folders = names(listed), names(listed, "folders")
    assert len(files) + 2 * len(folders) == 8
    seen: dict[str, list[str]] = {"objects": [], "folders": []}
    page: dict[str, Any] = {"nextCursor": ""}
    while cursor := {"cursor": page["nextCursor"]} if "nextCursor" in page else None:
        answer = ada.http.post(f"{OBJECT}/list-v2/shelf", json={**whole, "limit": 2, **cursor})
        page = answer.json()
        for kind, known in seen.items():
            known += names(answer, kind)
    assert seen == {"objects": files, "folders": folders}


def test_what_the_real_server_leaves_out_of_lists(person: Callable[..., Person]) -> None:
    """Migrations 0050 and 0063: by name descending, the first object of a folder after a file does not count, unless
    a page begins there; a page with folders that begins after ``a`` begins at ``a/``."""
    ada = person()
    for name in ("a", "a-b", "lone/1", "z"):
        ada.http.post(f"{OBJECT}/shelf/{ada.id}/{name}", content=b"x", headers={"content-type": "text/plain"})
    down = {"prefix": ada.id, "sortBy": {"column": "name", "order": "desc"}}
    assert [one["name"] for one in ada.http.post(f"{OBJECT}/list/shelf", json=down).json()] == [
        "z",
        "a-b",
        "a",
    ]
    page: dict[str, Any] = {"prefix": f"{ada.id}/", "with_delimiter": True, "limit": 1}
    last = ada.http.post(f"{OBJECT}/list-v2/shelf", json={**page, "sortBy": down["sortBy"]}).json()
    before = ada.http.post(f"{OBJECT}/list-v2/shelf", json={**page, "cursor": last["nextCursor"]})
    assert (names(before, "folders"), names(before)) == ([f"{ada.id}/lone/"], [])
    first = ada.http.post(f"{OBJECT}/list-v2/shelf", json=page).json()
    rest = ada.http.post(f"{OBJECT}/list-v2/shelf", json={**page, "limit": 9, "cursor": first["nextCursor"]})
    assert (names(rest, "folders"), names(rest)) == ([f"{ada.id}/lone/"], [f"{ada.id}/z"])


def test_a_move_makes_a_new_version(gateway: engine.Gateway, person: Callable[..., Person]) -> None:
    ada = person()
    ada.http.post(f"{OBJECT}/shelf/{ada.id}/m", content=b"moved", headers={"content-type": "text/plain"})
    before, kept = ada.http.get(f"{OBJECT}/info/shelf/{ada.id}/m").json(), stored(gateway)
    move = {"bucketId": "shelf", "sourceKey": f"{ada.id}/m", "destinationKey": f"{ada.id}/n"}
    assert ada.http.post(f"{OBJECT}/move", json=move).status_code == 200
    after = ada.http.get(f"{OBJECT}/info/shelf/{ada.id}/n").json()
    assert (after["id"], after["version"] == before["version"]) == (before["id"], False)
    assert ada.http.get(f"{OBJECT}/shelf/{ada.id}/n").content == b"moved"
    assert len(stored(gateway)) == len(kept)


def test_a_link_ends(root: httpx.Client, person: Callable[..., Person]) -> None:
    ada = person()
    one = f"shelf/{ada.id}/short"
    ada.http.post(f"{OBJECT}/{one}", content=b"x", headers={"content-type": "text/plain"})
    signed = ada.http.post(f"{OBJECT}/sign/{one}", json={"expiresIn": 1}).json()["signedURL"]
    while (got := root.get(f"/storage/v1{signed}")).status_code == 200:
        continue
    assert (got.json()["error"], got.json()["message"]) == (
        "InvalidJWT",
        '"exp" claim timestamp check failed',
    )
