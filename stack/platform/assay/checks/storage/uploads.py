"""Steps that the storage checks share: uploads that must succeed, and what the stores really hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from clients.http_port import WireAnswer
from clients.made_files import MadeFile, sha256
from clients.service_clients import ServiceClients
from core.errors import ServiceError
from core.expect import expect, expect_equal, expect_status
from scenarios.adapter import Adapter


def upload(
    services: ServiceClients, adapter: Adapter, token: str, file: MadeFile, *, folder: str = "/"
) -> dict[str, Any]:
    """Uploads in one request; the answer must describe the file as sent."""
    answer = adapter.upload(
        services.platform.port, token, name=file.name, data=file.data, mime=file.mime, folder=folder
    )
    expect(
        answer.status == 201,
        f"uploading a file of {file.size} bytes answers 201",
        expected="201 with the file's description",
        saw=f"{answer.status} {answer.text[:300]}",
        service="platform",
    )
    stored: dict[str, Any] = answer.json()["file"]
    expect_equal(
        (stored["name"], stored["size"], stored["sha256"], stored["status"]),
        (file.name, file.size, file.sha256, "ready"),
        "the upload's answer describes the file that was sent",
        service="platform",
    )
    return stored


def prepared(
    services: ServiceClients, adapter: Adapter, token: str, file: MadeFile, *, folder: str = "/"
) -> dict[str, Any]:
    """Uploads as preparation: a failure is broken, not missed."""
    answer = adapter.upload(
        services.platform.port, token, name=file.name, data=file.data, mime=file.mime, folder=folder
    )
    if answer.status != 201:
        raise ServiceError("platform", f"preparing a file failed: {answer.status} {answer.text[:200]}")
    stored: dict[str, Any] = answer.json()["file"]
    return stored


def read(services: ServiceClients, token: str, file: str, **headers: str) -> WireAnswer:
    """A file's content through the platform, with these headers."""
    answer: WireAnswer = services.platform.call(
        "GET", f"/api/files/{file}/content", token=token, headers=headers
    )
    return answer


def expect_content(services: ServiceClients, token: str, stored: dict[str, Any], file: MadeFile) -> None:
    """The platform hands the same bytes out again, and says from which store."""
    answer = read(services, token, stored["id"])
    expect_status(answer, 200, "reading one's own file answers 200", service="platform")
    expect_equal(
        sha256(answer.content), file.sha256, "the platform hands the same bytes out again", service="platform"
    )


def held(services: ServiceClients, store: str, key: str) -> str | None:
    """SHA-256 of the object that a store itself holds under a key, or None."""
    if store == "r2":
        found: str | None = services.r2.s3.sha256(key)
        return found
    seen: str | None = services.storage.witness_sha256(key)
    return seen


@dataclass(frozen=True)
class Holdings:
    """Everything below one person's folder, by store."""

    supabase: tuple[str, ...]
    r2: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Nothing at all."""
        return not (self.supabase or self.r2)


def holdings(services: ServiceClients, owner: str) -> Holdings:
    """What the stores' own APIs list for a person; nothing for a store that the target does not have."""
    has = services.run.target.has
    return Holdings(
        tuple(sorted(services.storage.keys(owner))) if has("storage.supabase") else (),
        tuple(sorted(services.r2.s3.keys(f"{owner}/"))) if has("storage.r2") else (),
    )


def listed(services: ServiceClients, token: str, **params: Any) -> dict[str, Any]:
    """The file manager's list."""
    answer = services.platform.call("GET", "/api/files", token=token, params=params)
    document: dict[str, Any] = answer.expect(200, claim="the file list answers 200").json(dict)
    return document
