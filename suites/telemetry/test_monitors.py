"""P4.2: an alert on regression: a monitor at DataDog notices what the platform's people suffer."""

from __future__ import annotations

import uuid
from typing import Any

from clients.service_clients import ServiceClients
from core.clock import eventually
from core.expect import expect
from core.ledger import Ledger
from core.passport import check
from core.run import Run
from suites.telemetry.arrival import DEADLINES, TIMEOUT, readable, relayed
from suites.types import Witness

DATADOG = "datadog"


@check(
    "telemetry.datadog_monitor",
    "A monitor alerts when an error reaches DataDog through the platform, and on no other",
    requirement=("P4.2", "prod.alerting"),
    service=DATADOG,
    needs=("telemetry.monitors", "platform.api", "telemetry.datadog"),
    timeout=2 * TIMEOUT,
    why_slow="DataDog judges its monitors about once a minute",
)
def test_monitor(run: Run, services: ServiceClients, ledger: Ledger, witness: Witness) -> None:
    """It watches one session's errors; another's is sent first and must leave it calm."""
    dd, name = services.datadog, f"assay {run.tag()}"
    mine, other = str(uuid.uuid4()), str(uuid.uuid4())
    planned = ledger.plan("datadog.monitor", name=name)
    planned.confirm(id=dd.create_monitor(name, f"@type:error @session.id:{mine}"))
    monitor = planned.key["id"]

    def send(session: str) -> list[dict[str, Any]]:
        error = {"id": str(uuid.uuid4()), "message": f"boom {name}", "source": "source"}
        event = dd.event("error", session, str(uuid.uuid4()), error=error)
        accepted = relayed(services, [event], claim="the relay hands an error to DataDog's intake")
        found: list[dict[str, Any]] = readable(
            run,
            DATADOG,
            accepted,
            lambda: dd.search(f"@type:error @session.id:{session}"),
            claim="the error is readable at DataDog",
        )
        return found

    send(other)
    calm = dd.monitor_state(monitor)
    expect(
        calm in ("OK", "No Data"),
        "another session's error leaves the monitor calm",
        expected="OK or No Data",
        saw=calm,
        service=DATADOG,
    )
    send(mine)
    eventually(
        lambda: dd.monitor_state(monitor),
        until=lambda state: state == "Alert",
        within=DEADLINES[DATADOG],
        claim="the monitor alerts on the error that it watches for",
        service=DATADOG,
    )
    witness("DataDog's monitors API", f"calm after another's error ({calm}), Alert after this one")
