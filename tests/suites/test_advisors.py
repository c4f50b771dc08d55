"""Faults planted in a small schema of a team's own: each is found by its name, and shown to be open by doing."""

import json

import psycopg
import pytest

from clients import embedded
from clients.catalog import read_catalog
from clients.http_port import ANY_5XX
from clients.identities import make_actor
from clients.service_clients import ServiceClients
from clients.services import catalogue
from clients.undo import undoers
from core.clock import eventually
from core.description.database import Accepted
from core.errors import Missed
from core.ledger import Ledger
from core.run import Run, new_directory
from runner import own_schema
from suites.database import described_api
from suites.database.advisors.judged import reason_for
from suites.database.advisors.proof import Proof
from suites.database.advisors.security import security
from suites.database.advisors.upkeep import upkeep
from suites.storage import test_buckets

pytestmark = pytest.mark.timeout(300)
SCHEMA = """
create table public.todos (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null default auth.uid() references auth.users on delete cascade,
  title text not null,
  shared boolean not null default true
);
create index on public.todos (user_id);
alter table public.todos enable row level security;
create policy own on public.todos for all to authenticated
  using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create view public.titles with (security_invoker = true) as select id, title from public.todos;
create function public.count_todos() returns bigint language sql stable set search_path = '' as
  $$ select count(*) from public.todos $$;
insert into storage.buckets (id, name, public) values ('pictures', 'pictures', false);
"""
FAULTS = {
    "row-level security off": (
        "alter table public.todos disable row level security",
        "alter table public.todos enable row level security",
        {"0013_rls_disabled_in_public": "public.todos", "0007_policy_exists_rls_disabled": "public.todos"},
    ),
    "using (true)": (
        "create policy everybody on public.todos for all to public using (true)",
        "drop policy everybody on public.todos",
        {"0024_rls_policy_always_true": "public.todos"},
    ),
    "a security definer function that returns others' rows": (
        "create function public.every_todo() returns setof public.todos language sql stable security definer "
        "set search_path = '' as $$ select * from public.todos $$",
        "drop function public.every_todo()",
        {
            "0028_anon_security_definer_function_executable": "public.every_todo()",
            "0029_authenticated_security_definer_function_executable": "public.every_todo()",
        },
    ),
    "a view that passes by policies": (
        "create view public.all_titles as select id, title from public.todos",
        "drop view public.all_titles",
        {"0010_security_definer_view": "public.all_titles"},
    ),
    "a policy that forgets with check": (
        "create policy shared on public.todos for update to authenticated using (shared); "
        "create policy seen on public.todos for select to authenticated using (shared)",
        "drop policy shared on public.todos; drop policy seen on public.todos",
        {"policy_without_check": "public.todos"},
    ),
}
OBSERVED = """
create table public.plain (a int, b uuid references public.todos);
create index one on public.plain (a);
create index two on public.plain (a);
alter table public.plain enable row level security;
create policy slow on public.plain for select to authenticated using (auth.uid() is not null);
create policy more on public.plain for select to authenticated using (a = 1);
create function public.loose() returns int language sql as 'select 1';
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    (folder / "20260101000000_first.sql").write_text(SCHEMA)
    with embedded.attach(state=folder / "stack", serves=own_schema.named(folder)) as stack:
        yield stack


@pytest.fixture
def run(stack, tmp_path):
    run = Run.begin(new_directory(tmp_path), stack.target(catalogue(), own_schema.describe(stack)), "test")
    yield run
    run.journal.close()


@pytest.fixture
def services(run):
    with ServiceClients(run) as services:
        yield services


@pytest.fixture
def plant(stack):
    """Statements as role postgres, as a migration would run them."""

    def plant(statements):
        with psycopg.connect(stack.variables["SUPABASE_DB_URL"], autocommit=True) as db:
            db.execute(statements)

    return plant


@pytest.fixture
def found(run, services):
    """`found()`: every finding about security by name, with on what it is and how it was shown."""
    ledger = Ledger(run.journal, undoers(run), run.permit)

    def look():
        catalog = read_catalog(services.database.demand_sql())
        proof = Proof(run, services, ledger, lambda: make_actor(run, services, ledger), catalog)
        return {finding.name: (finding.on, proof.of(finding)) for finding in security(catalog)}

    yield look
    ledger.undo_all()


def test_a_right_schema_has_nothing_to_tell(found):
    assert found() == {}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_by_name_and_shown_to_be_open(fault, plant, found):
    statements, undo, expected = FAULTS[fault]
    plant(statements)
    try:
        seen = found()
    finally:
        plant(undo)
    for name, on in expected.items():
        assert name in seen, seen
        assert seen[name][0] == on
        assert "nobody" in seen[name][1] or "stranger" in seen[name][1], seen[name]


def test_a_bucket_made_public_and_listed_is_found(plant, run, services):
    plant("update storage.buckets set public = true where id = 'pictures'")
    plant("create policy listed on storage.objects for select to public using (bucket_id = 'pictures')")
    ledger = Ledger(run.journal, undoers(run), run.permit)
    try:
        with pytest.raises(
            Missed, match=r"0025_public_bucket_allows_listing: bucket pictures.*open: nobody and stranger"
        ):
            test_buckets.test_listing(
                run, services, ledger, lambda: make_actor(run, services, ledger), lambda *_: None
            )
    finally:
        ledger.undo_all()
        plant("drop policy listed on storage.objects; update storage.buckets set public = false")


def test_rest_holds_to_its_own_description(plant, services):
    """Schemathesis' requests of every table, view and function; one that fails with 5xx is named with what was asked."""
    document = json.loads(services.database.as_admin("GET", "/").content)
    well = described_api.try_all(services, document, writes=True)
    assert well.failures == {}
    assert {"GET /todos", "POST /todos", "PATCH /todos", "DELETE /todos", "GET /rpc/count_todos"} <= {
        *well.requests, *well.left
    }  # fmt: skip
    assert services.database.witness_rows("todos") == []
    plant(
        "create function public.lost(n int) returns int language plpgsql stable set search_path = '' as "
        "$$ begin raise no_data_found; end $$"
    )
    try:
        eventually(
            lambda: services.database.as_admin("GET", "/rpc/lost", params={"n": 1}, allow=ANY_5XX).status,
            until=lambda status: status == 500,
            within=10,
            claim="REST knows the function",
        )
        document = {**document, "paths": {"/rpc/lost": LOST}}
        ill = described_api.try_all(services, document, writes=True)
    finally:
        plant("drop function public.lost(int)")
    assert list(ill.failures) == ["GET /rpc/lost: Server error"], ill.failures


