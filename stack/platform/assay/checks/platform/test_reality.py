"""done.nomocks: each integration is proved real: what a service's own API writes is what the platform then says.

The other direction, what the platform writes being readable at the service, is proved by the first checks of
each suite, which carry the same requirement. Together they are the report's table of what is real.
"""

from __future__ import annotations

from clients.made_files import MIB, made_bytes
from clients.sdk import refused
from clients.service_clients import ServiceClients
from clients.services.platform import PROBED
from core.clock import eventually
from core.expect import expect, expect_equal, expect_status
from core.ledger import Ledger
from core.passport import check
from core.run import Run
from scenarios.adapter import Adapter
from stack.platform.assay.checks.storage.uploads import prepared, read
from suites.content.pages import new_page
from suites.types import NewActor, NewFile, Witness

PLATFORM = "platform"


@check(
    "reality.auth",
    "Supabase Auth is real: what PostgreSQL and the admin API change there, people and platform see",
    requirement=("done.nomocks", "P1.2"),
    service="supabase.auth",
    needs=("auth.email", "platform.api", "platform.whoami"),
)
def test_auth(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, witness: Witness
) -> None:
    """A name set by the admin API is read by the person; the platform knows them; deleted, they log in no more."""
    person, tag = actor(), run.tag()
    services.auth.admin.update_user_by_id(person.id, {"user_metadata": {"assay": tag}})
    me = person.supabase.auth.get_user()
    expect(me is not None, "the person reads themselves", service="supabase.auth")
    assert me is not None
    expect_equal(
        me.user.user_metadata.get("assay"),
        tag,
        "a marker set by the admin API is read by the person",
        service="supabase.auth",
    )
    seen = adapter.whoami(services.platform.port, person.access_token)
    expect_equal(
        (seen.status, adapter.person_of(seen)),
        (200, person.id),
        "the platform knows the same person",
        service=PLATFORM,
    )
    other = adapter.whoami(services.platform.port, "mock-user")
    expect_status(other, 401, "the platform knows nobody by a made-up token", service=PLATFORM)
    services.auth.delete_user(person.id)
    witness("the admin API", "marker set, person deleted")
    with refused(
        "invalid_credentials", claim="who was deleted there does not log in", service="supabase.auth"
    ):
        services.auth.person().auth.sign_in_with_password(
            {"email": person.email, "password": person.password}
        )


