"""P1.3: row-level security as a matrix: every table, every role, every verb, judged by what is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from core.errors import ServiceError
from core.expect import expect, expect_equal
from core.passport import check
from fixtures.actors import Actor
from fixtures.run import Run
from fixtures.toolbox import Services
from scenarios.api import files
from scenarios.api.place import Place
from suites.database.grants import GRANTS, PUBLISHED_POST, ROLES, SERVICE_FUNCTIONS, VERBS, Grant
from suites.types import NewActor, Witness

DATABASE = "supabase.database"


@dataclass(frozen=True)
class Subject:
    """The owner's row of one table, and how one would change it or add another."""

    name: str
    table: str
    grant: Grant
    key: str
    value: str
    change: dict[str, Any]
    another: Callable[[str], dict[str, Any]]


@check(
    "database.rls_catalog",
    "Every public table has row-level security on and exactly the policies that were decided",
    requirement=("P1.1", "P1.3", "P6.3"),
    service=DATABASE,
    capability="database.sql",
)
def test_catalog(services: Services, actor: NewActor, witness: Witness) -> None:
    """Read from PostgreSQL's catalog; a table, policy or privilege that nobody decided on fails.

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


@check(
    "database.rls_matrix",
    "Every table grants every role exactly the verbs that were decided",
    requirement=("P1.3", "P6.3"),
    service=DATABASE,
    capability="database.rest",
)
def test_matrix(run: Run, services: Services, place: Place, actor: NewActor, witness: Witness) -> None:
    """Each allowed verb really works (positive control), each other one changes nothing, by the witness."""
    owner, stranger = actor(), actor()
    tokens = {"owner": owner.access_token, "stranger": stranger.access_token, "nobody": None}
    wrong: list[str] = []
    tried = 0
    for subject in subjects(run, services, place, owner):
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


def subjects(run: Run, services: Services, place: Place, owner: Actor) -> Iterator[Subject]:
    """One row of the owner's in every table that can hold one, made through the product."""
    tag = run.tag()
    rest, token = services.database.rest, owner.access_token

    def inserted(table: str, row: dict[str, Any]) -> dict[str, Any]:
        return dict(rest("POST", f"/{table}", token=token, body=row).demand(201).json(list)[0])

    uploaded = files.upload(services.platform.port, place, token, name=f"{tag}.bin", data=b"matrix")
    begun = files.start(services.platform.port, place, token, name=f"{tag}-big.bin", size=6 * 1024 * 1024)
    if uploaded.status != 201 or begun.status != 201:
        raise ServiceError("platform", f"preparing files failed: {uploaded.text[:200]} {begun.text[:200]}")
    file, upload = uploaded.json()["file"], begun.json()["upload"]
    versions = services.database.witness_rows("file_versions", file_id=file["id"])
    entries = services.database.witness_rows("audit_log", entity_id=file["id"])
    inserted("consents", {"analytics": False})

    def file_row(name: str) -> dict[str, Any]:
        return {"owner_id": owner.id, "name": name, "size": 1, "mime": "text/plain", "store": "r2"}

    yield Subject(
        "a profile",
        "profiles",
        GRANTS["profiles"],
        "id",
        owner.id,
        {"bio": tag},
        lambda n: {"id": owner.id, "username": n},
    )
    for name, grant, status in (
        ("a draft", GRANTS["posts"], "draft"),
        ("a published post", PUBLISHED_POST, "published"),
    ):
        post = inserted("posts", {"title": tag, "status": status})
        yield Subject(
            name,
            "posts",
            grant,
            "id",
            post["id"],
            {"body": tag},
            lambda n, s=status: {"author_id": owner.id, "title": n, "status": s},  # type: ignore[misc]
        )
    yield Subject("a file's row", "files", GRANTS["files"], "id", file["id"], {"mime": "text/html"}, file_row)
    yield Subject(
        "a version's row",
        "file_versions",
        GRANTS["file_versions"],
        "id",
        versions[0]["id"],
        {"object_key": f"{owner.id}/x/{tag}"},
        lambda n: {
            "file_id": file["id"],
            "version": 99,
            "size": 1,
            "mime": "a/b",
            "sha256": "0" * 64,
            "store": "r2",
            "object_key": f"{owner.id}/x/{n}",
        },
    )
    yield Subject(
        "an upload's row",
        "uploads",
        GRANTS["uploads"],
        "id",
        upload["id"],
        {"mime": "text/html"},
        lambda n: {
            "owner_id": owner.id,
            "file_id": file["id"],
            "size": 1,
            "mime": "a/b",
            "store": "r2",
            "object_key": f"{owner.id}/x/{n}",
            "expires_at": "2000-01-01T00:00:00Z",
        },
    )
    yield Subject(
        "the trash",
        "object_trash",
        GRANTS["object_trash"],
        "object_key",
        f"{owner.id}/x/none",
        {"reason": tag},
        lambda n: {"store": "r2", "object_key": f"{owner.id}/x/{n}", "reason": "matrix"},
    )
    yield Subject(
        "an audit entry",
        "audit_log",
        GRANTS["audit_log"],
        "id",
        entries[0]["id"],
        {"entity_id": tag},
        lambda n: {"actor": owner.id, "action": "insert", "entity": "posts", "entity_id": n},
    )
    yield Subject(
        "a consent",
        "consents",
        GRANTS["consents"],
        "user_id",
        owner.id,
        {"analytics": True},
        lambda n: {"user_id": owner.id, "analytics": True},
    )


