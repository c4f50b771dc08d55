"""Cloudflare R2: objects over 5 MiB, seen through R2's S3 API."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from clients.http_port import HttpPort
from clients.s3 import S3
from clients.services import Probe, undoing
from core.errors import ConfigError
from core.ledger import Undo
from core.ownership import demand_tag
from core.run import Run
from core.secret import Secret
from core.service import Service, Variable
from core.target import Target

ACCOUNT = Variable("CLOUDFLARE_ACCOUNT_ID")
API_TOKEN = Variable("CLOUDFLARE_API_TOKEN", secret=True)
API_URL = Variable("CLOUDFLARE_API_URL", default="https://api.cloudflare.com/client/v4", url=True)
BUCKET = Variable("R2_BUCKET_NAME")
ENDPOINT = Variable(
    "R2_ENDPOINT", default="https://{CLOUDFLARE_ACCOUNT_ID}.r2.cloudflarestorage.com", url=True
)
_PAIR = ("R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY")
_RIGHT = "Object Read & Write on the bucket; when not given, it follows from CLOUDFLARE_API_TOKEN"
_LOST = "objects as R2 itself holds them: size, hash and absence"

SERVICE = Service(
    id="r2",
    title="Cloudflare R2",
    variables=(
        replace(ACCOUNT, unless=(*_PAIR, ENDPOINT.name)),
        replace(API_TOKEN, unless=(*_PAIR, ENDPOINT.name)),
        API_URL,
        BUCKET,
        ENDPOINT,
        Variable("R2_ACCESS_KEY_ID", secret=True, witness=True, optional=True, right=_RIGHT, lost=_LOST),
        Variable("R2_SECRET_ACCESS_KEY", secret=True, witness=True, optional=True, right=_RIGHT, lost=_LOST),
    ),
    capabilities={"storage.r2": "objects lie in an R2 bucket"},
    guide="docs/live-target.md#cloudflare",
    identity=(ENDPOINT.name, BUCKET.name),
)
ATTRIBUTE = "r2"


class R2Client:
    """The platform's bucket. `s3` is the witness; the platform itself writes through its binding."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.bucket = run.target.get(BUCKET.name)

    @cached_property
    def s3(self) -> S3:
        """The bucket through R2's S3 API."""
        target = self.run.target
        key_id, secret = credentials(target)
        self.run.redactor.add(secret)
        return S3(SERVICE.id, endpoint(target), key_id, secret, self.bucket, target.permit)

    def close(self) -> None:
        """Closes every connection."""
        if "s3" in self.__dict__:
            self.s3.close()


def endpoint(target: Target) -> str:
    """The S3 endpoint; Cloudflare's own carries the account in its host name."""
    return target.get(ENDPOINT.name).rstrip("/")


def credentials(target: Target) -> tuple[Secret, Secret]:
    """The S3 key pair: given, or derived from the API token as Cloudflare documents.

    (developers.cloudflare.com/r2/api/tokens: the key id is the token's id, the secret the SHA-256 of its value.)
    """
    if target.find("R2_ACCESS_KEY_ID") and target.find("R2_SECRET_ACCESS_KEY"):
        return target.secret("R2_ACCESS_KEY_ID"), target.secret("R2_SECRET_ACCESS_KEY")
    token = target.secret(API_TOKEN.name).reveal()
    port = HttpPort(
        SERVICE.id,
        target.permit,
        base=target.get(API_URL.name),
        headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
    )
    try:
        result = port.request("GET", "/user/tokens/verify").demand(200).json(dict).get("result") or {}
    finally:
        port.close()
    if not result.get("id"):
        raise ConfigError(
            "CLOUDFLARE_API_TOKEN is not accepted by Cloudflare; make a new one for this bucket."
        )
    return Secret(str(result["id"])), Secret(hashlib.sha256(token.encode()).hexdigest())


def empty_folder(run: Run, prefix: str) -> None:
    """Removes every object below `prefix`; no such object, no such bucket and no R2 are no failure."""
    if not run.target.has("storage.r2"):
        return
    client = undoing(R2Client, run)
    if not client.s3.has_bucket():
        return
    if keys := [key for key in client.s3.keys(prefix) if key.startswith(prefix)]:
        client.s3.delete(*keys)


def undoers(run: Run) -> dict[str, Undo]:
    """`r2.object` {key}; the key holds the run's tag."""

    def undo_object(key: Mapping[str, Any]) -> None:
        client = undoing(R2Client, run)
        name = demand_tag(run.id, key.get("key", ""), "the key of an object")
        if client.s3.has_bucket():
            client.s3.delete(name)

    return {"r2.object": undo_object}


def probes(run: Run) -> dict[str, Probe]:
    """What the doctor asks: a listing through the S3 API."""

    def bucket() -> str:
        client = R2Client(run)
        client.s3.keys("assay-doctor-nothing/")
        return f"bucket '{client.bucket}' answers the S3 API"

    return {"S3 witness": bucket}
