"""P1.3: row-level security as a matrix: every table, every role, every verb, judged by what is stored."""

from __future__ import annotations

from typing import Any

from clients.service_clients import Services
from clients.sql import Sql
from core.expect import expect, expect_equal, expect_status
from core.passport import check
from core.run import Run
from scenarios.adapter import Adapter
from suites.database.grants import GRANTS, PUBLIC_FUNCTIONS, ROLES, SERVICE_FUNCTIONS, VERBS
from suites.database.subjects import attempt, subjects
from suites.types import NewActor, Witness

DATABASE = "supabase.database"


@check(
    "database.rls_catalog",
    "Every public table has row-level security on and exactly the policies that were decided, and nothing goes round it",
    requirement=("P1.1", "P1.3", "P6.3"),
    service=DATABASE,
    needs=("database.sql", "auth.email", "database.rest"),
)
def test_catalog(services: Services, actor: NewActor, witness: Witness) -> None:
    """Read from PostgreSQL's catalog; a table, view, function, policy or privilege that nobody decided on fails.

    First, that the REST API speaks for this very database: a catalog of another one would say nothing.
    """
    sql = services.database.demand_sql()
    person = actor()
    held = sql.value("select username from public.profiles where id::text = %s", (person.id,))
    shown = services.database.rest(
        "GET", f"/profiles?select=username&id=eq.{person.id}", token=person.access_token
    )
    expect_equal(
        [r.get("username") for r in shown.expect(200, claim="a person reads their profile").json(list)],
        [held],
        "the REST API shows what this database holds",
        service=DATABASE,
    )
    tables = {
        r["name"]: r["on"]
        for r in sql.rows(
            "select relname as name, relrowsecurity as on from pg_class "
            "where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')"
        )
    }
    policies: dict[str, set[str]] = {name: set() for name in tables}
    for r in sql.rows("select tablename, policyname from pg_policies where schemaname = 'public'"):
        policies.setdefault(r["tablename"], set()).add(r["policyname"])
    witness("PostgreSQL's catalog", f"{len(tables)} tables and their policies")
    expect_equal(
        sorted(tables),
        sorted(GRANTS),
        "the public tables are those in suites/database/grants.py; decide there who may touch a new one",
        service=DATABASE,
    )
    for name, grant in GRANTS.items():
        expect(tables[name], f"row-level security is on for {name}", saw="it is off", service=DATABASE)
        expect_equal(
            sorted(policies[name]),
            sorted(grant.policies),
            f"{name} has the decided policies",
            service=DATABASE,
        )
        for role in ("anon", "authenticated"):
            held = sql.rows(
                "select privilege_type as p from information_schema.role_table_grants "
                "where table_schema = 'public' and table_name = %s and grantee = %s",
                (name, role),
            )
            expect_equal(
                sorted(r["p"] for r in held),
                sorted(getattr(grant, role)),
                f"{role} has the decided privileges on {name}",
                service=DATABASE,
            )
        for privilege, due in (("INSERT", grant.inserted), ("UPDATE", grant.updated)):
            columns = sql.rows(
                "select column_name as c from information_schema.column_privileges where table_schema = 'public' "
                "and table_name = %s and grantee in ('anon', 'authenticated') and privilege_type = %s",
                (name, privilege),
            )
            expect_equal(
                sorted({r["c"] for r in columns}),
                sorted(due),
                f"people may {privilege.lower()} the decided columns of {name}",
                service=DATABASE,
            )
    _nothing_round_it(sql)


def _nothing_round_it(sql: Sql) -> None:
    """Views and functions run with their owner's rights unless told otherwise: row-level security does not hold there."""
    views = sql.rows(
        "select relname as name from pg_class where relnamespace = 'public'::regnamespace "
        "and relkind in ('v', 'm', 'f') and not coalesce(reloptions @> array['security_invoker=true'], false) "
        "and (has_table_privilege('anon', oid, 'select') or has_table_privilege('authenticated', oid, 'select'))"
    )
    expect_equal(
        sorted(r["name"] for r in views),
        [],
        "no view hands out rows past row-level security (security_invoker)",
        service=DATABASE,
    )
    for role, due in PUBLIC_FUNCTIONS.items():
        callable_ones = sql.rows(
            "select proname as name from pg_proc where pronamespace = 'public'::regnamespace "
            "and has_function_privilege(%s, oid, 'execute')",
            (role,),
        )
        expect_equal(
            sorted({r["name"] for r in callable_ones}),
            sorted(due),
            f"{role} may call the decided functions and no other",
            service=DATABASE,
        )


