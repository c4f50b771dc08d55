"""P1.3: the REST API holds to its own OpenAPI description, whatever is asked that it allows."""

from __future__ import annotations

import json

from clients.service_clients import ServiceClients
from core.expect import expect
from core.passport import check
from core.run import Run
from suites.types import Witness

DATABASE = "supabase.database"


@check(
    "database.described_api",
    "REST answers what its own OpenAPI description allows as that description says, and fails at none of it",
    requirement=("P1.3", "P6.3"),
    service=DATABASE,
    needs=("database.rest", "database.openapi"),
    timeout=120,
    why_slow="some requests of every table, view and function, as long as 15 seconds reach",
)
def test_described_api(run: Run, services: ServiceClients, witness: Witness) -> None:
    """Schemathesis draws requests from the description that the secret key reads, the same ones each time.

    Missed for an answer of 5xx, of another type, or that breaks the description; every kind of failure is summary once, with
    what was asked. Functions that may write are not called, and on a live target nothing is written. What was drawn stands
    in the evidence `database.described_api.json`.
    """
    from suites.database.described_api import try_all  # Schemathesis takes a second to load

    answer = services.database.as_admin("GET", "/")
    expect(
        answer.status == 200,
        "the secret key reads the OpenAPI description",
        expected="200",
        saw=answer.said(),
        service=DATABASE,
    )
    document = json.loads(answer.content)
    tried = try_all(services, document, writes=run.target.embedded)
    total = sum(tried.requests.values())
    data = json.dumps(vars(tried), indent=1).encode()
    run.attach(
        "database.described_api.json", data, media_type="application/json", check="database.described_api"
    )
    summary = f"{total} requests of {len(tried.requests)} operations"
    witness(
        "Schemathesis",
        f"{summary}; {len(tried.left)} operations were left for time" if tried.left else summary,
    )
    expect(total or not tried.described, "what is described can be asked", saw="nothing", service=DATABASE)
    expect(
        not tried.failures,
        "every answer is as the description says",
        expected=summary,
        saw="; ".join(f"{what} {why}" for what, why in tried.failures.items()),
        service=DATABASE,
    )
