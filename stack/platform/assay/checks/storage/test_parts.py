"""P2.1: uploads in parts: any order, repeats, resuming, aborting, and what must not pass."""

from __future__ import annotations

from typing import Any

from clients.made_files import MIB, MadeFile, made_bytes
from clients.service_clients import ServiceClients
from core.clock import eventually
from core.expect import expect, expect_equal, expect_one, expect_status
from core.passport import check
from scenarios.adapter import Adapter
from stack.platform.assay.checks.storage.uploads import expect_content, held, holdings, listed, prepared
from suites.types import NewActor, NewFile, Witness

R2 = "r2"


def begin(services: ServiceClients, adapter: Adapter, token: str, file: MadeFile) -> dict[str, Any]:
    """Starts an upload in parts that must be taken."""
    answer = adapter.start_upload(
        services.platform.port, token, name=file.name, size=file.size, sha256=file.sha256
    )
    expect(
        answer.status == 201,
        "starting an upload in parts answers 201",
        saw=answer.text[:200],
        service="platform",
    )
    upload: dict[str, Any] = answer.json()["upload"]
    return upload


@check(
    "storage.parts_any_order",
    "Parts may come in any order and twice, and the upload may be resumed",
    requirement=("P2.1", "P2.3"),
    service=R2,
    needs=("storage.r2", "platform.api", "auth.email", "database.rest", "platform.files.*.parts"),
    timeout=40,
    why_slow="20 MiB in parts, some of them twice",
)
def test_parts_any_order(
    services: ServiceClients, adapter: Adapter, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """Part 3, then a wrong part 1, then what is missing as the server tells it, then part 1 rightly."""
    person, file = actor(), made(20 * MIB)
    port, token = services.platform.port, person.access_token
    upload = begin(services, adapter, token, file)
    parts = dict(adapter.parts_of(file.data, upload["part_size"]))
    expect_equal(
        len(parts), upload["parts"], "the server counts the parts as the rule says", service="platform"
    )
    last = max(parts)
    wrong = made_bytes("wrong", len(parts[1]))
    for number, data in ((last, parts[last]), (1, wrong)):
        answer = adapter.put_part(port, token, upload["id"], number, data)
        expect(answer.status == 200, f"part {number} is taken", saw=answer.text[:200], service="platform")

    early = adapter.complete_upload(port, token, upload["id"])
    expect(
        early.status == 409 and adapter.refusal(early).get("details", {}).get("missing") == [2],
        "completing with a part missing is refused and names the part",
        expected="409 conflict, missing [2]",
        saw=early.text[:200],
        service="platform",
    )
    status = services.platform.call("GET", f"/api/upload/{upload['id']}", token=token).expect(
        200, claim="the upload's state can be asked for"
    )
    received = status.json(dict)["upload"]["received"]
    expect_equal(
        sorted(received), [1, last], "the state says which parts came, for resuming", service="platform"
    )
    for number in [*sorted(set(parts) - set(received)), 1]:
        answer = adapter.put_part(port, token, upload["id"], number, parts[number])
        expect(answer.status == 200, f"part {number} is taken", saw=answer.text[:200], service="platform")
    under_way = services.database.witness_rows("uploads", owner_id=person.id)
    one = expect_one(under_way, "one upload of the person is under way", service="supabase.database")
    multipart = str(one.get("multipart_id"))
    done = adapter.complete_upload(port, token, upload["id"], sha256=file.sha256)
    expect(done.status == 201, "with all parts the upload completes", saw=done.text[:300], service="platform")
    stored = done.json()["file"]
    seen = held(services, "r2", stored["object_key"])
    witness("R2's S3 API", "SHA-256 of the object joined from parts")
    expect_equal(seen, file.sha256, "R2 holds the parts in order, the repeated one as sent last", service=R2)
    alive = services.r2.s3.upload_alive(stored["object_key"], multipart, 1, parts[1])
    expect(not alive, "the multipart upload has ended in R2", saw="it still takes parts", service=R2)
    expect_content(services, token, stored, file)


@check(
    "storage.parts_refused",
    "A part of a wrong size, a wrong sum, and a stranger's hand are refused, and nothing stays",
    requirement=("P2.1", "P6.3"),
    service=R2,
    needs=("storage.r2", "platform.api", "auth.email", "database.rest", "platform.files.*.parts"),
    timeout=40,
    why_slow="two uploads in parts and the wait until the stores are empty",
)
def test_parts_refused(
    services: ServiceClients, adapter: Adapter, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """After a wrong sum at the end nothing remains: no object, no part, no row."""
    person, stranger, file = actor(), actor(), made(9 * MIB)
    port, token = services.platform.port, person.access_token
    good = prepared(services, adapter, token, made(6 * MIB))
    image = adapter.start_upload(port, token, name="not.png", size=file.size, mime="image/png")
    expect_status(image, 201, "an image in parts may begin", service="platform")
    belied = adapter.put_part(port, token, image.json()["upload"]["id"], 1, file.data[: 8 * MIB])
    expect_status(belied, 422, "a first part that belies the type is refused", service="platform")
    ended = services.platform.call("DELETE", f"/api/upload/{image.json()['upload']['id']}", token=token)
    expect_status(ended, 204, "aborting it answers 204", service="platform")
    upload = begin(services, adapter, token, file)
    parts = dict(adapter.parts_of(file.data, upload["part_size"]))
    short = adapter.put_part(port, token, upload["id"], 1, parts[1][:-1])
    expect_status(short, 422, "a part one byte short is refused", service="platform")
    for number in (0, 3):
        beyond = adapter.put_part(port, token, upload["id"], number, parts[2])
        expect(
            beyond.status in (400, 404, 422),
            f"part {number} of 2 is refused",
            saw=f"{beyond.status} {beyond.text[:200]}",
            service="platform",
        )
    for method, path in (("PUT", "/parts/1"), ("GET", ""), ("POST", "/complete"), ("DELETE", "")):
        body: Any = {"PUT": parts[1], "POST": {}}.get(method)
        answer = services.platform.call(
            method, f"/api/upload/{upload['id']}{path}", token=stranger.access_token, body=body
        )
        expect_status(
            answer, 404, f"{method} on somebody's upload is refused to a stranger", service="platform"
        )
    for number, data in parts.items():
        expect_equal(
            adapter.put_part(port, token, upload["id"], number, data).status,
            200,
            "its owner goes on (positive control)",
            service="platform",
        )
    wrong = adapter.complete_upload(port, token, upload["id"], sha256="0" * 64)
    expect_status(wrong, 422, "completing with a wrong sum is refused", service="platform")
    there = eventually(
        lambda: holdings(services, person.id),
        until=lambda h: h.r2 == (good["object_key"],),
        within=20,
        claim="after a wrong sum R2 holds the person's good file (positive control) and nothing of the upload",
        service=R2,
    )
    witness("both stores' own APIs", f"the good file alone: {there}")
    rows = services.database.witness_rows("files", owner_id=person.id)
    expect_equal(
        [r["id"] for r in rows], [good["id"]], "after a wrong sum no row is left", service="supabase.database"
    )


@check(
    "storage.parts_aborted",
    "An aborted upload in parts leaves nothing, in R2 or in the database",
    requirement=("P2.1", "risk.cost"),
    service=R2,
    needs=("storage.r2", "platform.api", "auth.email", "database.rest", "platform.files.*.parts"),
    timeout=40,
    why_slow="8 MiB up, and the wait until the stores are empty",
)
def test_parts_aborted(
    services: ServiceClients, adapter: Adapter, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """R2 shows the unfinished upload before (positive control) and none after; its id is then unknown."""
    person, file = actor(), made(9 * MIB)
    port, token = services.platform.port, person.access_token
    upload = begin(services, adapter, token, file)
    parts = dict(adapter.parts_of(file.data, upload["part_size"]))
    expect_equal(
        adapter.put_part(port, token, upload["id"], 1, parts[1]).status,
        200,
        "part 1 is taken",
        service=R2,
    )
    under_way = services.database.witness_rows("uploads", owner_id=person.id)
    begun = expect_one(under_way, "one upload of the person is under way", service="supabase.database")
    key, multipart = str(begun.get("object_key")), str(begun.get("multipart_id"))
    alive = services.r2.s3.upload_alive(key, multipart, 2, parts[2])
    expect(alive, "R2 itself knows the upload under way (positive control)", service=R2)
    shown = listed(services, token)
    expect_equal(
        (shown["files"], shown["total"]),
        ([], 0),
        "a file that is not there yet is not listed",
        service="platform",
    )
    gone = services.platform.call("DELETE", f"/api/upload/{upload['id']}", token=token)
    expect_status(gone, 204, "aborting answers 204", service="platform")
    eventually(
        lambda: holdings(services, person.id),
        until=lambda h: h.empty,
        within=20,
        claim="after the abort R2 holds neither object nor parts",
        service=R2,
    )
    eventually(
        lambda: services.r2.s3.upload_alive(key, multipart, 2, parts[2]),
        until=lambda alive: not alive,
        within=20,
        claim="after the abort R2 no longer knows the multipart upload",
        service=R2,
    )
    witness("R2's S3 API", "no object and no unfinished upload")
    left = services.database.witness_rows("uploads", owner_id=person.id)
    expect_equal(left, [], "after the abort no row is left", service="supabase.database")
    late = adapter.put_part(port, token, upload["id"], 2, parts[2])
    expect_status(late, 404, "a part for an aborted upload is refused", service="platform")
