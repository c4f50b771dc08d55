"""P2.1, P2.2: a file lands in the store that its size asks for, whole, and nowhere else."""

from __future__ import annotations

from clients.made_files import MIB
from clients.service_clients import ServiceClients
from core.expect import expect_equal
from core.passport import check
from scenarios.adapter import Adapter
from stack.platform.assay.checks.storage.uploads import expect_content, upload
from suites.types import NewActor, NewFile, Witness

STORAGE = "supabase.storage"
R2 = "r2"


@check(
    "storage.small_file_to_supabase",
    "A file of 1 MiB lies in Supabase Storage and not in R2",
    requirement=("P2.2", "P2.3", "done.nomocks"),
    service=STORAGE,
    needs=("storage.supabase", "platform.api", "auth.email", "platform.files.*.upload.stored_in"),
)
def test_small_file(
    services: ServiceClients, adapter: Adapter, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """Bytes by SHA-256 through Storage's own API; R2's own API shows nothing of this person's."""
    person, file = actor(), made(1 * MIB)
    stored = upload(services, adapter, person.access_token, file)
    expect_equal(stored["store"], "supabase", "a file of 1 MiB goes to Supabase Storage", service=STORAGE)
    seen = services.storage.witness_sha256(stored["object_key"])
    witness("Storage API with the secret key", "the object's SHA-256")
    expect_equal(seen, file.sha256, "Supabase Storage holds the file's very bytes", service=STORAGE)
    if services.run.target.has("storage.r2"):
        others = services.r2.s3.keys(f"{person.id}/")
        witness("R2's S3 API", "nothing of this person's")
        expect_equal(others, [], "R2 holds nothing of a file of 1 MiB", service=R2)
    expect_content(services, person.access_token, stored, file)


@check(
    "storage.large_file_to_r2",
    "A file of 6 MiB lies in R2 and not in Supabase Storage",
    requirement=("P2.1", "P2.2", "done.nomocks"),
    service=R2,
    needs=("storage.r2", "platform.api", "auth.email", "platform.files.*.upload.stored_in"),
)
def test_large_file(
    services: ServiceClients, adapter: Adapter, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """Bytes by SHA-256 through R2's S3 API; Storage's own API shows nothing of this person's."""
    person, file = actor(), made(6 * MIB)
    stored = upload(services, adapter, person.access_token, file)
    expect_equal(stored["store"], "r2", "a file of 6 MiB goes to R2", service=R2)
    seen = services.r2.s3.sha256(stored["object_key"])
    witness("R2's S3 API", "the object's SHA-256")
    expect_equal(seen, file.sha256, "R2 holds the file's very bytes", service=R2)
    if services.run.target.has("storage.supabase"):
        others = services.storage.keys(person.id)
        witness("Storage API with the secret key", "nothing of this person's")
        expect_equal(others, [], "Supabase Storage holds nothing of a file of 6 MiB", service=STORAGE)
    expect_content(services, person.access_token, stored, file)