@check(
    "database.rls_matrix",
    "Every table grants every role exactly the verbs that were decided",
    requirement=("P1.3", "P6.3"),
    service=DATABASE,
    needs=("database.rest", "platform.api", "auth.email", "storage.r2", "storage.supabase"),
)
def test_matrix(run: Run, services: Services, adapter: Adapter, actor: NewActor, witness: Witness) -> None:
    """Each allowed verb really works (positive control), each other one changes nothing, by the witness."""
    owner, stranger = actor(), actor()
    tokens = {"owner": owner.access_token, "stranger": stranger.access_token, "nobody": None}
    wrong: list[str] = []
    tried = 0
    for subject in subjects(run, services, adapter, owner):
        for role in reversed(ROLES):  # those who may least go first
            for verb in "CRUD":
                did = attempt(run, services, subject, verb, tokens[role], owner)
                tried += 1
                if did != subject.grant.allows(role, verb):
                    may = "may" if subject.grant.allows(role, verb) else "may not"
                    wrong.append(
                        f"{role} {may} {VERBS[verb]} {subject.name}, and {'did' if did else 'could not'}"
                    )
    witness(services.database.channel, f"{tried} attempts judged by the stored rows")
    expect(
        not wrong,
        "row-level security grants every role exactly what suites/database/grants.py says",
        expected=f"{tried} attempts as decided",
        saw="; ".join(wrong),
        service=DATABASE,
    )


@check(
    "database.service_functions_closed",
    "The Worker's database functions are closed to people",
    requirement=("P1.3", "P6.3"),
    service=DATABASE,
    needs=("database.rest", "auth.email"),
)
def test_service_functions(services: Services, actor: NewActor, witness: Witness) -> None:
    """A person and a visitor are refused each of them; the functions meant for people answer."""
    person = actor()
    for token in (person.access_token, None):
        answer = services.database.rest("POST", "/rpc/health", token=token, body={})
        expect_status(answer, 200, "the health function answers anyone (positive control)", service=DATABASE)
    expect_equal(
        services.database.rest(
            "POST", "/rpc/save_consent", token=person.access_token, body={"analytics": False}
        ).status,
        200,
        "a person's own function answers them (positive control)",
        service=DATABASE,
    )
    for name in SERVICE_FUNCTIONS:
        arguments = _arguments(name, person.id)
        for who, token in (("a person", person.access_token), ("a visitor", None)):
            answer = services.database.rest("POST", f"/rpc/{name}", token=token, body=arguments)
            expect(
                answer.status in (401, 403, 404) and answer.code in ("42501", "PGRST202"),
                f"{who} may not call {name}",
                expected="401 or 403 with 42501 (or 404, not even seen)",
                saw=answer.said(),
                service=DATABASE,
            )
    still = services.database.witness_rows("profiles", id=person.id)
    witness(services.database.channel, "the person whom privacy_erase was called for is still there")
    expect_equal(len(still), 1, "a refused privacy_erase erased nobody", service=DATABASE)


def _arguments(name: str, user: str) -> dict[str, Any]:
    nobody = "00000000-0000-4000-8000-000000000000"
    begin = {
        "p_name": "x",
        "p_folder": "/",
        "p_size": 1,
        "p_mime": "a/b",
        "p_store": "r2",
        "p_ttl": 1,
        "p_quota": 9,
    }
    known: dict[str, dict[str, Any]] = {
        "upload_begin": {"p_owner": user, **begin},
        "upload_touch": {"p_upload": nobody, "p_owner": user, "p_ttl": 1},
        "upload_commit": {"p_upload": nobody, "p_owner": user, "p_size": 1, "p_sha256": "0" * 64},
        "upload_drop": {"p_upload": nobody, "p_owner": user},
        "uploads_expire": {},
        "files_batch": {"p_owner": user, "p_ops": []},
        "privacy_export": {"p_user": user},
        "privacy_erase": {"p_user": user},
    }
    return known[name]
