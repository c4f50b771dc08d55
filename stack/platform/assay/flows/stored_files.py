"""What became of a file that a page shows as uploaded."""

from __future__ import annotations

from collections.abc import Callable

from clients.made_files import MadeFile
from clients.service_clients import ServiceClients
from core.expect import expect, expect_equal


def same_bytes(
    services: ServiceClients, file_id: str, file: MadeFile, witness: Callable[[str, str], None]
) -> None:
    """The object, read through its store's own API, has the bytes that the browser sent."""
    rows = services.database.witness_rows("files", id=file_id)
    expect(
        rows,
        f"{file.name}, which the page shows as uploaded, should be stored",
        expected="a row of it in the database",
        saw="no row, so nothing was stored",
        service="platform",
    )
    row = rows[0]
    service = "r2" if row["store"] == "r2" else "supabase.storage"
    if row["store"] == "r2":
        seen = services.r2.s3.sha256(row["object_key"])
    else:
        seen = services.storage.witness_sha256(row["object_key"])
    expect(
        seen is not None,
        f"{file.name}, which the page shows as uploaded, should be stored",
        expected=f"its object in {row['store']}",
        saw="no object there, so nothing was stored",
        service=service,
    )
    witness(f"{row['store']} API", f"{file.size} bytes with the sent SHA-256")
    expect_equal(
        seen,
        file.sha256,
        f"{file.name} lies in {row['store']} with the bytes that were sent",
        service=service,
    )
