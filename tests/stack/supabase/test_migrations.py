"""A team's own migrations run as on a hosted project: rights, search path, extensions, schemas, seeds, messages."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack.postgres import hosted
from stack.postgres.certificate import write_certificate
from stack.supabase.project import Project, ProjectError, read_config
from stack.supabase.provision import MigrationFailed, provision
from stack.supabase.statements import split
from tests.stack.supabase import engine

Made = Callable[..., psycopg.Connection]


@pytest.fixture
def made(cluster: engine.Postgres, tmp_path: Path) -> Iterator[Made]:
    """Provisions a fresh database with migrations given as texts; a connection to it as its superuser."""
    name, opened = f"m{uuid.uuid4().hex[:8]}", list[psycopg.Connection]()
    with psycopg.connect(cluster.dsn("supabase_admin"), autocommit=True) as db:
        db.execute(f"create database {name} template template0".encode())

    def make(*migrations: str, **more: object) -> psycopg.Connection:
        for number, text in enumerate(migrations, 1):
            (tmp_path / f"2026010100000{number}_step.sql").write_text(text)
        project = Project.read({"migrations": tmp_path, **more})
        provision(cluster.dsn("supabase_admin", name), project=project)
        opened.append(psycopg.connect(cluster.dsn("supabase_admin", name), autocommit=True))
        return opened[-1]

    yield make
    for connection in opened:
        connection.close()
    with psycopg.connect(cluster.dsn("supabase_admin"), autocommit=True) as db:
        db.execute(f"drop database {name} with (force)".encode())


def one(db: psycopg.Connection, query: str) -> object:
    found = db.execute(query.encode()).fetchone()
    assert found is not None
    return found[0]


def test_the_settings_of_postgres_are_in_force_for_every_file(made: Made) -> None:
    db = made(
        "create table keys (id bytea default gen_random_bytes(16)); select set_config('search_path', '', false);",
        "create table more (id uuid default uuid_generate_v4()); insert into more default values;",
    )
    assert one(db, "select count(*) from public.more") == 1
    assert one(db, "select tableowner from pg_tables where tablename = 'more'") == "postgres"


def test_contrib_extensions_and_comments_on_those_that_are_there(made: Made) -> None:
    db = made("""
        create extension if not exists moddatetime schema extensions;
        create extension postgres_fdw with schema extensions;
        create server elsewhere foreign data wrapper postgres_fdw;
        create extension if not exists unaccent;
        comment on extension "uuid-ossp" is 'ids';
        comment on extension pgcrypto is 'crypto';
        drop extension if exists pg_stat_statements;
        create table notes (id int, changed timestamptz);
        create trigger stamp before update on notes for each row execute procedure moddatetime (changed);
    """)
    assert one(db, "select count(*) from pg_extension where extname in ('moddatetime', 'unaccent')") == 2


def test_schemas_and_roles_of_a_hosted_project(made: Made) -> None:
    db = made("""
        alter role authenticator set pgrst.db_schemas = 'public, graphql_public';
        alter role authenticator reset pgrst.db_schemas;
        grant usage on schema graphql, graphql_public, vault, realtime to postgres;
        create table t (id int); alter publication supabase_realtime add table t;
        create policy listen on realtime.messages for select to authenticated using (realtime.topic() = 'a');
        select vault.create_secret('s3cret', 'key');
        select graphql_public.graphql(query => '{ a }');
        select realtime.send('{"a": 1}', 'happened', 'topic', false);
    """)
    assert one(db, "select decrypted_secret from vault.decrypted_secrets where name = 'key'") == "s3cret"
    assert one(db, "select event from realtime.messages") == "happened"


def test_stand_ins_record_what_they_are_asked(made: Made) -> None:
    db = made("""
        create extension pg_net with schema extensions;
        create extension if not exists pg_cron with schema extensions;
        create extension http with schema extensions;
        create extension pgjwt with schema extensions;
        create extension pgmq; create extension pg_graphql with schema graphql; create extension index_advisor;
        select net.http_post('http://example.test/hook', '{"a": 1}');
        select cron.schedule('nightly', '0 3 * * *', $$delete from notes where old$$);
        select cron.schedule('nightly', '0 4 * * *', 'select 1');
        select http_get('http://example.test/?q=' || urlencode('a b'));
        select pgmq.create('jobs'); select pgmq.send('jobs', '{"n": 1}'); select pgmq.send('jobs', '{"n": 2}');
        select pgmq.archive('jobs', 2);
        create table orders (id int);
        create trigger hook after insert on orders for each row execute function
          supabase_functions.http_request('http://example.test/order', 'POST', '{}', '{}', '1000');
        insert into orders values (7);
    """)
    asked = db.execute(
        "select method, url, convert_from(body, 'utf8') from net.http_request_queue order by id"
    )
    (first, second) = asked.fetchall()
    assert first == ("POST", "http://example.test/hook", '{"a": 1}')
    assert second[1] == "http://example.test/order"
    assert '"id": 7' in second[2]
    assert db.execute("select jobname, schedule, command from cron.job").fetchall() == [
        ("nightly", "0 4 * * *", "select 1")
    ]
    assert one(db, "select uri from extensions.http_requests") == "http://example.test/?q=a%20b"
    read = db.execute("select msg_id, message from pgmq.read('jobs', 30, 5)").fetchall()
    assert read == [(1, {"n": 1})]
    signed = one(db, "select extensions.sign('{\"sub\": \"x\"}'::json, 'secret')")
    assert isinstance(signed, str)
    valid = db.execute("select valid from extensions.verify(%s, 'secret')", (signed,)).fetchone()
    assert valid == (True,)
    assert one(db, "select extversion from pg_extension where extname = 'pg_net'") == "stand-in"


def test_a_dump_makes_the_schema_of_an_extension_before_it(made: Made) -> None:
    db = made('create schema if not exists "pgmq"; create extension if not exists "pgmq" with schema "pgmq";')
    assert one(db, "select pgmq.create('jobs') is null or true")


def test_default_privileges_are_those_of_the_time(made: Made) -> None:
    db = made("create table t (id int); create function f() returns int language sql as 'select 1';")
    assert one(db, "select has_table_privilege('anon', 'public.t', 'select')") is False


def test_default_privileges_of_before_by_a_setting(made: Made) -> None:
    db = made("create table t (id serial);", default_grants=True)
    assert one(db, "select has_table_privilege('anon', 'public.t', 'insert')") is True
    assert one(db, "select has_sequence_privilege('authenticated', 'public.t_id_seq', 'usage')") is True


def test_a_failed_migration_is_one_message(made: Made) -> None:
    with pytest.raises(MigrationFailed) as failed:
        made(
            "create table a (id int);\n\n-- a comment; with a semicolon\ncreate table b (\n  id int,\n  id text);"
        )
    assert str(failed.value).splitlines() == [
        '20260101000001_step.sql, line 4: column "id" specified more than once',
        "  in: create table b ( id int, id text);",
        "  A hosted project would refuse it too.",
    ]


def test_a_file_that_is_no_utf_8_is_one_message(made: Made, tmp_path: Path) -> None:
    (tmp_path / "20260101000009_wide.sql").write_bytes("select 1;".encode("utf-16"))
    with pytest.raises(MigrationFailed, match=r"000009_wide\.sql: the byte 0xff at position 0 is no UTF-8"):
        made("select 1;")


def test_two_migrations_of_one_version_are_one_message(made: Made, tmp_path: Path) -> None:
    """The CLI's ledger of migrations has the version for its key."""
    (tmp_path / "20260101000001_other.sql").write_text("select 1;")
    with pytest.raises(MigrationFailed, match=r"000001_step\.sql: the version .* is 20260101000001_other"):
        made("select 1;")


