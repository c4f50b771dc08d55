"""P1.3: row-level security as a matrix: every table, every role, every verb, judged by what is stored."""

from __future__ import annotations

from typing import Any

from clients.service_clients import ServiceClients
from clients.sql import Sql
from core.description import Description
from core.description.database import Decided
from core.expect import expect, expect_equal
from core.ledger import Ledger
from core.passport import check
from core.permit import Action
from core.run import Run
from suites.access import keep_access, privileges
from suites.database.identity import expect_same_database
from suites.database.matrix import VERBS, Matrix, tries
from suites.types import NewActor, Witness

DATABASE = "supabase.database"
API_ROLES = ("anon", "authenticated")


@check(
    "database.rls_catalog",
    "Every public table was decided on and has row-level security on, and nothing goes round it",
    requirement=("P1.1", "P1.3", "P6.3"),
    service=DATABASE,
    needs=("database.rest", "database.sql", "database.tables"),
    actions=(Action.READ,),
)
def test_catalog(run: Run, services: ServiceClients, witness: Witness) -> None:
    """Read from PostgreSQL's catalog; a table, view, function, policy or privilege that nobody decided on fails.

    First, that the REST API speaks for this very database: a catalog of another one would say nothing.
    """
    sql, described = services.database.demand_sql(), run.target.description
    witness("REST API", expect_same_database(sql, services, described))
    tables = {
        r["name"]: r["on"]
        for r in sql.rows(
            "select relname as name, relrowsecurity as on from pg_class "
            "where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')"
        )
    }
    witness("PostgreSQL's catalog", f"{len(tables)} tables and their policies")
    wrong = [*_undecided(sql, described, tables), *_round_it(sql, described)]
    for name in described.database.described:
        for case in described.database.cases(name).values():
            if case.catalog and name in tables:
                wrong += _differences(sql, name, case.catalog)
    expect(
        not wrong,
        "the catalog is as the project's target.toml decides",
        expected=f"{len(tables)} tables, each decided on",
        saw="; ".join(wrong),
        service=DATABASE,
    )


def _undecided(sql: Sql, described: Description, tables: dict[str, bool]) -> list[str]:
    """Tables that nobody decided on or that are not there, and those without row-level security."""
    wrong = []
    for name in sorted(set(described.database.described) - set(tables)):
        where = described.where(f"database.tables.{name}")
        wrong.append(f"there is no table {name}, which {where} describes")
    wrong += [
        f"nobody decided who may touch the table {name}: describe it under [database.tables.{name}]"
        for name in sorted(set(tables) - set(described.database.described) - set(described.database.ignore))
    ]
    for name, on in tables.items():
        if on:
            continue
        if name in described.database.described:
            wrong.append(f"row-level security is off for {name}")
        elif any(_privileges(sql, name, role) for role in API_ROLES):
            wrong.append(f"row-level security is off for {name}, and the API's roles reach it")
    return wrong


def _privileges(sql: Sql, table: str, role: str) -> list[str]:
    held = sql.rows(
        "select privilege_type as p from information_schema.role_table_grants "
        "where table_schema = 'public' and table_name = %s and grantee = %s",
        (table, role),
    )
    return sorted(r["p"] for r in held)


def _differences(sql: Sql, name: str, decided: Decided) -> list[str]:
    """Where a table's policies and privileges differ from what was decided in full."""
    policies = sql.rows(
        "select policyname from pg_policies where schemaname = 'public' and tablename = %s", (name,)
    )
    pairs = [(f"the policies of {name}", [r["policyname"] for r in policies], decided.policies)]
    pairs += [
        (f"the privileges of {role} on {name}", _privileges(sql, name, role), getattr(decided, role))
        for role in API_ROLES
    ]
    for privilege, due in (("INSERT", decided.insert), ("UPDATE", decided.update)):
        columns = sql.rows(
            "select distinct column_name as c from information_schema.column_privileges where table_schema = 'public' "
            "and table_name = %s and grantee in ('anon', 'authenticated') and privilege_type = %s",
            (name, privilege),
        )
        pairs.append((f"the columns of {name} that people may {privilege}", [r["c"] for r in columns], due))
    return [
        f"{what} are {sorted(saw)}, not {sorted(due)}"
        for what, saw, due in pairs
        if sorted(saw) != sorted(due)
    ]


def _round_it(sql: Sql, described: Description) -> list[str]:
    """Views and functions run with their owner's rights unless told otherwise: row-level security does not hold there.

    A view that a table's description names is read through by the matrix, and judged there.
    """
    views = sql.rows(
        "select relname as name from pg_class where relnamespace = 'public'::regnamespace "
        "and relkind in ('v', 'm', 'f') and not coalesce(reloptions @> array['security_invoker=true'], false) "
        "and (has_table_privilege('anon', oid, 'select') or has_table_privilege('authenticated', oid, 'select'))"
    )
    known = {view for case in described.database.tables.values() for view in case.views}
    wrong = [
        f"the view {r['name']} hands out rows past row-level security (no security_invoker)"
        for r in views
        if r["name"] not in known
    ]
    functions = described.database.functions
    for role in API_ROLES if functions else ():
        callable_ones = sql.rows(
            "select distinct proname as name from pg_proc p where pronamespace = 'public'::regnamespace "
            "and prorettype not in ('trigger'::regtype, 'event_trigger'::regtype) "  # nobody can call these
            "and has_function_privilege(%s, oid, 'execute') and not exists "
            "(select 1 from pg_depend d where d.objid = p.oid and d.deptype = 'e')",
            (role,),
        )
        saw, due = {r["name"] for r in callable_ones}, set(getattr(functions, role))
        wrong += [f"{role} may call {name}, which nobody decided" for name in sorted(saw - due)]
        wrong += [f"{role} may not call {name}" for name in sorted(due - saw)]
    return wrong


