"""Uploads, routing, versions, search, batches and clean-up of the platform's files, each seen by a witness."""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from .conftest import Person, Stack, until

MIB = 1024 * 1024


def upload(
    person: Person,
    name: str,
    body: bytes,
    mime: str = "application/octet-stream",
    folder: str = "/",
    **headers: str,
) -> httpx.Response:
    return person.http.post(
        "/api/upload",
        params={"name": name, "folder": folder},
        content=body,
        headers={"content-type": mime, **headers},
    )


def put(person: Person, name: str = "a.bin", body: bytes = b"hello", **more: Any) -> dict[str, Any]:
    answer = upload(person, name, body, **more)
    assert answer.status_code == 201, answer.text
    file: dict[str, Any] = answer.json()["file"]
    return file


@pytest.mark.parametrize(
    ("size", "store"), [(0, "supabase"), (5 * MIB, "supabase"), (5 * MIB + 1, "r2"), (6 * MIB, "r2")]
)
def test_size_decides_the_store_and_a_witness_finds_the_bytes(
    stack: Stack, person: Person, size: int, store: str
) -> None:
    body = os.urandom(size)
    file = put(person, f"{size}.bin", body)
    assert (file["store"], file["size"], file["status"], file["version"]) == (store, size, "ready", 1)
    assert file["sha256"] == hashlib.sha256(body).hexdigest()
    if store == "r2":
        object_ = stack.s3().get_object(Bucket=stack.env["R2_BUCKET_NAME"], Key=file["object_key"])
        assert object_["Body"].read() == body
        assert stack.storage_keys(person.id) == []
    else:
        got = stack.service("GET", f"/storage/v1/object/files/{file['object_key']}")
        assert got.content == body
        assert stack.r2_keys(person.id) == []
    down = person.http.get(f"/api/files/{file['id']}/content")
    assert down.content == body
    assert down.headers["x-store"] == store
    assert down.headers["etag"] == f'"{file["sha256"]}"'


@pytest.mark.parametrize(
    ("name", "mime", "body", "status", "code"),
    [
        ("a.html", "text/html", b"<html>", 415, "type_refused"),
        ("a.txt", "text/plain", b"<!DOCTYPE html><script>", 415, "type_refused"),
        ("a.png", "image/png", b"not a picture", 422, "content_mismatch"),
        ("a.bin", "application/octet-stream", b"MZ\x90\x00", 415, "type_refused"),
        ("a.sh", "text/plain", b"#!/bin/sh\n", 415, "type_refused"),
        ("../a", "text/plain", b"x", 400, "bad_request"),
        ("", "text/plain", b"x", 400, "bad_request"),
    ],
)
def test_what_is_not_taken_leaves_nothing(
    stack: Stack, person: Person, name: str, mime: str, body: bytes, status: int, code: str
) -> None:
    answer = upload(person, name, body, mime)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert stack.sql("select 1 from files where owner_id = %s", person.id) == []
    big = upload(person, "big.bin", b"MZ" + os.urandom(6 * MIB))
    assert big.status_code == 415
    assert until(
        lambda: (
            stack.r2_keys(person.id) == []
            and stack.sql("select 1 from uploads where owner_id = %s", person.id) == []
        )
    )


def test_a_wrong_checksum_leaves_nothing(stack: Stack, person: Person) -> None:
    for size in (10, 6 * MIB):
        answer = upload(person, "a.bin", os.urandom(size), **{"x-content-sha256": "0" * 64})
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "checksum_mismatch")
    assert until(lambda: stack.r2_keys(person.id) == [])
    assert stack.storage_keys(person.id) == []
    assert stack.sql("select 1 from files where owner_id = %s", person.id) == []