LOST = {
    "get": {
        "parameters": [{"name": "n", "in": "query", "type": "integer", "required": True}],
        "responses": {"200": {"description": "OK"}},
    }
}


def test_what_nobody_reaches_is_suspicious_alone(plant, found):
    """Row-level security is off, yet no role of the API was granted anything that it could read a row with."""
    plant("create view public.closed as select id from public.todos where false")
    try:
        assert found() == {"0010_security_definer_view": ("public.closed", "")}
    finally:
        plant("drop view public.closed")


def test_speed_and_upkeep_are_observed(plant, services):
    plant(OBSERVED)
    try:
        catalog = read_catalog(services.database.demand_sql())
        names = {f.name for f in upkeep(catalog) if f.on == "public.plain"}
        mutable = [f.on for f in security(catalog) if f.lint == "function_search_path_mutable"]
    finally:
        plant("drop table public.plain; drop function public.loose()")
    assert names == {
        "0001_unindexed_foreign_keys", "0003_auth_rls_initplan", "0004_no_primary_key", "0005_unused_index",
        "0006_multiple_permissive_policies", "0009_duplicate_index",
    }  # fmt: skip
    assert mutable == ["public.loose()"]


def test_a_decided_exception_fits_by_name_with_or_without_number(plant, services):
    statements, undo, _ = FAULTS["a view that passes by policies"]
    plant(statements)
    try:
        finding = next(security(read_catalog(services.database.demand_sql())))
    finally:
        plant(undo)
    for lint in ("security_definer_view", "0010_security_definer_view"):
        assert reason_for(finding, [Accepted(lint=lint, on="public.all_titles", reason="titles are public")])
    assert not reason_for(finding, [Accepted(lint="security_definer_view", on="public.x", reason="other")])
