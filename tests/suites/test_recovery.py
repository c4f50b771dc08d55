"""A restoration that lost one row, one byte or one policy is told by the name of what it lost."""

from __future__ import annotations

import psycopg
import pytest

from clients import embedded
from clients.service_clients import ServiceClients
from clients.services import catalogue
from core.errors import Missed
from core.run import Run
from scenarios.recovery import database
from scenarios.recovery.inventory import inventory, losses

BUCKET, KEY = "files", "assay-recovery/x/object.bin"


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    with embedded.attach() as stack:
        run = Run.begin(tmp_path_factory.mktemp("recovery") / "run", stack.target(catalogue()), "test")
        with ServiceClients(run) as found:
            yield found
        run.journal.close()


def sql(services, *statements):
    with psycopg.connect(services.run.target.get("SUPABASE_DB_URL"), autocommit=True) as db:
        for statement in statements:
            db.execute(statement)


def put(services, data):
    headers = {"Content-Type": "application/octet-stream", "x-upsert": "true"}
    services.storage.as_admin("POST", f"/object/{BUCKET}/{KEY}", body=data, headers=headers).demand(200)


def test_each_loss_is_told_by_its_name(services):
    put(services, b"a" * 100)
    services.r2.s3.client.put_object(Bucket=services.r2.s3.bucket, Key="assay-recovery/x", Body=b"b" * 100)
    services.kv.put("assay-recovery", b"c")
    sql(
        services,
        "create table public.kept (id int primary key, word text)",
        "alter table public.kept enable row level security",
        "create policy mine on public.kept for select to authenticated using (true)",
        "insert into public.kept select n, 'word ' || n from generate_series(1, 2000) n",
    )
    try:
        before = inventory(services)
        assert losses(before, inventory(services)) == []
        put(services, b"a" * 99 + b"b")
        services.r2.s3.delete("assay-recovery/x")
        services.kv.put("assay-recovery", b"C")
        sql(
            services,
            "delete from public.kept where id = 1234",
            "update public.kept set word = 'another' where id = 77",
            "drop policy mine on public.kept",
            "alter table public.kept disable row level security",
            "revoke insert on public.kept from service_role",
        )
        found = losses(before, inventory(services))
    finally:
        services.storage.delete([KEY], BUCKET)
        services.kv.delete("assay-recovery")
        sql(services, "drop table public.kept")
    assert set(found) == {
        "lost: row 1234 of public.kept",
        "lost: policy mine on public.kept",
        "lost: object assay-recovery/x of r2",
        "changed: row 77 of public.kept",
        f"changed: object {KEY} of storage:{BUCKET}",
        "changed: key assay-recovery of kv",
        "changed: row-level security of public.kept",
        "changed: grant on public.kept",
    }


@pytest.mark.parametrize(
    ("afterwards", "why"),
    [
        ("drop table public.by_hand", "no migration makes it"),
        ("alter table public.by_hand drop column word", "word"),
        ("alter table public.by_hand add check (word <> 'one')", "violates check constraint"),
    ],
)
def test_what_stands_in_no_migration_is_a_loss_told_by_its_table(services, afterwards, why):
    target = services.run.target
    dsn = target.get("SUPABASE_DB_URL")
    sql(
        services,
        "create table public.by_hand (id int primary key, word text)",
        "insert into public.by_hand values (1, 'one')",
    )
    try:
        kept = database.back_up(dsn, target.permit)
        sql(services, "delete from public.by_hand", afterwards)
        with pytest.raises(Missed, match=r"takes back the rows of public\.by_hand") as missed:
            database.restore(kept, dsn, target.permit)
    finally:
        sql(services, "drop table if exists public.by_hand")
    assert why in str(missed.value.saw)
