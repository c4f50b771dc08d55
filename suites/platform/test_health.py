"""prod.uptime: what the platform says of itself, to anybody, by reading alone."""

from __future__ import annotations

from clients.service_clients import ServiceClients
from core.expect import expect, expect_status
from core.passport import check
from core.permit import Action
from core.run import Run
from scenarios.adapter import Adapter
from suites.security.attempts import HostilePort
from suites.types import Witness

PLATFORM = "platform"


@check(
    "platform.well",
    "The platform says that it is well and which version it is, and lets nobody in who has no token",
    requirement="prod.uptime",
    service=PLATFORM,
    needs=("platform.api", "platform.health", "platform.version", "platform.private"),
    actions=(Action.READ,),
)
def test_well(run: Run, services: ServiceClients, adapter: Adapter, witness: Witness) -> None:
    """Its own words for health and version; its closed doors tell it from a page that answers 200 to everything."""
    answer = adapter.health(HostilePort(services.platform.port))  # a page that says 503 is an answer, too
    expect(
        adapter.is_well(answer),
        "the platform says that it is well",
        expected="as [platform.health] describes",
        saw=f"{answer.status} {answer.text[:300]}",
        service=PLATFORM,
    )
    version = adapter.version(services.platform.port)
    expect(version, "the platform says its version", saw="none", service=PLATFORM)
    for path in run.target.description.platform.private:
        closed = adapter.get(services.platform.port, path)
        expect_status(closed, 401, f"GET {path} refuses nobody", service=PLATFORM)
    witness("the wire", f"version {version}")
