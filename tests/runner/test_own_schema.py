"""A team's own migrations on the embedded target: what is served, from the command line and from `[embedded]`."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from clients.catalog import Catalog, Policy
from core.description import parse_description
from core.errors import ConfigError
from core.project import Project
from runner import own_schema
from runner.init import init_from_migrations
from runner.suggestion import Suggested, may_of_bucket
from tests.runner.sandbox import Sandbox

SCHEMA = """
create table public.todos (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null default auth.uid() references auth.users on delete cascade,
  title text not null
);
alter table public.todos enable row level security;
create policy own on public.todos for all to authenticated
  using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
"""


def folder(tmp_path: Path, *more: str, first: str = "20260101000000") -> Path:
    migrations = tmp_path / "supabase" / "migrations"
    migrations.mkdir(parents=True)
    (migrations / f"{first}_first.sql").write_text(SCHEMA)
    for number, text in enumerate(more):
        (migrations / f"{int(first) + 1 + number}_more.sql").write_text(text)
    return migrations


def test_what_lies_beside_the_migrations_is_found(tmp_path):
    migrations = folder(tmp_path)
    (migrations.parent / "config.toml").write_text('project_id = "x"\n')
    serves = own_schema.named(migrations)
    assert serves.config == migrations.parent / "config.toml"
    assert serves.default_grants, "what is older than 2026-10-30 is open to the API by default"
    assert "--default-grants" in serves.words


def test_a_project_of_today_grants_nothing_by_default(tmp_path):
    assert not own_schema.named(folder(tmp_path, first="20261101000000")).default_grants
    assert own_schema.named(tmp_path / "supabase" / "migrations", default_grants=True).default_grants


def test_the_description_names_the_same_relative_to_its_file(tmp_path):
    migrations = folder(tmp_path)
    project = tmp_path / "assay"
    project.mkdir()
    (project / "target.toml").write_text(
        '[embedded]\nmigrations = "../supabase/migrations"\nskip_extensions = ["plv8"]\ndefault_grants = false\n'
    )
    serves = own_schema.of_project(Project(project))
    assert serves is not None
    assert serves.migrations.resolve() == migrations.resolve()
    assert (serves.skip_extensions, serves.default_grants) == (("plv8",), False)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"migrations": "nowhere"}, "holds no migrations"),
        ({"migrations": "supabase/migrations", "seed": [Path("no.sql")]}, "no.sql does not exist"),
        ({"seed": [Path("no.sql")]}, "go with --migrations"),
    ],
)
def test_what_is_not_there_is_one_sentence(tmp_path, monkeypatch, options, says):
    folder(tmp_path)
    monkeypatch.chdir(tmp_path)
    given = dict(options)
    where = Path(given.pop("migrations")) if "migrations" in given else None
    with pytest.raises(ConfigError, match=says):
        own_schema.chosen(where, given.get("seed", ()), target="embedded")


def test_default_grants_are_proposed_where_policies_speak_to_nobody(tmp_path):
    def catalog(**granted):
        policy = {"name": "own", "command": "ALL", "permissive": True, "roles": ["authenticated"], "using": "true",
                  "check": None}  # fmt: skip
        table = {
            "schema": "public", "name": "todos", "kind": "r", "secured": True, "options": [], "pages": 0, "tuples": 0,
            "width": 0, "of_extension": False, "of_users": False, "selectable": [], "readable": [], "granted": granted,
            "columns": [], "policies": [policy], "constraints": [], "indexes": [],
        }  # fmt: skip
        return Catalog.model_validate(
            {
                "relations": [table],
                "functions": [],
                "extensions": [],
                "buckets": {},
                "exposed": ["public"],
                "sign_up": "",
            }
        )

    serves = own_schema.named(folder(tmp_path, first="20261101000000"))
    (proposal,) = own_schema.proposals(catalog(anon=[], authenticated=[]), serves)
    assert "nobody may read todos" in proposal
    assert "default_grants = true" in proposal
    assert own_schema.proposals(catalog(anon=[], authenticated=["SELECT"]), serves) == []
    assert own_schema.proposals(catalog(), replace(serves, default_grants=True)) == []


def test_people_are_as_config_toml_sets_auth(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text(
        "[auth]\nminimum_password_length = 10\nenable_refresh_token_rotation = false\n"
        "[auth.captcha]\nenabled = true\n[auth.email]\ndouble_confirm_changes = false\n"
    )
    assert own_schema._auth_settings(file) == {
        "email_change": "new address", "captcha": True, "rotation": False, "password_minimum": 10
    }  # fmt: skip
    assert own_schema._auth_settings(None) == {}


def test_no_file_may_say_that_it_was_suggested():
    with pytest.raises(ConfigError, match="suggested"):
        parse_description("suggested = true\n")


TESTS = """
begin;
\\set ON_ERROR_STOP on
create extension if not exists pgtap with schema extensions;
select plan(3);
select has_table('public', 'todos', 'there is a table');
insert into auth.users (id, email) values ('00000000-0000-0000-0000-000000000001', 'a@example.com');
set local role authenticated;
select lives_ok($$ select 1 from public.todos; $$, 'people may read');
select is(1, 2, 'one is two');
select * from finish();
commit;
"""


def test_migrations_alone_are_judged(tmp_path):
    """Only PostgreSQL and the gateway start; the catalog describes the tables, and the matrix tries them.

    The repository's pgTAP tests run before, and leave nothing.
    """
    sandbox = Sandbox(tmp_path)
    migrations = folder(tmp_path)
    tests = migrations.parent / "tests" / "database"
    tests.mkdir(parents=True)
    (tests / "todos.test.sql").write_text(TESTS)
    (tests / "wrong.sql").write_text("select plan(1);\n\nselect nonsense;")
    (tests / "lacks.sql").write_text('create extension "some-helpers";')
    code, said = sandbox.run(
        "check", "pgtap", "database.rls_matrix", "database.rls_catalog", "--migrations", str(migrations)
    )
    checks = {one["id"]: one for one in json.loads((sandbox.newest() / "verdict.json").read_text())["checks"]}
    found = {name: one for name, one in checks.items() if name.startswith("pgtap")}
    assert {name: one["state"] for name, one in found.items()} == {
        "pgtap": "met",
        "pgtap.database.todos.there_is_a_table": "met",
        "pgtap.database.todos.people_may_read": "met",
        "pgtap.database.todos.one_is_two": "missed",
        "pgtap.database.wrong.ran_to_its_end": "broken",
        "pgtap.database.lacks.ran_to_its_end": "not_covered",
    }, said
    assert "have: 1" in found["pgtap.database.todos.one_is_two"]["message"]
    assert 'wrong.sql, line 3: column "nonsense"' in found["pgtap.database.wrong.ran_to_its_end"]["message"]
    assert "--skip-extension some-helpers" in found["pgtap.database.lacks.ran_to_its_end"]["message"]
    assert found["pgtap.database.todos.people_may_read"]["imported"] == "tap"
    assert "workerd" not in said
    run = sandbox.newest()
    access = json.loads((run / "evidence" / "access-tables.json").read_text())
    assert access["access"]["todos"] == {"nobody": "", "owner": "RUCD", "stranger": ""}, said
    assert [checks[name]["state"] for name in ("database.rls_matrix", "database.rls_catalog")] == [
        "met"
    ] * 2, said
    assert code == 3


def test_a_failed_migration_is_one_message(tmp_path):
    sandbox = Sandbox(tmp_path)
    migrations = folder(tmp_path, "select 1;\n\ncreate table x (\n  a nosuch\n);\n")
    code, said = sandbox.run("check", "--migrations", str(migrations))
    assert code == 2, said
    assert '_more.sql, line 4: type "nosuch" does not exist in: create table x' in said
    assert "hosted projects run 17, which may know more" in said or "would refuse it too" in said


def test_init_reads_migrations_alone(tmp_path, monkeypatch, capsys):
    migrations = folder(tmp_path)
    monkeypatch.setenv("ASSAY_STATE", str(tmp_path / "stack"))
    project = tmp_path / "assay"
    assert init_from_migrations(project, own_schema.named(migrations)) == 0
    assert "may of todos" in capsys.readouterr().out
    text = (project / "target.toml").read_text()
    with pytest.raises(ConfigError, match="decide is true"):
        parse_description(text)
    decided = parse_description(text.replace("decide = true", "# decide = true"))
    assert decided.embedded is not None
    assert decided.embedded.migrations == "../supabase/migrations"
    assert decided.database.tables["todos"].may["owner"] == "CRUD"


def test_a_bucket_is_suggested_with_a_type_that_it_takes():
    bucket = {"id": "logos", "public": True, "file_size_limit": None, "allowed_mime_types": ["image/*"]}
    assert 'type = "image/png"' in list(Suggested({}, {}, [bucket]).lines(decide=False))


def test_what_a_bucket_grants_is_read_from_its_policies():
    def policy(command, using, roles=("authenticated",)):
        return Policy(name="p", command=command, permissive=True, roles=roles, using=using, check=None)

    policies = [
        policy("ALL", "bucket_id = 'files' and (storage.foldername(name))[1] = auth.uid()::text"),
        policy("SELECT", "bucket_id = 'logos'", ("public",)),
    ]
    assert may_of_bucket("files", policies) == {"owner": "CRUD", "stranger": "", "nobody": ""}
    assert may_of_bucket("logos", policies) == {"owner": "R", "stranger": "R", "nobody": "R"}
    assert may_of_bucket("papers", policies) == {"owner": "", "stranger": "", "nobody": ""}


@pytest.mark.parametrize(
    ("rule", "stranger", "nobody"),
    [
        ("(( SELECT auth.uid() AS uid) = user_id)", "", ""),
        ("(user_id = auth.uid())", "", ""),
        ("((auth.uid())::text = owner)", "", ""),
        ("true", "R", "R"),
        ("(auth.uid() IS NOT NULL)", "?", ""),
        ("(is_published OR (auth.uid() = author_id))", "?", "?"),
        ("(EXISTS ( SELECT 1 FROM profiles WHERE (profiles.id = auth.uid())))", "?", "?"),
    ],
)
def test_what_a_policy_does_not_surely_refuse_is_not_missed(rule, stranger, nobody):
    """`auth.uid() is not null` lets every person in: who read it as a refusal accused a public starter's table."""
    policy = Policy(name="p", command="SELECT", permissive=True, roles=("public",), using=rule, check=None)
    for doubt in (False, True):
        found = may_of_bucket("files", [policy], doubt=doubt)
        said = {"stranger": stranger, "nobody": nobody}
        assert {k: found[k] for k in said} == {
            k: v.replace("?", "R" if doubt else "") for k, v in said.items()
        }
