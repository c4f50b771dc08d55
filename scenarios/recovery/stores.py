"""The stores' part of a backup: objects of Supabase Storage and of R2, and KV's keys, each byte for byte."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from urllib.parse import quote

from clients.service_clients import ServiceClients


@dataclass(frozen=True)
class Kept:
    """One object or value: where it lies (`storage:<bucket>`, `r2`, `kv`), its key, type and bytes."""

    store: str
    key: str
    type: str
    data: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """What a report calls it."""
        return f"{'key' if self.store == 'kv' else 'object'} {self.key} of {self.store}"

    @property
    def digest(self) -> str:
        """SHA-256 of type and bytes: either lost is a loss."""
        return hashlib.sha256(self.type.encode() + b"\n" + self.data).hexdigest()


def back_up(services: ServiceClients) -> list[Kept]:
    """Everything in every store that the target has."""
    has = services.run.target.has
    found: list[Kept] = []
    if has("storage.supabase"):
        for bucket in _buckets(services):
            for key in services.storage.keys("", bucket):
                answer = services.storage.as_admin("GET", f"/object/{bucket}/{quote(key)}").demand(200)
                kind = answer.headers.get("content-type", "")
                found.append(Kept(f"storage:{bucket}", key, kind, answer.content))
    if has("storage.r2"):
        for key in services.r2.s3.keys(""):
            head, data = services.r2.s3.head(key), services.r2.s3.get(key)
            if head is not None and data is not None:
                found.append(Kept("r2", key, str(head.get("ContentType", "")), data))
    if has("cache.kv"):
        found += [
            Kept("kv", key, "", data)
            for key in services.kv.keys("")
            if (data := services.kv.get(key)) is not None
        ]
    return found


def restore(kept: list[Kept], services: ServiceClients) -> None:
    """Puts everything back where it lay; rows that a store keeps of its objects are the database's to restore."""
    for one in kept:
        if one.store == "r2":
            with services.r2.s3.speaking(f"restore {one.key}"):
                services.r2.s3.client.put_object(
                    Bucket=services.r2.s3.bucket, Key=one.key, Body=one.data, ContentType=one.type
                )
        elif one.store == "kv":
            services.kv.put(one.key, one.data)
        else:
            bucket = one.store.removeprefix("storage:")
            headers = {"Content-Type": one.type, "x-upsert": "true"}
            path = f"/object/{bucket}/{quote(one.key)}"
            services.storage.as_admin("POST", path, body=one.data, headers=headers).demand(200)


def _buckets(services: ServiceClients) -> list[str]:
    listed = services.storage.as_admin("GET", "/bucket").demand(200).json(list)
    return sorted(str(bucket["id"]) for bucket in listed)
