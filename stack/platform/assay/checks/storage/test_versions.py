"""P2.3: versions: one name, many contents, none lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from clients.made_files import MIB, MadeFile, sha256
from clients.service_clients import ServiceClients
from core.clock import eventually
from core.expect import expect_equal, expect_status
from core.passport import check
from scenarios.adapter import Adapter
from stack.platform.assay.checks.storage.uploads import held, holdings, listed, read, upload
from suites.types import NewActor, NewFile, Witness

PLATFORM = "platform"


@check(
    "storage.versions",
    "The same name again is the next version; every version stays readable, and may be restored",
    requirement="P2.3",
    service=PLATFORM,
    needs=("platform.api", "auth.email", "storage.r2", "storage.supabase", "platform.files.*.restore"),
    timeout=60,
    why_slow="objects of what was removed are waited for until they are swept away",
)
def test_versions(
    services: ServiceClients, adapter: Adapter, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """Three versions across both stores; the first restored as the fourth; removal takes all their objects."""
    person = actor()
    token = person.access_token
    sizes = (1000, 6 * MIB, 2000)
    name = made(0).name
    contents = [MadeFile(name, size, f"{name}-{n}") for n, size in enumerate(sizes, 1)]
    stored: dict[str, Any] = {}
    for number, content in enumerate(contents, 1):
        stored = upload(services, adapter, token, content)
        expect_equal(
            stored["version"], number, f"upload {number} of a name is version {number}", service=PLATFORM
        )
    about = services.platform.call("GET", f"/api/files/{stored['id']}", token=token)
    versions = about.expect(200, claim="a file tells its versions").json(dict)["versions"]
    expect_equal(
        [(v["version"], v["size"], v["sha256"], v["store"]) for v in versions],
        [
            (n, c.size, c.sha256, "r2" if c.size > 5 * MIB else "supabase")
            for n, c in [*enumerate(contents, 1)][::-1]
        ],
        "its versions are listed newest first, each with its own content",
        service=PLATFORM,
    )
    for version, content in zip(reversed(versions), contents, strict=True):
        expect_equal(
            held(services, version["store"], version["object_key"]),
            content.sha256,
            "each version lies in its store",
            service=version["store"],
        )
        got = services.platform.call(
            "GET", f"/api/files/{stored['id']}/content", token=token, params={"version": version["version"]}
        )
        expect_equal(
            sha256(got.content), content.sha256, f"version {version['version']} is readable", service=PLATFORM
        )
    witness("both stores' own APIs", "SHA-256 of three versions")
    restored = services.platform.call(
        "POST", f"/api/files/{stored['id']}/restore", token=token, body={"version": 1}
    )
    after = restored.expect(200, 201, claim="a version is restored").json(dict)["file"]
    expect_equal(
        (after["version"], after["sha256"]),
        (4, contents[0].sha256),
        "restoring makes a new version with the old content",
        service=PLATFORM,
    )
    expect_equal(
        sha256(read(services, token, stored["id"]).content),
        contents[0].sha256,
        "the restored version is what is read",
        service=PLATFORM,
    )
    about = services.platform.call("GET", f"/api/files/{stored['id']}", token=token).demand(200).json(dict)
    expect_equal(
        [(v["version"], v["sha256"]) for v in about["versions"]],
        [(4, contents[0].sha256), *((n, c.sha256) for n, c in [*enumerate(contents, 1)][::-1])],
        "the restored version is listed as the newest, before those that were there",
        service=PLATFORM,
    )
    missing = services.platform.call(
        "POST", f"/api/files/{stored['id']}/restore", token=token, body={"version": 9}
    )
    expect_status(missing, 404, "a version that never was is not restored", service=PLATFORM)
    gone = adapter.remove_file(services.platform.port, token, stored["id"])
    expect_status(gone, 204, "removing the file answers 204", service=PLATFORM)
    eventually(
        lambda: holdings(services, person.id),
        until=lambda h: h.empty,
        within=20,
        claim="all versions' objects are gone",
        service="r2",
    )


@check(
    "storage.same_name_at_once",
    "One name uploaded by many at once becomes so many versions, none lost or mixed",
    requirement=("P2.2", "P2.3"),
    service=PLATFORM,
    needs=("platform.api", "auth.email", "storage.supabase", "platform.files.*.restore"),
)
def test_same_name_at_once(
    services: ServiceClients, adapter: Adapter, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """Six different contents under one name at the same moment; each is one version, whole."""
    person, name = actor(), made(0).name
    contents = [MadeFile(name, 2000 + n, f"{name}-{n}") for n in range(6)]

    def send(content: MadeFile) -> int:
        answer = adapter.upload(services.platform.port, person.access_token, name=name, data=content.data)
        return int(answer.status)

    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(send, contents))
    expect_equal(statuses, [201] * 6, "all six uploads of one name are taken", service=PLATFORM)
    document = listed(services, person.access_token)
    expect_equal(document["total"], 1, "several versions are one file", service=PLATFORM)
    identifier = document["files"][0]["id"]
    about = (
        services.platform.call("GET", f"/api/files/{identifier}", token=person.access_token)
        .demand(200)
        .json(dict)
    )
    expect_equal(
        [v["version"] for v in about["versions"]], [6, 5, 4, 3, 2, 1], "with six versions", service=PLATFORM
    )
    seen = {held(services, v["store"], v["object_key"]) for v in about["versions"]}
    witness("Storage API with the secret key", "SHA-256 of six versions")
    expect_equal(
        seen, {c.sha256 for c in contents}, "each content is one of them, whole", service="supabase.storage"
    )
