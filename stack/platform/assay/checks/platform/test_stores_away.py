"""risk.fallback: each store taken away alone: Supabase Storage, R2, KV; the others are used as ever."""

from __future__ import annotations

from clients.control import fault
from clients.http_port import WireAnswer
from clients.made_files import MIB, MadeFile
from clients.service_clients import ServiceClients
from clients.services.kv import content_keys
from core.clock import eventually
from core.expect import expect, expect_equal, expect_status
from core.ledger import Ledger
from core.passport import check
from core.run import Run
from scenarios.adapter import Adapter
from stack.platform.assay.checks.platform.outages import (
    ACTIONS,
    PLATFORM,
    TIMEOUT,
    WHY,
    goes_on,
    wait_healthy,
    wait_reported_down,
)
from stack.platform.assay.checks.storage.uploads import expect_content, held, holdings, prepared
from suites.content.pages import new_page
from suites.types import NewActor, NewFile, Witness


def refused_upload(
    services: ServiceClients, adapter: Adapter, token: str, file: MadeFile, *, away: str, how: str
) -> None:
    """Uploads a file that the platform must refuse in the contract's words, naming the store that is away."""
    answer = services.platform.call(
        "POST",
        "/api/upload",
        token=token,
        params={"name": file.name},
        body=file.data,
        headers={"Content-Type": file.mime},
        allow=(502, 503),
    )
    expect_refused(answer, away, how)


def expect_refused(answer: WireAnswer, away: str, how: str) -> None:
    """Raises Missed unless the answer is 502 upstream_failed and names who is away."""
    said = answer.json(dict).get("error") or {}
    expect_equal(
        (answer.status, said.get("code"), (said.get("details") or {}).get("service")),
        (502, "upstream_failed", away),
        f"{how} is refused, saying that {away} is away",
        service=PLATFORM,
    )


