"""Uploads through the platform's route: each person sends a file, has it checked, reads its head, removes it.

    assay load upload --users 5 --for 60s
    ASSAY_UPLOAD_MB=100 assay load upload --users 20 --for 5m

6 MB unless ASSAY_UPLOAD_MB says otherwise: over 5 MiB the platform must choose R2, else Supabase Storage. The
body is made while it is sent from one shared block, so twenty files of 100 MB cost a megabyte of memory.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from itertools import count
from urllib.parse import urlencode

from locust import between, task

from loadprofiles.engine import ClosedUser, Measure, Response, Stream
from scenarios.api import files
from scenarios.api.place import Place

PEOPLE = 20
"""Identities that this load shares out among its users."""

MEGABYTES = int(os.environ.get("ASSAY_UPLOAD_MB", "6"))
SIZE = MEGABYTES * 1_000_000
STORE = "r2" if SIZE > 5 * 1024 * 1024 else "supabase"
PLACE = Place(
    platform=os.environ.get("PLATFORM_URL", "").rstrip("/"),
    supabase=os.environ.get("VITE_SUPABASE_URL", "").rstrip("/"),
    key=os.environ.get("VITE_SUPABASE_ANON_KEY") or os.environ.get("SUPABASE_PUBLISHABLE_KEY", ""),
)
UPLOAD = Measure("perf.upload", size=f"{MEGABYTES}MB")
_BLOCK = memoryview(os.urandom(1 << 20))
_numbers = count(1)


def blocks() -> Iterator[memoryview]:
    """The file, SIZE bytes in blocks of a mebibyte."""
    for begin in range(0, SIZE, len(_BLOCK)):
        yield _BLOCK[: min(len(_BLOCK), SIZE - begin)]


def digest() -> str:
    """The file's SHA-256."""
    total = hashlib.sha256()
    for block in blocks():
        total.update(block)
    return total.hexdigest()


FILE = Stream(SIZE, blocks)
SHA256 = digest()


class Uploader(ClosedUser):
    """A signed-in person who uploads."""

    wait_time = between(0.5, 1.5)
    timeout = 120.0

    def on_start(self) -> None:
        """One port for what is measured, one for what only checks."""
        self.measured = self.port(UPLOAD, stored_whole)
        self.after = self.port(Measure("upload.after"))

    @task
    def upload(self) -> None:
        """Sends the file; then its head must show hash and store; then it goes."""
        token = self.person.token
        query = urlencode({"name": f"load-{os.getpid()}-{next(_numbers)}.bin", "folder": "/"})
        headers = PLACE.platform_headers(token) | {
            "content-type": "application/octet-stream",
            "x-content-sha256": SHA256,
        }
        answer = self.measured.request(
            "POST", f"{PLACE.platform}/api/upload?{query}", headers=headers, body=FILE
        )
        if answer.error:
            return
        identifier = answer.json()["file"]["id"]
        address = f"{PLACE.platform}/api/files/{identifier}/content"
        self.port(Measure("upload.head"), same_content).request(
            "HEAD", address, headers=PLACE.platform_headers(token)
        )
        files.remove(self.after, PLACE, token, identifier)


def stored_whole(answer: Response) -> str | None:
    """The platform's success: size, hash and the store that the size demands."""
    if answer.status != 201:
        return f"answered {answer.status}"
    file = answer.json()["file"]
    if file["size"] != SIZE or file["sha256"] != SHA256:
        return "stored another size or hash than was sent"
    return None if file["store"] == STORE else f"went to {file['store']} instead of {STORE}"


def same_content(answer: Response) -> str | None:
    """The stored object's own tag is the hash."""
    if answer.status != 200:
        return f"reading it back answered {answer.status}"
    return None if answer.headers.get("etag", "").strip('"') == SHA256 else "reads back with another hash"
