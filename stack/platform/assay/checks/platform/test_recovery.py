"""risk.fallback: what was acknowledged outlasts a restart of the platform and the sleep of a room."""

from __future__ import annotations

from clients.control import outage
from clients.made_files import MIB
from clients.service_clients import ServiceClients
from core.expect import expect_equal
from core.ledger import Ledger
from core.passport import check
from core.run import Run
from scenarios.adapter import Adapter
from stack.platform.assay.checks.platform.outages import ACTIONS, PLATFORM, TIMEOUT, WHY, wait_healthy
from stack.platform.assay.checks.storage.uploads import expect_content, prepared
from suites.content.pages import new_page
from suites.realtime.room_recorder import NewRoom, say_all
from suites.types import NewActor, NewFile, Witness


@check(
    "fallback.restart",
    "The platform killed and started again has lost nothing that it acknowledged",
    requirement=("risk.fallback", "P5.1", "P5.2", "done.nomocks"),
    service=PLATFORM,
    needs=("platform.api", "auth.email", "storage.r2", "rooms.websocket", "content.api"),
    actions=ACTIONS,
    timeout=TIMEOUT,
    why_slow=WHY,
    exclusive=True,
)
def test_restart(
    run: Run,
    services: ServiceClients,
    ledger: Ledger,
    adapter: Adapter,
    actor: NewActor,
    made: NewFile,
    new_room: NewRoom,
    witness: Witness,
) -> None:
    """Messages, a file in R2 and a page in KV, all acknowledged before the kill; members come back with `since`."""
    anna, boris = actor(), actor()
    file = made(6 * MIB)
    stored = prepared(services, adapter, anna.access_token, file)
    page = new_page(run, services, ledger, adapter)
    page.publish(f"kept {page.tag}")
    page.served(f"kept {page.tag}")
    recorder = new_room()
    a, b = recorder.join(anna), recorder.join(boris)
    say_all(a, [(f"c{n}", f"before {n}") for n in range(10)])
    b.wait_message("before 9")
    with outage(run, PLATFORM, how="kill"):
        for member in (a, b):
            member.wait_closed()
            member.ended = "cut"
    wait_healthy(services)
    a2 = recorder.join(anna, since=a.last_id)
    recorder.join(boris, since=b.last_id)
    say_all(a2, [("after", "after the restart")])
    kept = recorder.judge(boris, witness)
    expect_equal(len(kept), 11, "every acknowledged message is there, and the new one", service="rooms")
    recorder.presence_converges()
    expect_content(services, anna.access_token, stored, file)
    served = page.get()
    expect_equal(
        (adapter.cache_state(served), f"kept {page.tag}" in served.text),
        ("hit", True),
        "KV still holds the page",
        service="kv",
    )
