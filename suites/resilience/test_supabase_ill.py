"""risk.fallback: Supabase slow, erring or cutting connections: waiting ends, nothing false is told, all comes back.

What a platform does instead is another question (`fallback.*` of a project). The control address makes Supabase ill.
"""

from __future__ import annotations

from clients.control import fault
from clients.service_clients import ServiceClients
from core.passport import check
from core.permit import Action
from core.run import Run
from scenarios.adapter import Adapter
from suites.resilience.ill import PLATFORM, Patient
from suites.security.attempts import Attempts
from suites.types import NewActor, Witness

ACTIONS = (Action.READ, Action.WRITE, Action.ADMIN, Action.OUTAGE)
NEEDS = ("platform.api", "platform.private", "platform.files", "auth.email", "database.rest")
SILENT = 45.0
"""Seconds that Supabase keeps silent: longer than browsers' users wait, shorter than the client's own end of 60 s."""
WITHIN = 30.0
"""Seconds within which a person must be told: the time-outs of the platform's kind (10 s) three times over, so that a busy
machine accuses nobody; who waits for Supabase itself needs `SILENT`."""
PARTS = {"the Data API": "/rest/v1", "Auth": "/auth/v1", "Storage": "/storage/v1"}
SEEN = "the control address"


@check(
    "resilience.slow",
    "With Supabase silent every private route ends its waiting, and comes back by itself",
    requirement="risk.fallback",
    service=PLATFORM,
    needs=NEEDS,
    actions=ACTIONS,
    timeout=180,
    why_slow="a service keeps silent for longer than the platform may wait",
    exclusive=True,
    threat="One slow service holds every request until nothing answers any more.",
    references=("ASVS 16.5.2", "ASVS 15.2.2", "API4:2023 Unrestricted Resource Consumption"),
    fix="Give each request to a service a deadline (AbortSignal.timeout), and say 503 or 504 when it ends.",
)
def test_slow(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, witness: Witness
) -> None:
    """Judged by an end of waiting that comes before Supabase's own answer would."""
    patient, attempts = Patient(run, services, adapter, actor()), Attempts(PLATFORM)
    with fault(run, "supabase", path="/", delay_ms=SILENT * 1000):
        patient.judge(attempts, "Supabase silent", within=WITHIN)
    patient.recovers()
    witness(
        SEEN, f"Supabase silent for {SILENT:g} s; {attempts.tried} facts about {len(patient.routes)} routes"
    )
    attempts.judge("with Supabase silent people are told so in time", f"an answer within {WITHIN:g} s")


@check(
    "resilience.failing",
    "With a part of Supabase erring or cutting connections nobody is told what is false, and all comes back by itself",
    requirement="risk.fallback",
    service=PLATFORM,
    needs=NEEDS,
    actions=ACTIONS,
    timeout=180,
    why_slow="three parts, each ill in two ways, and their return",
    exclusive=True,
    threat="An outage that is told as an empty list or as a bad token makes people delete, do again, or leave.",
    references=("ASVS 16.5.2", "ASVS 16.5.3", "CWE-755"),
    fix="Tell a service's failure from its answer: 502, 503 or 504, never an empty list, 401 or 404.",
)
def test_failing(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, witness: Witness
) -> None:
    """Each route answers whole or says that a service is away: no list without what is in it, no 401, no 404, no 500."""
    attempts = Attempts(PLATFORM)
    for part, path in PARTS.items():
        patient = Patient(run, services, adapter, actor())  # each with a limit of their own
        with fault(run, "supabase", path=path, status=503):
            patient.judge(attempts, f"{part} erring")
        with fault(run, "supabase", path=path, drop=True):
            patient.judge(attempts, f"{part} cutting connections")
        patient.recovers()
    witness(SEEN, f"{', '.join(PARTS)} ill in two ways; {attempts.tried} facts")
    attempts.judge(
        "with a part of Supabase failing nobody is told what is false", "the whole answer, or 502 to 504"
    )
