"""The matrix of a change beside its base: what each role may do now, what was granted, what became public."""

import subprocess

import pytest

from core.errors import ConfigError
from runner import own_schema
from runner.access import Access, base_of, changes, comment
from tests.runner.sandbox import Sandbox
from tests.runner.test_own_schema import SCHEMA

BASE = Access(
    tables={"todos": {"owner": "CRUD", "stranger": "", "nobody": ""}},
    buckets={"pictures": {"owner": "R", "stranger": "", "nobody": ""}},
    granted={"todos": {"anon": ["SELECT"], "authenticated": ["SELECT"]}},
    public={"pictures": False},
)


LATER = {
    "`todos`: `stranger` may now read and delete": {
        "tables": {"todos": {"owner": "CRUD", "stranger": "RD", "nobody": ""}}
    },
    "`todos`: `owner` may no longer insert": {
        "tables": {"todos": {"owner": "RUD", "stranger": "", "nobody": ""}}
    },
    "`todos` is gone": {"tables": {}},
    "`todos`: DELETE granted to `anon`": {
        "granted": {"todos": {"anon": ["DELETE", "SELECT"], "authenticated": ["SELECT"]}}
    },
    "`todos`: SELECT revoked from `anon`": {"granted": {"todos": {"anon": [], "authenticated": ["SELECT"]}}},
    "bucket `pictures` is now public: everybody reads its objects": {"public": {"pictures": True}},
    "new finding 0010_security_definer_view: public.x": {
        "findings": frozenset({"0010_security_definer_view: public.x"})
    },
}


@pytest.mark.parametrize("says", LATER)
def test_a_change_is_one_sentence(says):
    after = Access(**{**vars(BASE), **LATER[says]})
    assert changes(BASE, after) == [says]
    assert f"- {says}" in comment(BASE, after)


def test_nothing_changed_is_said():
    assert changes(BASE, BASE) == []
    assert "Nothing changed." in comment(BASE, BASE)
    assert "| `todos` | CRUD | - | - |" in comment(BASE, BASE)


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "team"
    migrations = folder / "supabase" / "migrations"
    migrations.mkdir(parents=True)
    (migrations / "20260101000000_first.sql").write_text(SCHEMA)

    def git(*words):
        who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-qm", "first")
    return folder


def test_the_base_is_the_same_folder_at_a_commit(repository):
    migrations = repository / "supabase" / "migrations"
    (migrations / "20260102000000_second.sql").write_text("select 1;")
    serves = own_schema.named(migrations)
    with base_of(serves, "main") as base:
        assert base is not None
        assert [file.name for file in base.migrations.glob("*.sql")] == ["20260101000000_first.sql"]
    with (
        pytest.raises(ConfigError, match="name a folder of migrations or a commit"),
        base_of(serves, "nowhere"),
    ):
        pass


def test_a_pull_request_is_judged_beside_its_base(repository, tmp_path):
    migrations = repository / "supabase" / "migrations"
    (migrations / "20260102000000_second.sql").write_text(
        "create policy shared on public.todos for delete to authenticated using (true);\n"
        "create policy seen on public.todos for select to authenticated using (true);"
    )
    sandbox = Sandbox(tmp_path / "sandbox")
    words = ("check", "database.rls_matrix", "--migrations", str(migrations), "--base", "main")
    _, said = sandbox.run(*words)
    assert "`todos`: `stranger` may now read and delete" in said, said
    texts = list(sandbox.runs.glob("*/access.md"))
    assert len(texts) == 1
    assert "`stranger` may now read and delete" in texts[0].read_text()