@check(
    "fallback.storage",
    "With one store failing an upload to it leaves nothing, and the other store is used as ever",
    requirement=("risk.fallback", "P2.2"),
    service="supabase.storage",
    needs=("storage.supabase", "platform.api", "auth.email", "database.rest", "storage.r2"),
    actions=ACTIONS,
    timeout=TIMEOUT,
    why_slow=WHY,
    exclusive=True,
)
def test_storage(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """Supabase Storage answers 500 to everything: a small file is refused, a large one goes to R2."""
    person, small, large = actor(), made(1000), made(6 * MIB)
    with fault(run, "supabase", path="/storage/v1", status=500), goes_on("Storage"):
        refused_upload(services, adapter, person.access_token, small, away="storage", how="a small file")
        stored = prepared(services, adapter, person.access_token, large)
        expect_content(services, person.access_token, stored, large)
    left = services.database.witness_rows("files", owner_id=person.id)
    witness(services.database.channel, "the large file alone")
    expect_equal(
        [f["name"] for f in left],
        [large.name],
        "nothing of the refused file is left",
        service="supabase.database",
    )
    eventually(
        lambda: holdings(services, person.id),
        until=lambda h: h.supabase == () and h.r2 == (stored["object_key"],),
        within=30,
        claim="Storage holds nothing of the refused file, R2 the large one",
        service="supabase.storage",
    )
    again = prepared(services, adapter, person.access_token, small)
    seen = held(services, "supabase", again["object_key"])
    witness("Storage's own API", "nothing of the refused upload, the bytes of the later one")
    expect_equal(
        seen,
        small.sha256,
        "with Storage back it holds the file that it refused before",
        service="supabase.storage",
    )
    wait_healthy(services)


@check(
    "fallback.r2",
    "With R2 away large files are refused by name and leave nothing, small ones go on",
    requirement=("risk.fallback", "P2.1", "P2.2"),
    service="r2",
    needs=("storage.r2", "platform.api", "auth.email", "database.rest", "storage.supabase"),
    actions=ACTIONS,
    timeout=TIMEOUT,
    why_slow=WHY,
    exclusive=True,
)
def test_r2(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """Whole uploads, uploads in parts and reading fail by name; afterwards the same calls succeed."""
    person, large, lost, small = actor(), made(6 * MIB), made(6 * MIB), made(1000)
    token = person.access_token
    stored = prepared(services, adapter, token, large)
    with fault(run, PLATFORM, binding="R2"), goes_on("R2"):
        refused_upload(services, adapter, token, lost, away="r2", how="a large file")
        begun = {"name": lost.name, "size": lost.size, "mime": lost.mime}
        start = services.platform.call("POST", "/api/upload/start", token=token, body=begun, allow=(502,))
        expect_refused(start, "r2", "an upload in parts")
        read = services.platform.call("GET", f"/api/files/{stored['id']}/content", token=token, allow=(502,))
        expect_refused(read, "r2", "reading a large file")
        expect_content(services, token, prepared(services, adapter, token, small), small)
        wait_reported_down(services, "r2", status="down")
    expect_content(services, token, stored, large)
    there = eventually(
        lambda: holdings(services, person.id),
        until=lambda h: h.r2 == (stored["object_key"],) and len(h.supabase) == 1,
        within=30,
        claim="R2 holds the file from before, Storage the small one, and nothing of the refused is left",
        service="r2",
    )
    rows = services.database.witness_rows("files", owner_id=person.id)
    witness("both stores' own APIs and SQL", f"{len(there.r2)} object in R2, {len(rows)} rows")
    expect_equal(
        {r["name"] for r in rows},
        {large.name, small.name},
        "no row of the refused file is left",
        service="supabase.database",
    )
    expect_content(services, token, prepared(services, adapter, token, lost), lost)
    wait_healthy(services)


@check(
    "fallback.kv",
    "With KV away pages come from Builder.io itself, and who may come in is still decided",
    requirement=("risk.fallback", "KV", "P3.2"),
    service="kv",
    needs=("cache.kv", "platform.api", "auth.email", "content.api"),
    actions=ACTIONS,
    timeout=TIMEOUT,
    why_slow=WHY,
    exclusive=True,
)
def test_kv(
    run: Run, services: ServiceClients, ledger: Ledger, adapter: Adapter, actor: NewActor, witness: Witness
) -> None:
    """The kept page is not used, nothing breaks; a person is let in, one who was deleted is not."""
    page = new_page(run, services, ledger, adapter)
    page.publish(f"kept {page.tag}")
    page.served(f"kept {page.tag}")
    keys = eventually(
        lambda: services.kv.keys(content_keys(page.path)),
        within=30,
        claim="the page is kept in KV",
        service="kv",
    )
    with fault(run, PLATFORM, binding="KV"), goes_on("KV"):
        for number in ("first", "second"):
            answer = page.get()
            expect_equal(
                (answer.status, adapter.cache_state(answer), f"kept {page.tag}" in answer.text),
                (200, "miss", True),
                f"without KV the {number} request of a page comes from Builder.io",
                service=PLATFORM,
            )
        there, gone = actor(), actor()  # their tokens are new to the platform
        services.auth.delete_user(gone.id)
        seen = services.platform.call("GET", "/api/me", token=there.access_token)
        expect_status(seen, 200, "without KV a person is let in (positive control)", service=PLATFORM)
        refused = services.platform.call("GET", "/api/me", token=gone.access_token)
        expect_status(refused, 401, "without KV a deleted person is refused still", service=PLATFORM)
        wait_reported_down(services, "kv", status="down")
        held = services.kv.get(keys[0]) or b""
    witness("Cloudflare's KV API", "the page was kept all the time, and not used while KV was away")
    expect(f"kept {page.tag}".encode() in held, "KV holds the page still", saw=held[:100], service="kv")
    back = page.get()
    expect_equal(adapter.cache_state(back), "hit", "with KV back the kept page is used", service="kv")
    wait_healthy(services)
