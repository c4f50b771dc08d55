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


TABLES = (
    "".join(
        SCHEMA.replace("todos", name).replace("policy own", f"policy {name}_own")
        for name in ("open", "everybody", "given", "seen", "kept")
    )
    + """
create policy given_shared on public.given for select to authenticated using (length(title) > 3);
create policy seen_public on public.seen for select to public using (length(title) > 3);
revoke all on public.seen from anon;
insert into storage.buckets (id, name, public) values ('pictures', 'pictures', false), ('papers', 'papers', false);
"""
)
PLANTED = """
alter table public.open disable row level security;
create policy all_of_it on public.everybody for all to authenticated using (true);
create policy read_all on public.kept for select to authenticated using (true);
create policy given_change on public.given for update to authenticated using (length(title) > 3);
grant select on public.seen to anon;
create view public.kept_titles as select id, title from public.kept;
create function public.every_kept() returns setof public.kept language sql stable security definer
  set search_path = '' as $$ select * from public.kept $$;
update storage.buckets set public = true;
create policy listed on storage.objects for select to public using (bucket_id = 'papers');
"""
FOUND = (
    "`open`: `nobody` may now insert and read and update and delete",
    "`everybody`: `stranger` may now insert and read and update and delete",
    "`seen`: `nobody` may now read",
    "`seen`: SELECT granted to `anon`",
    "bucket `pictures` is now public: everybody reads its objects",
    "bucket `papers` is now public: everybody reads its objects",
    "new finding 0013_rls_disabled_in_public: public.open",
    "new finding 0024_rls_policy_always_true: public.everybody",
    "new finding policy_without_check: public.given",
    "`kept`: `stranger` may now read",
    "new finding every_row_is_read: public.kept",
    "new finding 0010_security_definer_view: public.kept_titles",
    "new finding 0028_anon_security_definer_function_executable: public.every_kept()",
    "new finding 0025_public_bucket_allows_listing: bucket papers",
)


def test_a_pull_request_is_judged_beside_its_base(repository, tmp_path):
    """What a pull request brings in is text by name, and shown to be open by doing; the base had nothing of it."""
    migrations = repository / "supabase" / "migrations"
    (migrations / "20260101000000_first.sql").write_text(TABLES)
    subprocess.run(["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@example.com",
                    "commit", "-qam", "tables"], check=True)  # fmt: skip
    (migrations / "20260102000000_second.sql").write_text(PLANTED)
    sandbox = Sandbox(tmp_path / "sandbox")
    checks = ("database.rls_matrix", "database.advisors", "storage.bucket_matrix", "storage.advisors")
    code, said = sandbox.run("check", *checks, "--migrations", str(migrations), "--base", "main")
    assert code == 1, said
    texts = list(sandbox.runs.glob("*/access.md"))
    assert len(texts) == 1
    text = texts[0].read_text()
    for line in FOUND:
        assert line in text, text
        assert line in said
    for finding in (line for line in FOUND if line.startswith("new finding")):
        (line,) = (one for one in text.splitlines() if finding in one)
        assert "(open: " in line, line
