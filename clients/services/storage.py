"""Supabase Storage: objects up to 5 MiB, through its own API."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from clients.http_port import HttpPort, WireAnswer
from clients.pages import pages
from clients.services import Probe, undoing
from clients.services.auth import PUBLIC_KEY, SECRET_KEY, SUPABASE_URL
from core.ledger import Undo
from core.ownership import demand_tag
from core.run import Run
from core.service import Service

SERVICE = Service(
    id="supabase.storage",
    title="Supabase Storage",
    variables=(SUPABASE_URL, PUBLIC_KEY, SECRET_KEY),
    capabilities={"storage.supabase": "objects lie in buckets of Supabase Storage"},
    guide="docs/live-target.md#supabase",
    identity=(SUPABASE_URL.name,),
)
ATTRIBUTE = "storage"


class StorageClient:
    """Storage under /storage/v1. `witness_*` use the secret key and see what is really there."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.url = run.target.get(SUPABASE_URL.name).rstrip("/")
        self.public_key = run.target.get(PUBLIC_KEY.name)
        self._secret = run.target.secret(SECRET_KEY.name)
        self.port = HttpPort(
            SERVICE.id,
            run.target.permit,
            base=f"{self.url}/storage/v1",
            headers={"apikey": self.public_key},
            redactor=run.redactor,
        )
        self.bucket = run.target.description.platform.bucket
        """The bucket in which the platform keeps people's files; methods that are given none mean it."""

    def as_user(
        self,
        method: str,
        path: str,
        token: str | None,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> WireAnswer:
        """One request with a user's token, or as nobody in particular."""
        sent = {"Authorization": f"Bearer {token or self.public_key}", **(headers or {})}
        return self.port.request(method, path, headers=sent, body=body)

    def as_admin(
        self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> WireAnswer:
        """One request with the secret key."""
        key = self._secret.reveal()
        sent = {"apikey": key, "Authorization": f"Bearer {key}", **(headers or {})}
        return self.port.request(method, path, headers=sent, body=body)

    def buckets(self) -> list[dict[str, Any]]:
        """Every bucket as Storage describes it (`id`, `public`, `file_size_limit`, `allowed_mime_types`)."""
        return list(self.as_admin("GET", "/bucket").demand(200).json(list))

    def witness_get(self, key: str, bucket: str = "") -> bytes | None:
        """An object's bytes, or None when it is not there."""
        answer = self.as_admin("GET", f"/object/{bucket or self.bucket}/{quote(key)}")
        if answer.status in (400, 404):  # Storage says 400 and puts the true status into the body
            answer.json(dict)
            return None
        return answer.demand(200).content

    def witness_sha256(self, key: str, bucket: str = "") -> str | None:
        """SHA-256 of an object's bytes in hex, or None."""
        data = self.witness_get(key, bucket)
        return None if data is None else hashlib.sha256(data).hexdigest()

    def keys(self, prefix: str, bucket: str = "") -> list[str]:
        """Every object's key below a folder `prefix` (with or without the last slash), deep."""
        found: list[str] = []
        left = [(prefix.rstrip("/"), 0)]  # folders still to list, and from which entry on
        page = pages(SERVICE.id, f"listing the folder '{prefix}'")
        while left:
            next(page)
            folder, start = left.pop()
            body = {"prefix": folder, "limit": 1000, "offset": start}
            answer = self.as_admin("POST", f"/object/list/{bucket or self.bucket}", body=body)
            listed = answer.demand(200).json(list)
            if len(listed) >= 1000:
                left.append((folder, start + 1000))
            for entry in listed:
                path = f"{folder}/{entry['name']}" if folder else str(entry["name"])
                if entry.get("id"):
                    found.append(path)
                else:
                    left.append((path, 0))
        return found

    def has_bucket(self, bucket: str) -> bool:
        """Whether the project has this bucket. Storage tells absence as 400 or 404, `statusCode` "404" in the body."""
        answer = self.as_admin("GET", f"/bucket/{bucket}")
        if answer.status in (400, 404) and str(answer.json(dict).get("statusCode")) == "404":
            return False
        answer.demand(200)
        return True

    def delete(self, keys: list[str], bucket: str = "") -> None:
        """Removes objects; absent ones are no failure."""
        for start in range(0, len(keys), 500):
            body = {"prefixes": keys[start : start + 500]}
            self.as_admin("DELETE", f"/object/{bucket or self.bucket}", body=body).demand(200).json(list)

    def close(self) -> None:
        """Closes every connection."""
        self.port.close()


def empty_folder(run: Run, bucket: str, prefix: str) -> None:
    """Removes everything below `prefix` from a bucket; nothing there, or no such bucket, is no failure."""
    client = undoing(StorageClient, run)
    if not client.has_bucket(bucket):
        return
    if keys := [key for key in client.keys(prefix, bucket) if key.startswith(prefix)]:
        client.delete(keys, bucket)


def undoers(run: Run) -> dict[str, Undo]:
    """`storage.object` {bucket, key}; the key holds the run's tag."""

    def undo_object(key: Mapping[str, Any]) -> None:
        client = undoing(StorageClient, run)
        name, bucket = demand_tag(run.id, key.get("key", ""), "the key of an object"), str(key["bucket"])
        if client.has_bucket(bucket):
            client.delete([name], bucket)

    return {"storage.object": undo_object}


def probes(run: Run) -> dict[str, Probe]:
    """What the doctor asks: each bucket that the project describes, with the secret key."""
    client = StorageClient(run)

    def probe(bucket: str = "") -> Probe:
        def there() -> str:
            found = client.as_admin("GET", f"/bucket/{bucket}").demand(200).json(dict)
            return f"is there, {'public' if found.get('public') else 'private'}"

        return there

    return {f"bucket {bucket}": probe(bucket) for bucket in run.target.description.storage.buckets}