@check(
    "reality.database",
    "The database is real: a row changed in PostgreSQL is what people read",
    requirement=("done.nomocks", "P1.3"),
    service="supabase.database",
    needs=("database.sql", "auth.email", "database.rest", "database.tables.posts"),
)
def test_database(run: Run, services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """Inserted, changed and deleted by SQL, read by a person through the REST API each time."""
    person, tag = actor(), run.tag()
    sql = services.database.demand_sql()
    post = sql.value(
        "insert into public.posts (author_id, title, status) values (%s, %s, 'draft') returning id::text",
        (person.id, f"by SQL {tag}"),
    )

    def titles() -> list[str]:
        answer = services.database.rest("GET", f"/posts?select=title&id=eq.{post}", token=person.access_token)
        return [r["title"] for r in answer.expect(200, claim="a person reads posts").json(list)]

    witness("SQL", "a post inserted, changed and deleted")
    expect_equal(
        titles(),
        [f"by SQL {tag}"],
        "a post inserted by SQL is read by its author",
        service="supabase.database",
    )
    sql.rows("update public.posts set title = %s where id::text = %s", (f"changed {tag}", post))
    expect_equal(titles(), [f"changed {tag}"], "a change by SQL is read", service="supabase.database")
    sql.rows("delete from public.posts where id::text = %s", (post,))
    expect_equal(titles(), [], "a deletion by SQL is seen", service="supabase.database")


@check(
    "reality.storage",
    "Supabase Storage is real: an object replaced there is what the platform hands out",
    requirement=("done.nomocks", "P2.2"),
    service="supabase.storage",
    needs=("storage.supabase", "platform.api", "auth.email", "platform.files.*.upload.stored_in"),
)
def test_storage(
    services: ServiceClients, adapter: Adapter, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """Other bytes of the same length under the same key, written with the secret key; the old ones are gone."""
    person, file = actor(), made(5000)
    stored = prepared(services, adapter, person.access_token, file)
    other = made_bytes(f"{file.seed} replaced", file.size)
    answer = services.storage.as_admin(
        "PUT", f"/object/files/{stored['object_key']}", body=other, headers={"Content-Type": file.mime}
    )
    answer.demand(200)
    witness("Storage API with the secret key", "the object replaced")
    handed = read(services, person.access_token, stored["id"])
    expect(
        handed.content == other,
        "the platform hands out the replaced bytes",
        saw=f"{handed.status}, {len(handed.content)} other bytes",
        service=PLATFORM,
    )


@check(
    "reality.r2",
    "R2 is real: an object replaced or removed there is what the platform finds",
    requirement=("done.nomocks", "P2.1"),
    service="r2",
    needs=("storage.r2", "platform.api", "auth.email", "platform.files.*.upload.stored_in"),
)
def test_r2(
    services: ServiceClients, adapter: Adapter, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """Through R2's S3 API other bytes go under the file's key, then none."""
    person, file = actor(), made(6 * MIB)
    stored = prepared(services, adapter, person.access_token, file)
    other = made_bytes(f"{file.seed} replaced", file.size)
    services.r2.s3.put(stored["object_key"], other)
    handed = read(services, person.access_token, stored["id"])
    expect(
        handed.content == other,
        "the platform hands out the replaced bytes",
        saw=f"{handed.status}, {len(handed.content)} other bytes",
        service=PLATFORM,
    )
    services.r2.s3.delete(stored["object_key"])
    witness("R2's S3 API", "the object replaced, then removed")
    gone = services.platform.call(
        "GET", f"/api/files/{stored['id']}/content", token=person.access_token, allow=(502, 503)
    )
    expect(
        gone.status >= 400,
        "with the object gone the platform hands nothing out",
        expected="an error",
        saw=f"{gone.status} {gone.text[:200]}",
        service=PLATFORM,
    )


@check(
    "reality.content",
    "Builder.io and KV are real: the platform serves what each of them holds, and nothing made up",
    requirement=("done.nomocks", "P3.2", "KV"),
    service="builder",
    needs=("content.api",),
    timeout=60,
    why_slow="Builder.io's edge cache may take half a minute on a live target",
)
def test_content(
    run: Run, services: ServiceClients, ledger: Ledger, adapter: Adapter, witness: Witness
) -> None:
    """Nothing at a path that Builder.io does not know; its marker once it does."""
    page = new_page(run, services, ledger, adapter)
    nothing = page.get()
    expect_equal(
        (nothing.status, nothing.code),
        (404, "content_not_found"),
        "no made-up page at an unknown path",
        service=PLATFORM,
    )
    page.publish(f"marker {page.tag}")
    served = page.served(f"marker {page.tag}").json(dict)
    witness("Builder.io's write API", "a marker that only Builder.io was told")
    expect_equal(served["id"], page.id, "the page served is Builder.io's entry", service="builder")


@check(
    "reality.health",
    "The platform's health page probes every service for real",
    requirement=("done.nomocks", "prod.uptime"),
    service=PLATFORM,
    needs=("platform.api", "auth.email", "platform.health.services"),
)
def test_health(services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """Each of the eleven is named and well, by a platform that knows whom Supabase knows and nobody else."""
    answer = services.platform.call("GET", "/api/health", allow=(503,))
    health = answer.expect(200, claim="the platform says that it is well").json(dict)
    expect_equal(set(health["services"]), PROBED, "every service is probed", service=PLATFORM)
    ill = {name: s for name, s in health["services"].items() if not s["ok"]}
    expect_equal(ill, {}, "every service is well", service=PLATFORM)
    expect_equal(
        health["status"], "ok", "the platform as a whole is well when every service is", service=PLATFORM
    )
    version = (
        services.platform.call("GET", "/api/version")
        .expect(200, claim="the platform says its version")
        .json(dict)
    )
    expect_equal(health["version"], version["version"], "both say the same version", service=PLATFORM)
    person = actor()
    known = services.platform.call("GET", "/api/me", token=person.access_token)
    expect_equal(
        (known.status, known.json(dict).get("id")),
        (200, person.id),
        "what says so is the platform, which knows the person whom Supabase made just now",
        service=PLATFORM,
    )
    direct = eventually(
        lambda: services.auth.port.request("GET", "/health"),
        until=lambda a: a.status == 200,
        within=10,
        claim="Auth itself says that it is well",
        service="supabase.auth",
    )
    witness("Supabase Auth's own health", f"{direct.status}")