def test_a_failure_takes_the_whole_file_back_and_keeps_the_files_before(
    made: Made, cluster: engine.Postgres
) -> None:
    with pytest.raises(MigrationFailed, match=r"000002_step\.sql, line 2: .*nothing_there"):
        made("create table a (id int);", "create table b (id int);\nselect * from nothing_there;")
    db = made("create table a (id int);", "create table b (id int);")
    assert one(db, "select count(*) from supabase_migrations.schema_migrations") == 2


def test_an_extension_that_is_not_there_is_named_with_what_to_do(made: Made) -> None:
    with pytest.raises(
        MigrationFailed, match=r"wrappers is not there: hosted projects have it.*--skip-extension"
    ):
        made('create extension if not exists "wrappers" with schema extensions;')
    db = made(
        'create extension if not exists "wrappers" with schema extensions; create table t ();',
        skip_extensions=["wrappers"],
    )
    assert one(db, "select count(*) from pg_tables where tablename = 't'") == 1


def test_managed_schemas_stay_managed(made: Made) -> None:
    with pytest.raises(MigrationFailed, match="is refused on hosted projects"):
        made("create table auth.mine (id int);")


def test_seeds_and_buckets_come_from_the_config(made: Made, tmp_path: Path) -> None:
    folder = tmp_path / "cli"
    (folder / "seeds").mkdir(parents=True)
    (folder / "seeds" / "1.sql").write_text("insert into t values (1); insert into t values (2);")
    (folder / "config.toml").write_text(
        'project_id = "x"\n[db.seed]\nsql_paths = ["./seeds/*.sql"]\n[api]\nmax_rows = 7\nsurprise = 1\n'
        '[auth]\nenable_signup = false\n[auth.email]\nmax_frequency = "1m30s"\n[storage]\nfile_size_limit = "20MiB"\n'
        '[storage.buckets.pictures]\npublic = true\nfile_size_limit = "1MiB"\nallowed_mime_types = ["image/png"]\n'
    )
    db = made("create table t (id int);", config=folder / "config.toml")
    assert one(db, "select sum(id) from t") == 3
    bucket = db.execute("select public, file_size_limit, allowed_mime_types from storage.buckets").fetchall()
    assert bucket == [(True, 1048576, ["image/png"])]
    found = read_config(folder / "config.toml")
    assert found.options == {
        "max_rows": 7, "disable_signup": True, "max_mail_frequency": 90.0, "file_size_limit": 20 * 1024**2,
        "anonymous_users": False,  # as a project begins
    }  # fmt: skip
    assert found.unknown == ("api.surprise",)


