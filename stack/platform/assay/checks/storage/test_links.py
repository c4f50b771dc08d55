"""P2.1, P2.3, P6.3: reading files by address alone: signed links of the platform, presigned addresses of R2, CORS."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from clients.made_files import MIB, sha256
from clients.service_clients import ServiceClients
from clients.strict_json import strict_json
from core.clock import eventually
from core.errors import Missed
from core.expect import expect, expect_equal, expect_status
from core.passport import check
from scenarios.adapter import Adapter
from stack.platform.assay.checks.storage.uploads import held, prepared
from suites.types import NewActor, NewFile, Witness

PLATFORM = "platform"
R2 = "r2"


def parameters(url: str) -> dict[str, str]:
    """What a signed address says in its query; Missed when something is asked of it that it does not say."""

    def on_missing(what: str) -> Missed:
        claim = "a signed address says in its query what was signed"
        return Missed(claim, expected=what, saw=", ".join(sorted(query)) or "no query", service=PLATFORM)

    query = dict(parse_qsl(urlsplit(url).query))
    judged: dict[str, str] = strict_json(query, on_missing)
    return judged


@check(
    "storage.signed_links",
    "A signed link reads its file for whoever holds it, unchanged and in time, and does nothing else",
    requirement=("P2.3", "P6.3"),
    service=PLATFORM,
    needs=("platform.api", "auth.email", "storage.supabase", "platform.files.*.link"),
)
def test_signed_links(
    services: ServiceClients, adapter: Adapter, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """Every part of the link changed by itself is refused; a link of one second ends."""
    owner, file, other = actor(), made(1000), made(1000)
    token = owner.access_token
    stored, second = (prepared(services, adapter, token, f) for f in (file, other))

    def link(seconds: int) -> str:
        answer = services.platform.call(
            "POST", f"/api/files/{stored['id']}/link", token=token, body={"expires_in": seconds}
        )
        url = str(answer.expect(200, 201, claim="a link is made").json(dict)["url"])
        return url if url.startswith("http") else adapter.platform + url

    url = link(600)
    open_one = services.platform.call("GET", url)
    expect_equal(
        (open_one.status, sha256(open_one.content)),
        (200, file.sha256),
        "the link reads the file without a token",
        service=PLATFORM,
    )
    expect_equal(
        services.platform.call("HEAD", url).status, 200, "HEAD works by the link too", service=PLATFORM
    )
    parts = urlsplit(url)
    query = parameters(url)
    changes = {
        "a later end": {"exp": str(int(query["exp"]) + 3600)},
        "another version": {"version": "2"},
        "another signature": {"sig": "A" * len(query["sig"])},
        "no signature": {"sig": ""},
    }
    for what, change in changes.items():
        changed = urlunsplit(parts._replace(query=urlencode({**query, **change})))
        answer = services.platform.call("GET", changed)
        expect(
            answer.status in (401, 403),
            f"the link with {what} is refused",
            saw=answer.said(),
            service=PLATFORM,
        )
    elsewhere = url.replace(stored["id"], second["id"])
    expect(
        services.platform.call("GET", elsewhere).status in (401, 403),
        "the signature does not open another file",
        service=PLATFORM,
    )
    for method in ("DELETE", "PATCH", "PUT", "POST"):
        answer = services.platform.call(method, url, body={})
        expect(
            answer.status in (401, 403, 404, 405),
            f"{method} by the link is refused",
            saw=answer.said(),
            service=PLATFORM,
        )
    key = stored["object_key"]
    signed = services.storage.as_user("POST", f"/object/sign/files/{key}", token, body={"expiresIn": 1})
    own = str(
        signed.expect(200, claim="the owner signs an address at Storage itself").json(dict)["signedURL"]
    )
    gone = eventually(
        lambda: services.storage.port.request("GET", own),
        until=lambda a: a.status != 200,
        within=10,
        every=0.3,
        claim="an address of Storage's own that is signed for one second ends",
        service="supabase.storage",
    )
    expect(
        gone.status in (400, 401, 403),
        "a late address of Storage's own is refused",
        saw=gone.said(),
        service="supabase.storage",
    )
    short = link(1)
    late = eventually(
        lambda: services.platform.call("GET", short),
        until=lambda a: a.status != 200,
        within=10,
        every=0.3,
        claim="a link of one second ends",
        service=PLATFORM,
    )
    expect_equal(
        (late.status, late.code), (403, "link_expired"), "a late link is refused by name", service=PLATFORM
    )
    expect_equal(
        held(services, "supabase", stored["object_key"]),
        file.sha256,
        "the file is as it was",
        service="supabase.storage",
    )
    witness("Storage API with the secret key", "the file after fourteen tries")


@check(
    "storage.direct_from_r2",
    "A large file is read straight from R2 by a presigned address, from the platform's origin alone",
    requirement=("P2.1", "P6.3"),
    service=R2,
    needs=("storage.r2", "platform.api", "auth.email", "storage.supabase", "platform.files.*.direct"),
)
def test_direct(
    services: ServiceClients, adapter: Adapter, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """R2 checks the signature itself: changed, another key and another method are refused; CORS names our origin."""
    owner, small, large = actor(), made(1000), made(6 * MIB)
    token = owner.access_token
    stored, tiny = (prepared(services, adapter, token, f) for f in (large, small))
    not_there = services.platform.call("POST", f"/api/files/{tiny['id']}/direct", token=token, body={})
    expect_status(not_there, 409, "a file in Supabase Storage has no direct address", service=PLATFORM)
    answer = services.platform.call("POST", f"/api/files/{stored['id']}/direct", token=token, body={})
    url = str(answer.expect(200, 201, claim="a file in R2 has a direct address").json(dict)["url"])
    services.run.target.permit.contact(url)
    port = services.platform.port
    got = port.request("GET", url, headers={"Accept": "*/*", "Origin": adapter.platform})
    expect_equal(
        (got.status, sha256(got.content)),
        (200, large.sha256),
        "the address reads the file from R2",
        service=R2,
    )
    witness("R2's S3 API", "the presigned read's SHA-256")
    parts = urlsplit(url)
    query = parameters(url)
    signature = query["X-Amz-Signature"]
    forged = urlencode(
        {**query, "X-Amz-Signature": signature[:-4] + ("0000" if signature[-4:] != "0000" else "1111")}
    )
    longer = urlencode({**query, "X-Amz-Expires": "604800"})
    for what, method, address in (
        ("with a changed signature", "GET", urlunsplit(parts._replace(query=forged))),
        ("with a longer life", "GET", urlunsplit(parts._replace(query=longer))),
        ("for another object", "GET", urlunsplit(parts._replace(path=parts.path[:-4] + "0000"))),
        ("used to delete", "DELETE", url),
        ("used to write", "PUT", url),
    ):
        refused = port.request(method, address, body=b"" if method == "PUT" else None)
        expect(
            refused.status in (400, 403),
            f"the address {what} is refused by R2",
            saw=f"{refused.status} {refused.text[:200]}",
            service=R2,
        )
    expect_equal(
        services.r2.s3.sha256(stored["object_key"]), large.sha256, "the object is as it was", service=R2
    )
    for origin, allowed in ((adapter.platform, True), ("https://evil.example", False)):
        preflight = port.request(
            "OPTIONS",
            url,
            headers={
                "Origin": origin,
                "Access-Control-Request-Method": "GET",
                "Access-Control-Request-Headers": "range",
            },
        )
        said = preflight.headers.get("access-control-allow-origin")
        expect_equal(
            said in (origin, "*"),
            allowed,
            f"R2's CORS {'lets' if allowed else 'does not let'} {origin} read",
            service=R2,
        )
