"""P2.2: the store follows from the size, to the byte, however the file comes in."""

from __future__ import annotations

from clients.made_files import MIB, THRESHOLD
from clients.service_clients import ServiceClients
from core.clock import now_ns
from core.expect import expect, expect_equal, expect_status
from core.outcome import SampleOutcome
from core.passport import check
from core.run import Run
from scenarios.adapter import Adapter
from stack.platform.assay.checks.storage.uploads import expect_content, held, holdings, upload
from suites.types import NewActor, NewFile, Witness

STORAGE = "supabase.storage"
R2 = "r2"


@check(
    "storage.threshold_to_the_byte",
    "Up to 5 MiB exactly a file goes to Supabase Storage, with one byte more to R2",
    requirement="P2.2",
    service=R2,
    needs=(
        "storage.r2",
        "platform.api",
        "auth.email",
        "storage.supabase",
        "platform.files.*.upload.stored_in",
    ),
)
def test_threshold(
    services: ServiceClients, adapter: Adapter, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """Empty, one byte, a byte under, exactly, a byte over: each whole in its store and absent from the other."""
    person = actor()
    due = {
        0: "supabase",
        1: "supabase",
        THRESHOLD - 1: "supabase",
        THRESHOLD: "supabase",
        THRESHOLD + 1: "r2",
    }
    for size, store in due.items():
        file = made(size)
        stored = upload(services, adapter, person.access_token, file)
        expect_equal(stored["store"], store, f"a file of {size} bytes goes to {store}", service=R2)
        other = "supabase" if store == "r2" else "r2"
        expect_equal(
            (held(services, store, stored["object_key"]), held(services, other, stored["object_key"])),
            (file.sha256, None),
            f"the file of {size} bytes is whole in {store} and absent from {other}",
            service=R2 if store == "r2" else STORAGE,
        )
        expect_content(services, person.access_token, stored, file)
    there = holdings(services, person.id)
    witness("both stores' own APIs", f"{len(there.supabase)} objects in Storage, {len(there.r2)} in R2")
    expect_equal(
        (len(there.supabase), len(there.r2)),
        (4, 1),
        "five uploads leave five objects",
        service=R2,
    )


@check(
    "storage.hundred_megabytes",
    "A file of 100 MB arrives whole in R2",
    requirement=("P2.1", "perf.upload"),
    service=R2,
    needs=("storage.r2", "platform.api", "auth.email", "platform.files.*.upload.stored_in"),
    timeout=120,
    why_slow="100 MB go up once and come down once for the witness's hash",
)
def test_hundred_megabytes(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """One request of 100 MB; the sample counts only if R2's own API holds the same bytes."""
    person, file = actor(), made(100 * 1000 * 1000)
    data = file.data
    begin = now_ns()
    answer = adapter.upload(services.platform.port, person.access_token, name=file.name, data=data)
    done = now_ns()
    right = answer.status == 201
    key = answer.json()["file"]["object_key"] if right else ""
    right = right and services.r2.s3.sha256(key) == file.sha256
    witness("R2's S3 API", "SHA-256 of 100 MB")
    run.journal.sample(
        run.journal.series("perf.upload", {"size": "100MB"}),
        intended=begin,
        sent=begin,
        done=done,
        outcome=SampleOutcome.OK if right else SampleOutcome.WRONG,
    )
    expect(
        right,
        "100 MB uploaded in one request are in R2, byte for byte",
        expected=f"201 and an object with SHA-256 {file.sha256}",
        saw=f"{answer.status} {answer.text[:200]}",
        service=R2,
    )


@check(
    "storage.refused_uploads",
    "What may not be uploaded is refused, and nothing of it stays",
    requirement=("P2.2", "P6.3"),
    service="platform",
    needs=("platform.api", "auth.email", "database.rest", "storage.supabase", "platform.files.*.refuses"),
)
def test_refused_uploads(
    services: ServiceClients, adapter: Adapter, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """No token, a wrong sum, a type that its bytes deny, a program, a bad name; each beside one that is taken."""
    person, file = actor(), made(1000)
    port, token = services.platform.port, person.access_token
    fine = adapter.upload(port, token, name=file.name, data=file.data, sha256=file.sha256)
    expect_status(fine, 201, "a file with its right sum is taken (positive control)", service="platform")
    png = b"\x89PNG\r\n\x1a\n" + file.data
    expect_equal(
        adapter.upload(port, token, name="a.png", data=png, mime="image/png").status,
        201,
        "an image whose bytes say so is taken (positive control)",
        service="platform",
    )
    before = holdings(services, person.id)
    nobody = services.platform.call("POST", "/api/upload?name=x.bin", body=file.data)
    expect_status(nobody, 401, "an upload without token is refused", service="platform")
    for what, status, code, name, data, mime, sum in (
        ("a wrong sum", 422, "checksum_mismatch", "sum.bin", file.data, "application/octet-stream", "0" * 64),
        ("an image whose bytes deny it", 422, "content_mismatch", "b.png", file.data, "image/png", None),
        (
            "a program under a harmless name",
            415,
            "type_refused",
            "c.txt",
            b"\x7fELF" + file.data,
            "text/plain",
            None,
        ),
        (
            "HTML under a harmless type",
            415,
            "type_refused",
            "d.txt",
            b"<!doctype html><script>",
            "text/plain",
            None,
        ),
        ("a type that is not on the list", 415, "type_refused", "e.html", b"<p>", "text/html", None),
        ("a name with a slash", 400, "bad_request", "../f.bin", file.data, "application/octet-stream", None),
        ("no name", 400, "bad_request", "", file.data, "application/octet-stream", None),
    ):
        answer = adapter.upload(port, token, name=name, data=data, mime=mime, sha256=sum)
        expect(
            answer.status == status and answer.json().get("error", {}).get("code") == code,
            f"{what} is refused",
            expected=f"{status} {code}",
            saw=f"{answer.status} {answer.text[:200]}",
            service="platform",
        )
    after = holdings(services, person.id)
    witness("both stores' own APIs", "the same objects before and after eight refusals")
    expect_equal(after, before, "refused uploads leave no object behind", service=STORAGE)
    rows = services.database.witness_rows("files", owner_id=person.id)
    expect_equal(len(rows), 2, "refused uploads leave no row behind", service="supabase.database")


@check(
    "storage.too_large",
    "A file over the limit is refused before its bytes are stored",
    requirement=("P2.2", "P6.3"),
    service="platform",
    needs=("platform.api", "auth.email", "storage.r2", "platform.files.*.parts"),
)
def test_too_large(services: ServiceClients, adapter: Adapter, actor: NewActor, witness: Witness) -> None:
    """Over 512 MiB in parts, or the rule of parts broken; a fitting start works (positive control)."""
    person = actor()
    port, token = services.platform.port, person.access_token
    over = adapter.start_upload(port, token, name="over.bin", size=512 * MIB + 1)
    expect_status(over, 413, "a start over 512 MiB is refused", service="platform")
    small = adapter.start_upload(port, token, name="small.bin", size=THRESHOLD)
    expect_status(small, 400, "an upload in parts is for files over 5 MiB alone", service="platform")
    fits = adapter.start_upload(port, token, name="fits.bin", size=512 * MIB)
    expect_status(fits, 201, "a start of exactly 512 MiB is taken (positive control)", service="platform")
    upload = fits.json()["upload"]
    expect_equal(
        (upload["store"], upload["parts"], upload["part_size"]),
        ("r2", 64, 8 * MIB),
        "an upload of 512 MiB comes in 64 parts",
        service=R2,
    )
    gone = services.platform.call("DELETE", f"/api/upload/{upload['id']}", token=token)
    expect_status(gone, 204, "aborting it answers 204", service="platform")
    there = holdings(services, person.id)
    witness("both stores' own APIs", "nothing of this person's")
    expect(there.empty, "nothing of the three stays", saw=there, service=R2)