@check(
    "database.rls_matrix",
    "Every table grants every role exactly the verbs that were decided",
    requirement=("P1.3", "P6.3"),
    service=DATABASE,
    needs=("auth.email", "database.rest", "database.tables"),
    timeout=120,
    why_slow="every table, role and verb, each by several ways",
)
def test_matrix(
    run: Run, services: ServiceClients, ledger: Ledger, actor: NewActor, witness: Witness
) -> None:
    """Each allowed verb really works (positive control), each other one changes nothing, by the witness.

    Rows are read by select, by count (HEAD), through the views that are described, and embedded in the row before
    them; changed by an update and by an insert that merges.

    Who could do what is kept as evidence, `access-tables.json`: two runs of it tell what a change did. Where nobody
    decided yet (the description is made from the catalog), only what goes beyond the catalog's own words is missed.
    """
    matrix = Matrix(run, services, ledger, actor)
    suggested = run.target.description.suggested
    wrong: list[str] = []
    tried = 0
    for subject in matrix.subjects():
        for role in matrix.roles:
            may = subject.case.may.get(role)
            for verb in "RUCD" if may is not None else "":
                if not tries(subject.case, verb):
                    continue
                did = matrix.attempt(subject, role, verb)
                tried += 1
                what = f"{VERBS[verb]} {subject.name}"
                if verb not in (may or "") and did:
                    wrong.append(f"{role} may not {what}, and did ({', '.join(did)})")
                elif verb in (may or "") and not suggested:
                    due = matrix.ways_to_read(subject) if verb == "R" else did[:1] or [VERBS[verb]]
                    lacking = [way for way in due if way not in did]
                    wrong += [f"{role} may {what}, and could not ({way})" for way in lacking]
    wrong += [] if suggested else matrix.findings
    granted = privileges(services.database.sql) if services.database.sql else {}
    keep_access(run, "database.rls_matrix", "tables", matrix.access, untried=matrix.untried, granted=granted)
    witness(services.database.channel, f"{tried} attempts judged by the stored rows")
    expect(tried, "the project describes tables to be tried", service=DATABASE)
    expect(
        not wrong,
        "row-level security grants every role exactly what the project's target.toml decides",
        expected=f"{tried} attempts as decided",
        saw="; ".join(wrong),
        service=DATABASE,
    )


@check(
    "database.service_functions_closed",
    "The database functions that only the platform calls are closed to people",
    requirement=("P1.3", "P6.3"),
    service=DATABASE,
    needs=("auth.email", "database.rest", "database.sql", "database.functions"),
)
def test_service_functions(run: Run, services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """A person and a visitor are refused each of them; functions that only read and are meant for them answer."""
    sql, functions = services.database.demand_sql(), run.target.description.database.functions
    assert functions is not None
    person = actor()
    for role, token in (("anon", None), ("authenticated", person.access_token)):
        for name in getattr(functions, role):
            if _only_reads(sql, name):
                answer = services.database.rest("POST", f"/rpc/{name}", token=token, body={})
                expect_equal(
                    answer.status, 200, f"{name} answers {role} (positive control)", service=DATABASE
                )
    for name in functions.closed:
        arguments = _arguments(sql, name)
        for who, token in (("a person", person.access_token), ("a visitor", None)):
            answer = services.database.rest("POST", f"/rpc/{name}", token=token, body=arguments)
            expect(
                answer.status in (401, 403, 404) and answer.code in ("42501", "PGRST202"),
                f"{who} may not call {name}",
                expected="401 or 403 with 42501 (or 404, not even seen)",
                saw=answer.said(),
                service=DATABASE,
            )
    there = sql.value("select count(*) from auth.users where id::text = %s", (person.id,))
    witness("SQL", f"{len(functions.closed)} functions refused, and the person who tried is still there")
    expect_equal(there, 1, "a refused function did nothing to the person", service=DATABASE)


def _only_reads(sql: Sql, name: str) -> bool:
    found = sql.value(
        "select count(*) from pg_proc where pronamespace = 'public'::regnamespace and proname = %s "
        "and provolatile in ('s', 'i') and pronargs = pronargdefaults",
        (name,),
    )
    return bool(found)


def _arguments(sql: Sql, name: str) -> dict[str, Any]:
    """Every argument of a function, as null: named, so that the function is found and its privilege decides."""
    found = sql.rows(
        "select coalesce(proargnames, '{}') as names, pronargs - pronargdefaults as least from pg_proc "
        "where pronamespace = 'public'::regnamespace and proname = %s",
        (name,),
    )
    return dict.fromkeys(found[0]["names"][: found[0]["least"]]) if found else {}
