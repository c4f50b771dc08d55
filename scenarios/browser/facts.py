"""What flows read back from the services, past the pages."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import FilePayload

from core.expect import expect_equal
from fixtures.files import MadeFile
from fixtures.toolbox import Services


def mailed_link(services: Services, email: str, kind: str = "magiclink", *, after: int = 0) -> str:
    """The newest link mailed to an address (`after`: how many mails came before); else the admin API's."""
    if services.auth.mailbox:
        return str(services.auth.mailbox.wait_for(email, after=after).links()[0])
    return str(services.auth.admin.generate_link({"type": kind, "email": email}).properties.action_link)


def payload(file: MadeFile) -> FilePayload:
    """A made file as a browser's file input takes it."""
    return FilePayload(name=file.name, mimeType=file.mime, buffer=file.data)


def same_bytes(services: Services, file_id: str, file: MadeFile, witness: Callable[[str, str], None]) -> None:
    """The object, read through its store's own API, has the bytes that the browser sent."""
    [row] = services.database.witness_rows("files", id=file_id)
    if row["store"] == "r2":
        seen = services.r2.s3.sha256(row["object_key"])
    else:
        seen = services.storage.witness_sha256(row["object_key"])
    witness(f"{row['store']} API", f"{file.size} bytes with the sent SHA-256")
    claim = f"{file.name} lies in {row['store']} with the bytes that were sent"
    expect_equal(seen, file.sha256, claim, service="r2" if row["store"] == "r2" else "supabase.storage")