@pytest.mark.parametrize(("given", "words"), [
    ({"migrations": "/nowhere"}, "no folder of migrations"),
    ({"seed": ["/nowhere.sql"]}, "does not exist"),
    ({"config": "/nowhere.toml"}, "cannot be read"),
    ({"migration": "/tmp"}, "options.project.migration"),
])  # fmt: skip
def test_a_project_that_cannot_be_read_is_one_sentence(given: dict[str, object], words: str) -> None:
    with pytest.raises(ProjectError, match=words):
        Project.read(given)


def test_the_stand_in_of_uuid_ossp_names_as_rfc_9562_does(made: Made) -> None:
    script = (hosted.STAND_INS / "uuid-ossp--stand-in.sql").read_text()
    db = made("create schema ids; set search_path = ids;\n" + script)
    named = db.execute(
        "select ids.uuid_generate_v3(ids.uuid_ns_dns(), 'a.test'), ids.uuid_generate_v5(ids.uuid_ns_url(), 'ä')"
    )
    assert named.fetchone() == (uuid.uuid3(uuid.NAMESPACE_DNS, "a.test"), uuid.uuid5(uuid.NAMESPACE_URL, "ä"))
    random = one(db, "select ids.uuid_generate_v1()")
    assert isinstance(random, uuid.UUID)
    assert (random.version, random.variant) == (1, uuid.RFC_4122)


def test_what_an_extension_may_need_was_skipped(made: Made) -> None:
    with pytest.raises(MigrationFailed, match="It may need what was skipped: vector"):
        made("create extension vector; create table t (e vector(3));", skip_extensions=["vector"])


def test_the_extensions_that_a_project_wants_are_known_before(tmp_path: Path) -> None:
    (tmp_path / "1_a.sql").write_text(
        '-- create extension no;\nCREATE EXTENSION IF NOT EXISTS "vector" with schema x;'
    )
    (tmp_path / "2_b.sql").write_text("create extension pg_net; select 'create extension neither';")
    project = Project.read({"migrations": tmp_path, "skip_extensions": ["pg_net"]})
    assert project.extensions() == {"vector"}


def test_the_certificate_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    secret, public = write_certificate(tmp_path)
    assert secret.stat().st_mode & 0o077 == 0
    assert public.read_text().startswith("-----BEGIN CERTIFICATE-----")


PIECES = st.sampled_from([
    "select 1", "select 'a;b'", "select E'a\\';b'", 'select ";" from t', "do $$ begin perform 1; end $$",
    "select $x$ a; $$ b; $x$", "create rule r as on insert to t do also (select 1; select 2)",
    "create function f() returns int language sql begin atomic; select case when true then 1 end; end",
    "/* a; /* b; */ c; */ select 2", "select 3 -- no; end\n", "select $1::int", "select a.b$c$d from t",
])  # fmt: skip


@given(st.lists(PIECES, max_size=8), st.sampled_from([";", ";\n", " ;\n\n", "; -- and\n"]))
def test_a_script_is_split_where_its_statements_end(statements: list[str], end: str) -> None:
    found = [s.text for s in split("".join(s + end for s in statements))]
    assert [f.rstrip("; \n") for f in found] == [
        s.removeprefix("/* a; /* b; */ c; */ ") if s.startswith("/*") else s.rstrip() for s in statements
    ]
