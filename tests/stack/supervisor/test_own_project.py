"""The embedded target with a team's own migrations, seeds and config.toml: database, Auth, REST, Storage and mail alone."""

import httpx
import psycopg
import pytest

from tests.stack.supervisor.harness import Stack

MIGRATION = """
create extension if not exists pg_net with schema extensions;
create table todos (id bigint generated always as identity primary key, title text);
"""


@pytest.fixture
def stack(tmp_path):
    found = Stack(tmp_path)
    yield found
    found.close()


@pytest.fixture
def options(tmp_path):
    """The command's options for a small project."""
    folder = tmp_path / "supabase"
    (folder / "migrations").mkdir(parents=True)
    (folder / "migrations" / "20260101000000_todos.sql").write_text(MIGRATION)
    (folder / "seed.sql").write_text("insert into todos (title) values ('a'), ('b'), ('c');")
    (folder / "config.toml").write_text("[api]\nmax_rows = 2\nodd = 1\n[auth]\nenable_signup = false\n")
    return ["--only", "supabase", "--migrations", str(folder / "migrations"), "--config",
            str(folder / "config.toml"), "--default-grants"]  # fmt: skip


def test_it_serves_the_project_and_nothing_else(stack, options):
    _, answer = stack.held(*options)
    components = stack.ask(answer, "GET", "/components")[1]["components"]
    assert {one["name"] for one in components} == {"postgres", "supabase"}
    assert "PLATFORM_URL" not in answer["variables"]
    assert answer["engines"]["supabase.extension.pg_net"]["kind"] == "stand-in"
    assert answer["notes"] == ["config.toml: api.odd changes nothing here"]
    url, key = (answer["variables"][name] for name in ("VITE_SUPABASE_URL", "VITE_SUPABASE_ANON_KEY"))
    with httpx.Client(base_url=url, headers={"apikey": key}) as http:
        assert [row["title"] for row in http.get("/rest/v1/todos?order=id").json()] == ["a", "b"]
        refused = http.post("/auth/v1/signup", json={"email": "a@example.test", "password": "secret-1"})
        assert refused.status_code == 422
        assert "signup_disabled" in refused.text
    with psycopg.connect(answer["variables"]["SUPABASE_DB_URL"]) as db:
        assert db.execute("select to_regclass('public.posts')").fetchone() == (None,)
    other = stack.run(
        "up", "--only", "supabase", check=False
    )  # attaches to nothing that serves something else
    assert other.returncode == 2
    assert "serves something else" in other.stderr


def test_a_migration_that_fails_is_the_last_line(stack, options, tmp_path):
    (tmp_path / "supabase" / "migrations" / "20260102000000_wrong.sql").write_text("\nselect nonsense;")
    done = stack.run("up", *options, check=False)
    assert done.returncode == 3
    assert (
        '20260102000000_wrong.sql, line 2: column "nonsense" does not exist in: select nonsense;'
        in (done.stderr.strip().splitlines()[-1])
    )


def test_a_project_or_component_that_is_not_there_is_one_sentence(stack, tmp_path):
    wrong = stack.run("up", "--only", "supabase", "--config", str(tmp_path / "no.toml"), check=False)
    assert wrong.returncode == 2
    assert "no.toml cannot be read" in wrong.stderr
    unknown = stack.run("up", "--only", "supabasse", check=False)
    assert unknown.returncode == 2
    assert "There is no component 'supabasse'" in unknown.stderr
