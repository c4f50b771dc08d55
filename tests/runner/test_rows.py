"""Rows made from a catalog alone are taken by PostgreSQL, whatever its types, keys and checks."""

import pytest

from clients import embedded
from clients.identities import make_actor
from clients.service_clients import ServiceClients
from clients.services import catalogue
from clients.undo import undoers
from core.ledger import Ledger
from core.run import Run, new_directory
from runner import own_schema
from suites.database.matrix import Matrix

pytestmark = pytest.mark.timeout(120)
SCHEMA = """
create type public.mood as enum ('glad', 'sad');
create domain public.short as text check (length(value) < 40);
create table public.profiles (id uuid primary key references auth.users on delete cascade, nickname text);
create function public.greet() returns trigger language plpgsql security definer set search_path = '' as
  $$ begin insert into public.profiles (id) values (new.id); return new; end $$;
create trigger greet after insert on auth.users for each row execute function public.greet();
create table public.teams (slug text primary key check (slug ~ '^[a-z0-9-]+$'), by uuid not null references public.profiles);
create table public.lists (team text not null references public.teams, number int not null, primary key (team, number));
create table public.items (
  id bigint generated always as identity primary key,
  team text not null, number int not null, foreign key (team, number) references public.lists,
  feeling public.mood not null, feelings public.mood[] not null, word public.short not null,
  rank int not null check (rank >= 10 and rank <= 20), share numeric(5, 2) not null check (share > 0::numeric),
  state text not null check (state in ('open', 'it''s done')),
  code char(2) not null, color text not null check (color ~ '^#[0-9a-f]{6}$'),
  email text not null check (email ~* '^[^@]+@[^@]+$'), at timestamptz not null, ends timestamptz not null,
  check (ends > at),
  day date not null, long interval not null, place inet not null, raw bytea not null,
  more jsonb not null, span tstzrange not null,
  doubled int generated always as (number * 2) stored
);
create table public.either (
  id uuid primary key, one uuid references auth.users, other bigint references public.items,
  check ((other is not null and one is null) or (one is not null and other is null))
);
create table public.only_numbers (id serial primary key, value smallint unique not null);
"""


def test_every_table_gets_a_row(tmp_path):
    (tmp_path / "20260101000000_first.sql").write_text(SCHEMA)
    serves = own_schema.named(tmp_path)
    with embedded.attach(state=tmp_path / "stack", serves=serves) as stack:
        target = stack.target(catalogue(), own_schema.describe(stack))
        run = Run.begin(new_directory(tmp_path), target, "test")
        with ServiceClients(run) as services:
            ledger = Ledger(run.journal, undoers(run), run.permit)
            matrix = Matrix(run, services, ledger, lambda: make_actor(run, services, ledger))
            made = {subject.name: subject.row for subject in matrix.subjects()}
        run.journal.close()
    assert matrix.untried == {}
    assert set(made) == {"profiles", "teams", "lists", "items", "either", "only_numbers"}
    assert made["profiles"]["id"] == matrix.people["owner"].id, "the row that signing up made"
    assert made["items"]["state"] == "open"