def test_a_length_is_needed(person: Person) -> None:
    answer = person.http.post(
        "/api/upload?name=a", content=iter([b"abc"]), headers={"content-type": "text/plain"}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (411, "length_required")


def test_a_client_that_goes_away_leaves_nothing(stack: Stack, person: Person) -> None:
    parts = urlsplit(stack.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as line:
        head = (
            f"POST /api/upload?name=half.bin HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {person.token}\r\n"
            f"Content-Type: application/octet-stream\r\nContent-Length: {20 * MIB}\r\n\r\n"
        )
        line.sendall(head.encode() + os.urandom(7 * MIB))
        assert until(lambda: stack.sql("select 1 from uploads where owner_id = %s", person.id))
    assert until(lambda: stack.sql("select 1 from uploads where owner_id = %s", person.id) == [], 90)
    assert stack.sql("select 1 from files where owner_id = %s", person.id) == []
    assert until(
        lambda: stack.sql("select 1 from object_trash where object_key like %s", person.id + "%") == []
    )
    assert stack.r2_keys(person.id) == []


def start(person: Person, size: int, name: str = "parts.bin") -> dict[str, Any]:
    answer = person.http.post(
        "/api/upload/start", json={"name": name, "size": size, "mime": "application/octet-stream"}
    )
    assert answer.status_code == 201, answer.text
    upload_: dict[str, Any] = answer.json()["upload"]
    return upload_


def test_parts_in_any_order_with_one_repeated(stack: Stack, person: Person) -> None:
    body = os.urandom(19 * MIB + 5)
    it = start(person, len(body))
    assert (it["parts"], it["part_size"]) == (3, 8 * MIB)

    def part(n: int) -> httpx.Response:
        return person.http.put(
            f"/api/upload/{it['id']}/parts/{n}", content=body[(n - 1) * 8 * MIB : n * 8 * MIB]
        )

    assert part(3).status_code == 200
    assert part(1).status_code == 200
    early = person.http.post(f"/api/upload/{it['id']}/complete", json={})
    assert (early.status_code, early.json()["error"]["details"]["missing"]) == (409, [2])
    assert person.http.get(f"/api/upload/{it['id']}").json()["upload"]["received"] == [1, 3]
    assert part(1).status_code == 200
    assert part(2).status_code == 200
    wrong = person.http.put(f"/api/upload/{it['id']}/parts/2", content=b"short")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (422, "part_mismatch")
    done = person.http.post(
        f"/api/upload/{it['id']}/complete", json={"sha256": hashlib.sha256(body).hexdigest()}
    )
    assert done.status_code == 201, done.text
    file = done.json()["file"]
    got = stack.s3().get_object(Bucket=stack.env["R2_BUCKET_NAME"], Key=file["object_key"])["Body"].read()
    assert hashlib.sha256(got).hexdigest() == file["sha256"] == hashlib.sha256(body).hexdigest()
    again = person.http.post(f"/api/upload/{it['id']}/complete", json={})
    assert (again.status_code, again.json()) == (201, done.json()), "asked again, as after a lost answer"
    stranger = stack.person().http.post(f"/api/upload/{it['id']}/complete", json={})
    assert stranger.status_code == 404


def test_an_upload_completed_twice_at_once_is_one_file(stack: Stack, person: Person) -> None:
    body = os.urandom(9 * MIB)
    it = start(person, len(body), "twice.bin")
    for n in (1, 2):
        part = body[(n - 1) * 8 * MIB : n * 8 * MIB]
        assert person.http.put(f"/api/upload/{it['id']}/parts/{n}", content=part).status_code == 200
    with ThreadPoolExecutor(3) as pool:
        path = f"/api/upload/{it['id']}/complete"
        answers = list(pool.map(lambda _: person.http.post(path, json={}), range(3)))
    assert [answer.status_code for answer in answers] == [201, 201, 201], [a.text for a in answers]
    assert {answer.json()["file"]["sha256"] for answer in answers} == {hashlib.sha256(body).hexdigest()}
    assert [answer.json()["file"]["version"] for answer in answers] == [1, 1, 1]
    assert stack.sql(
        "select count(*) from file_versions where file_id = %s", answers[0].json()["file"]["id"]
    ) == [(1,)]


def test_an_aborted_upload_leaves_nothing(stack: Stack, person: Person) -> None:
    it = start(person, 9 * MIB)
    assert person.http.put(f"/api/upload/{it['id']}/parts/2", content=os.urandom(MIB)).status_code == 200
    assert person.http.delete(f"/api/upload/{it['id']}").status_code == 204
    assert person.http.get(f"/api/upload/{it['id']}").status_code == 404
    assert stack.sql("select 1 from files where owner_id = %s", person.id) == []
    assert until(
        lambda: stack.sql("select 1 from object_trash where object_key like %s", person.id + "%") == []
    )
    assert stack.r2_keys(person.id) == []


def test_a_strangers_upload_and_file_are_not_there(stack: Stack, person: Person) -> None:
    stranger = stack.person()
    it, file = start(person, 9 * MIB), put(person)
    for method, path in [
        ("GET", f"/api/upload/{it['id']}"),
        ("DELETE", f"/api/upload/{it['id']}"),
        ("GET", f"/api/files/{file['id']}"),
        ("GET", f"/api/files/{file['id']}/content"),
        ("DELETE", f"/api/files/{file['id']}"),
    ]:
        assert stranger.http.request(method, path).status_code == 404, (method, path)
    assert person.http.get(f"/api/files/{file['id']}/content").content == b"hello"
    assert person.http.delete(f"/api/upload/{it['id']}").status_code == 204


def test_versions_restore_and_delete(stack: Stack, person: Person) -> None:
    one = put(person, "v.txt", b"one", mime="text/plain")
    two = put(person, "v.txt", os.urandom(6 * MIB))
    assert (two["id"], two["version"], two["store"]) == (one["id"], 2, "r2")
    path = f"/api/files/{one['id']}"
    assert person.http.get(f"{path}/content?version=1").content == b"one"
    assert person.http.post(f"{path}/restore", json={"version": 1}).json()["file"]["version"] == 3
    assert person.http.get(f"{path}/content").content == b"one"
    assert [v["version"] for v in person.http.get(path).json()["versions"]] == [3, 2, 1]
    assert person.http.post(f"{path}/restore", json={"version": 9}).status_code == 404
    for huge in (2**31, 10**40):  # more than the database's integer holds
        assert person.http.post(f"{path}/restore", json={"version": huge}).status_code == 400
        assert person.http.get(f"{path}/content", params={"version": huge}).status_code == 404
    assert person.http.delete(path).status_code == 204
    assert until(lambda: stack.r2_keys(person.id) == [] and stack.storage_keys(person.id) == [])
    actions = stack.sql(
        "select action, entity from audit_log where subject = %s and entity in ('files','file_versions') order by id",
        person.id,
    )
    assert ("delete", "files") in actions
    assert actions.count(("insert", "file_versions")) == 3
    actors = stack.sql(
        "select distinct actor::text from audit_log where subject = %s and entity = 'files'", person.id
    )
    assert actors == [(person.id,)]


def test_a_batch_is_done_wholly_or_not_at_all(stack: Stack, person: Person) -> None:
    a, b, c = (put(person, n)["id"] for n in ("a", "b", "c"))
    before = stack.sql(
        "select id::text, name, folder from files where owner_id = %s order by name", person.id
    )
    for bad, status in [
        ({"op": "delete", "id": "00000000-0000-4000-8000-000000000000"}, 404),
        ({"op": "rename", "id": b, "name": "c"}, 409),
    ]:
        answer = person.http.post(
            "/api/files/batch",
            json={
                "ops": [
                    {"op": "delete", "id": a},
                    {"op": "move", "id": b, "folder": "/x"},
                    {**bad, "folder": "/"},
                ]
            },
        )
        assert (answer.status_code, answer.json()["error"]["details"]["index"]) == (status, 2), answer.text
        assert (
            stack.sql("select id::text, name, folder from files where owner_id = %s order by name", person.id)
            == before
        )
    ok = person.http.post(
        "/api/files/batch",
        json={
            "ops": [
                {"op": "delete", "id": a},
                {"op": "move", "id": b, "folder": "/x/y"},
                {"op": "rename", "id": c, "name": "d"},
            ]
        },
    )
    assert [r["ok"] for r in ok.json()["results"]] == [True] * 3
    assert stack.sql("select name, folder from files where owner_id = %s order by name", person.id) == [
        ("b", "/x/y"),
        ("d", "/"),
    ]


def test_search_folders_and_order(person: Person) -> None:
    for name, folder in [
        ("100%_a.txt", "/"),
        ("1000_a.txt", "/x"),
        ('quote"(,).txt', "/x/y"),
        ("B.txt", "/xx"),
    ]:
        put(person, name, b"x", folder=folder)

    def names(**query: str) -> list[str]:
        return [
            f["name"]
            for f in person.http.get("/api/files", params={"sort": "name", "order": "asc", **query}).json()[
                "files"
            ]
        ]

    assert names(q="100%") == ["100%_a.txt"]
    assert names(q="b.TXT") == ["B.txt"]
    assert names(q='"(,)') == ['quote"(,).txt']
    assert names(folder="/x") == ["1000_a.txt"]
    assert set(names(under="/x")) == {"1000_a.txt", 'quote"(,).txt'}
    page = person.http.get("/api/files?limit=2&offset=2").json()
    assert (len(page["files"]), page["total"]) == (2, 4)
    assert person.http.get("/api/files?limit=0").status_code == 400


def test_a_search_takes_every_sign_for_itself(person: Person) -> None:
    """PostgREST's wildcard `*` above all, which it lets nobody escape; composed letters and decomposed ones are the same."""
    for name, folder in [
        ("a*b.txt", "/x*y"),
        ("aXb.txt", "/xZy"),
        ("a.b+c^$(d).txt", "/x"),
        ("caf\u00e9.txt", "/"),
    ]:
        put(person, name, b"x", folder=folder)

    def names(**query: str) -> list[str]:
        return [f["name"] for f in person.http.get("/api/files", params=query).json()["files"]]

    assert names(q="a*b") == ["a*b.txt"]
    assert names(q="*") == ["a*b.txt"]
    assert names(q="a.b+c^$(D)") == ["a.b+c^$(d).txt"]
    assert names(q="cafe\u0301") == ["caf\u00e9.txt"]
    assert (
        names(q="\U0001f600" * 128) == []
    )  # 256 units of UTF-16, of which the last half is beyond the limit
    assert names(folder="/x*y") == names(under="/x*y") == ["a*b.txt"]


def test_names_are_counted_by_letters_and_hold_whole_ones(person: Person) -> None:
    name = "\U0001f600" * 251 + ".txt"  # 255 letters, 506 units of UTF-16
    file = put(person, name, b"x")
    assert file["name"] == name
    half = person.http.patch(f"/api/files/{file['id']}", content=b'{"name": "half \\ud83d"}')
    assert (half.status_code, half.json()["error"]["code"]) == (400, "bad_request")


def test_links_ranges_and_conditions(stack: Stack, person: Person) -> None:
    for body in (os.urandom(100), os.urandom(6 * MIB)):
        file = put(person, secrets.token_hex(4), body)
        link = person.http.post(f"/api/files/{file['id']}/link", json={"expires_in": 60}).json()["url"]
        assert httpx.get(link).content == body
        assert httpx.get(link, headers={"range": "bytes=10-19"}).content == body[10:20]
        part = httpx.get(link, headers={"range": "bytes=-5"})
        assert (part.status_code, part.content, part.headers["content-range"]) == (
            206,
            body[-5:],
            f"bytes {len(body) - 5}-{len(body) - 1}/{len(body)}",
        )
        assert httpx.get(link, headers={"range": f"bytes={len(body)}-"}).status_code == 416
        assert httpx.get(link, headers={"if-none-match": f'"{file["sha256"]}"'}).status_code == 304
        assert httpx.head(link).headers["content-length"] == str(len(body))
        assert (
            httpx.get(link[:-1] + ("0" if link[-1] != "0" else "1")).json()["error"]["code"]
            == "bad_signature"
        )
        assert httpx.get(link.replace("version=1", "version=2")).status_code == 403
        assert httpx.delete(link).status_code == 405
    assert httpx.get(f"{stack.url}/api/files/{file['id']}/content").status_code == 401
    direct = person.http.post(f"/api/files/{file['id']}/direct").json()["url"]
    got = httpx.get(direct, headers={"origin": stack.url})
    assert (got.content, got.headers["access-control-allow-origin"]) == (body, stack.url)
    assert (
        "access-control-allow-origin" not in httpx.get(direct, headers={"origin": "http://evil.test"}).headers
    )
    assert httpx.get(direct.replace("Expires=300", "Expires=3000")).status_code == 403


def test_a_deleted_user_leaves_no_object(stack: Stack) -> None:
    somebody = stack.person()
    put(somebody, "small", b"x")
    put(somebody, "large", os.urandom(6 * MIB))
    assert stack.service("DELETE", f"/auth/v1/admin/users/{somebody.id}").status_code == 200
    assert until(lambda: stack.r2_keys(somebody.id) == [] and stack.storage_keys(somebody.id) == [])


@pytest.mark.parametrize(
    ("sizes", "code"),
    [
        ((5 * MIB, 5 * MIB, 1), ""),
        ((6 * MIB, 5 * MIB, 1), "InvalidPart"),
        ((5 * MIB, 5 * MIB + 1), "InvalidPart"),
        ((1, 1), "EntityTooSmall"),
    ],
)
def test_r2_takes_parts_of_one_length_alone(stack: Stack, sizes: tuple[int, ...], code: str) -> None:
    """All but the last are equal, the last is no larger (developers.cloudflare.com/r2/objects/multipart-objects)."""
    s3, where = stack.s3(), {"Bucket": stack.env["R2_BUCKET_NAME"], "Key": f"parts {secrets.token_hex(4)}/ä"}
    one = where | {"UploadId": s3.create_multipart_upload(**where)["UploadId"]}
    tags = [
        s3.upload_part(**one, PartNumber=n, Body=os.urandom(size))["ETag"] for n, size in enumerate(sizes, 1)
    ]
    listed = {"Parts": [{"PartNumber": n, "ETag": tag} for n, tag in enumerate(tags, 1)]}
    if not code:
        s3.complete_multipart_upload(**one, MultipartUpload=listed)
        assert s3.head_object(**where)["ContentLength"] == sum(sizes)
        s3.delete_object(**where)
        code = "NoSuchUpload"  # it is over
    with pytest.raises(s3.exceptions.ClientError) as refused:
        s3.complete_multipart_upload(**one, MultipartUpload=listed)
    assert refused.value.response["Error"]["Code"] == code
    if code != "NoSuchUpload":
        s3.abort_multipart_upload(**one)
