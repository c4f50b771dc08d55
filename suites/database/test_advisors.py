"""P1.3: what Supabase's advisors say of the database, from one reading of its catalog, and tried where it can be."""

from __future__ import annotations

from clients.catalog import read_catalog
from clients.service_clients import ServiceClients
from core.expect import expect
from core.ledger import Ledger
from core.passport import check
from core.permit import Action
from core.run import Run
from suites.database.advisors.judged import judge
from suites.database.advisors.proof import Proof
from suites.database.advisors.security import security
from suites.database.advisors.upkeep import upkeep
from suites.types import NewActor, Witness

DATABASE = "supabase.database"


@check(
    "database.advisor_errors",
    "Nothing that Supabase's security advisors call an error stands undecided",
    requirement=("P1.3", "P6.3"),
    service=DATABASE,
    needs=("database.sql",),
    actions=(Action.READ,),
)
def test_errors(run: Run, services: ServiceClients, witness: Witness) -> None:
    """By PostgreSQL's catalog alone, so that it can be said where Assay may only read; `database.advisors` tries them."""
    catalog = read_catalog(services.database.demand_sql())
    witness(
        "PostgreSQL's catalog", f"{len(catalog.relations)} relations and {len(catalog.functions)} functions"
    )
    errors = [finding for finding in security(catalog) if finding.level == "ERROR"]
    judge(run, "database.advisor_errors", errors, lambda _: "", DATABASE)


@check(
    "database.advisors",
    "Nothing that Supabase's security advisors warn of is open, and none of their errors stands undecided",
    requirement=("P1.3", "P6.3"),
    service=DATABASE,
    needs=("auth.email", "database.rest", "database.sql", "database.tables"),
    timeout=60,
    why_slow="a row of every table, and every finding tried by a visitor and a stranger",
)
def test_security(
    run: Run, services: ServiceClients, ledger: Ledger, actor: NewActor, witness: Witness
) -> None:
    """Each finding is tried by doing where it can be: read, listed, called, given away by who should not.

    Missed for what is open, and for what the advisors call an error. The rest, speed and upkeep among it, closes nothing
    and stands in the evidence `database.advisors.json` with all others. What was decided to stay stands in target.toml under
    [[database.accepted]], with its reason.
    """
    catalog = read_catalog(services.database.demand_sql())
    proof = Proof(run, services, ledger, actor, catalog)
    expect(
        proof.subjects or run.target.description.suggested,
        "a row is put into a described table through REST, and PostgreSQL holds it (positive control)",
        saw="none",
        service=DATABASE,
    )
    witness(
        "PostgreSQL's catalog", f"{len(catalog.relations)} relations and {len(catalog.functions)} functions"
    )
    judge(run, "database.advisors", [*security(catalog), *upkeep(catalog)], proof.of, DATABASE)
