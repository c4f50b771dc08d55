-- Roles and schemas that a fresh hosted project has (github.com/supabase/postgres, migrations/db). Run as superuser
-- `supabase_admin`. `postgres` is deliberately not a superuser, as on hosted since the "demote-postgres" migration.

do $$
declare
  made text[][] := array[
    ['anon',                   'nologin inherit'],
    ['authenticated',          'nologin inherit'],
    ['service_role',           'nologin inherit bypassrls'],
    ['authenticator',          'login noinherit'],
    ['supabase_auth_admin',    'login noinherit createrole'],
    ['supabase_storage_admin', 'login noinherit createrole'],
    ['supabase_read_only_user','login bypassrls'],
    ['dashboard_user',         'nologin createdb createrole replication'],
    ['postgres',               'login createdb createrole replication bypassrls']];
  one text[];
begin
  foreach one slice 1 in array made loop
    if not exists (select from pg_roles where rolname = one[1]) then
      execute format('create role %I %s', one[1], one[2]);
    end if;
  end loop;
end $$;

grant anon, authenticated, service_role to authenticator, supabase_storage_admin, postgres;
-- Lets `postgres` make triggers on auth.users and policies on storage.objects, as hosted does through supautils;
-- what hosted refuses beyond that is refused by the event trigger in 5_guard.sql.
grant supabase_auth_admin, supabase_storage_admin to postgres;
grant pg_read_all_data, pg_signal_backend, pg_monitor to postgres;
grant pg_read_all_data to supabase_read_only_user;

-- What supautils lets `postgres` do on hosted: configure the API in the database (alter role authenticator set pgrst.…).
grant authenticator to postgres with admin option;
do $$
declare one text;
begin
  foreach one in array array['db_schemas', 'db_extra_search_path', 'db_max_rows', 'db_pre_request', 'db_anon_role',
      'db_plan_enabled', 'db_aggregates_enabled', 'db_tx_end', 'db_root_spec', 'db_prepared_statements', 'openapi_mode',
      'openapi_security_active', 'openapi_server_proxy_uri', 'jwt_aud', 'jwt_role_claim_key', 'jwt_secret', 'log_level',
      'server_timing_enabled', 'server_cors_allowed_origins', 'server_trace_header', 'db_hoisted_tx_settings', 'db_use_legacy_gucs',
      'jwt_cache_max_lifetime'] loop
    execute format('grant set on parameter %I to postgres', 'pgrst.' || one);
  end loop;
end $$;
-- How rows of a backup are put back (Supabase docs, "Backup and Restore using the CLI": SET session_replication_role = replica).
grant set on parameter session_replication_role to postgres;

-- A statement that runs long is cut, and answers 57014 through the API.
alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';
alter role postgres set search_path = "$user", public, extensions;
alter role supabase_auth_admin set search_path = auth;
alter role supabase_storage_admin set search_path = storage;

create schema if not exists extensions;
grant all on schema extensions to postgres with grant option;
grant usage on schema extensions to anon, authenticated, service_role;

do $$ begin
  execute format('grant all on database %I to postgres', current_database());
  execute format('alter database %I owner to postgres', current_database());
  execute format('grant create on database %I to supabase_auth_admin, supabase_storage_admin', current_database());
end $$;

-- Since 2026-10-30 new tables, functions and sequences in `public` reach no API role without an explicit grant:
-- schema usage is given, default privileges are not.
grant usage on schema public to postgres, anon, authenticated, service_role;
grant all on schema public to postgres with grant option;

do $$ begin
  if not exists (select from pg_publication where pubname = 'supabase_realtime') then
    create publication supabase_realtime;
    alter publication supabase_realtime owner to postgres;
  end if;
end $$;
