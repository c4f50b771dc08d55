"""What public projects' schemas commonly hold, and a harness that knew only its own platform accused."""

import json

from tests.runner.sandbox import Sandbox

CONFIG = """
[auth]
enable_anonymous_sign_ins = true
[auth.email]
enable_confirmations = false
double_confirm_changes = true
"""
SCHEMA = """
create table public.profiles (
  id uuid primary key references auth.users,
  email text not null,
  bio text
);
create schema inner_part;
create table inner_part.seats (
  id uuid primary key default gen_random_uuid(),
  holder uuid not null references public.profiles (id)
);
alter table public.profiles enable row level security;
create policy own on public.profiles for select to authenticated using (id = (select auth.uid()));
create function public.handle_new_user() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  insert into public.profiles (id, email) values (new.id, new.email);
  insert into inner_part.seats (holder) values (new.id);
  return new;
end $$;
create trigger made after insert on auth.users for each row execute function public.handle_new_user();
insert into storage.buckets (id, name, public) values ('avatars', 'avatars', false);
"""


def test_a_starter_of_the_field_is_judged_by_its_own_words(tmp_path):
    """Rows that name a person and no ON DELETE: they go first, in whichever schema. Trigger functions: nobody can call them.

    A trigger that fails for people without an address, where the project lets anonymous people in, is the project's
    fault and named as the database's. One link changes an address where none is confirmed. The reference platform's
    own checks are not about these `profiles` and `avatars`.
    """
    sandbox = Sandbox(tmp_path)
    migrations = tmp_path / "shop" / "supabase" / "migrations"
    migrations.mkdir(parents=True)
    (migrations / "20260101000000_first.sql").write_text(SCHEMA)
    (migrations.parent / "config.toml").write_text(CONFIG)
    tried = ("auth.admin", "auth.email_change", "auth.anonymous_upgrade", "database.rls_catalog")
    code, said = sandbox.run("check", *tried, "--migrations", str(migrations))
    verdict = json.loads((sandbox.newest() / "verdict.json").read_text())
    found = {one["id"]: one for one in verdict["checks"]}
    assert {name: found[name]["state"] for name in tried} == {
        "auth.admin": "met",
        "auth.email_change": "met",
        "auth.anonymous_upgrade": "missed",
        "database.rls_catalog": "met",
    }, said
    assert found["auth.anonymous_upgrade"]["service"] == "supabase.database"
    assert "Database error creating anonymous user" in found["auth.anonymous_upgrade"]["message"]
    assert verdict["target"]["name"] == "migrations of shop"
    assert not [name for name in found if name.startswith(("database.profile", "database.posts"))]
    assert code == 1