def attempt(
    run: Run, services: Services, subject: Subject, verb: str, token: str | None, owner: Actor
) -> bool:
    """Tries one verb and says whether it was done: reading by the answer, writing by the witness."""
    rest, table = services.database.rest, subject.table
    one = {subject.key: f"eq.{subject.value}"}

    def stored() -> list[dict[str, Any]]:
        return list(services.database.witness_rows(table, **{subject.key: subject.value}))

    match verb:
        case "R":
            answer = rest("GET", f"/{table}", token=token, params={"select": subject.key, **one})
            return answer.status == 200 and len(answer.json(list)) == 1
        case "U":
            before = stored()
            rest("PATCH", f"/{table}", token=token, params=one, body=subject.change, prefer="return=minimal")
            return stored() != before
        case "D":
            if not subject.grant.allows("owner", "D"):
                before = stored()
                rest("DELETE", f"/{table}", token=token, params=one, prefer="return=minimal")
                return len(stored()) < len(before)
            return _deletes_a_copy(services, subject, token, owner, run.tag())
        case _:
            return _inserts(services, subject, token, run.tag())


def _inserts(services: Services, subject: Subject, token: str | None, name: str) -> bool:
    if subject.table == "consents":  # one row a person: the owner's own was made by an insert already
        stored = services.database.witness_rows("consents", user_id=subject.value)
        services.database.rest(
            "POST",
            "/consents",
            token=token,
            body=subject.another(name),
            params={"on_conflict": "user_id"},
            prefer="resolution=merge-duplicates,return=minimal",
        )
        return bool(services.database.witness_rows("consents", user_id=subject.value) != stored)
    before = services.database.witness_rows(subject.table, **_owned(subject, name))
    services.database.rest(
        "POST", f"/{subject.table}", token=token, body=subject.another(name), prefer="return=minimal"
    )
    return len(services.database.witness_rows(subject.table, **_owned(subject, name))) > len(before)


def _owned(subject: Subject, name: str) -> dict[str, str]:
    column, value = next((c, v) for c, v in subject.another(name).items() if isinstance(v, str) and name in v)
    return {column: value}


def _deletes_a_copy(services: Services, subject: Subject, token: str | None, owner: Actor, name: str) -> bool:
    """Deletes a second row of the owner's, so that the subject stays for the next role."""
    made = services.database.rest(
        "POST", f"/{subject.table}", token=owner.access_token, body=subject.another(name)
    )
    identifier = made.demand(201).json(list)[0]["id"]
    services.database.rest(
        "DELETE", f"/{subject.table}", token=token, params={"id": f"eq.{identifier}"}, prefer="return=minimal"
    )
    return not services.database.witness_rows(subject.table, id=identifier)


@check(
    "database.service_functions_closed",
    "The Worker's database functions are closed to people",
    requirement=("P1.3", "P6.3"),
    service=DATABASE,
    capability="database.rest",
)
def test_service_functions(services: Services, actor: NewActor, witness: Witness) -> None:
    """A person and a visitor are refused each of them; the functions meant for people answer."""
    person = actor()
    for token in (person.access_token, None):
        answer = services.database.rest("POST", "/rpc/health", token=token, body={})
        expect_equal(
            answer.status, 200, "the health function answers anyone (positive control)", service=DATABASE
        )
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
