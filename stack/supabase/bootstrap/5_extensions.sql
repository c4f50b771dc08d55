-- The extensions and schemas that a hosted project has from the start. `postgres` owns the extensions, so that it may comment on
-- them, as supautils lets it.

create schema if not exists vault;
create schema if not exists graphql;
create schema if not exists graphql_public;
grant usage on schema graphql, graphql_public to postgres, anon, authenticated, service_role;

set role postgres;
create extension if not exists pgcrypto with schema extensions;
create extension if not exists "uuid-ossp" with schema extensions;
create extension if not exists pg_stat_statements with schema extensions;
create extension if not exists supabase_vault with schema vault;
reset role;

-- Without its extension, which projects no longer have from the start, GraphQL says so.
create function graphql_public.graphql("operationName" text default null, query text default null, variables jsonb default null,
  extensions jsonb default null) returns jsonb language plpgsql as $$
begin
  if not exists (select from pg_extension where extname = 'pg_graphql') then
    return jsonb_build_object('errors', jsonb_build_array(jsonb_build_object('message', 'pg_graphql extension is not enabled.')));
  end if;
  return graphql.resolve(query, coalesce(variables, '{}'), "operationName", extensions);
end $$;

-- Realtime is not served. What is broadcast from the database is kept in its table, and its policies can be made and read.
create schema if not exists realtime;
do $$ begin
  if not exists (select from pg_roles where rolname = 'supabase_realtime_admin') then
    create role supabase_realtime_admin nologin noinherit;
  end if;
end $$;
grant supabase_realtime_admin to postgres;
create table realtime.messages (
  topic text not null, extension text not null, payload jsonb, event text, private boolean default false,
  updated_at timestamp not null default now(), inserted_at timestamp not null default now(), id uuid not null default gen_random_uuid(),
  primary key (id, inserted_at));
alter table realtime.messages enable row level security;
create function realtime.topic() returns text language sql stable as
  $$ select nullif(current_setting('realtime.topic', true), '') $$;
create function realtime.send(payload jsonb, event text, topic text, private boolean default true) returns void
  language sql security definer set search_path = '' as $$
  insert into realtime.messages (payload, event, topic, private, extension) values (payload, event, topic, private, 'broadcast') $$;
create function realtime.broadcast_changes(topic_name text, event_name text, operation text, table_name text, table_schema text,
  new record, old record, level text default 'ROW') returns void language plpgsql security definer set search_path = '' as $$
begin
  perform realtime.send(jsonb_build_object('old_record', to_jsonb(old), 'record', to_jsonb(new), 'operation', operation, 'table',
    table_name, 'schema', table_schema), event_name, topic_name, true);
end $$;
alter table realtime.messages owner to supabase_realtime_admin;
grant usage on schema realtime to postgres, anon, authenticated, service_role;
grant all on realtime.messages to postgres with grant option;
grant select, insert, update on realtime.messages to anon, authenticated, service_role;

-- A database webhook calls this from a trigger. The request is kept where pg_net would queue it, if that is there.
create schema if not exists supabase_functions;
create table supabase_functions.hooks (
  id bigserial primary key, hook_table_id int not null, hook_name text not null, created_at timestamptz not null default now(),
  request_id bigint);
create function supabase_functions.http_request() returns trigger language plpgsql security definer set search_path = '' as $$
declare asked bigint;
begin
  if exists (select from pg_extension where extname = 'pg_net') then
    execute 'select net._asked($1, $2, $3::jsonb, $4::jsonb, $5, $6::int)' into asked using tg_argv[1], tg_argv[0], tg_argv[3],
      tg_argv[2], jsonb_build_object('old_record', to_jsonb(old), 'record', to_jsonb(new), 'type', tg_op, 'table', tg_table_name,
      'schema', tg_table_schema), tg_argv[4];
  end if;
  insert into supabase_functions.hooks (hook_table_id, hook_name, request_id) values (tg_relid, tg_name, asked);
  return coalesce(new, old);
end $$;
grant usage on schema supabase_functions to postgres, anon, authenticated, service_role;
grant select on supabase_functions.hooks to postgres with grant option;

-- After-create scripts of supautils.
create function extensions.after_extension() returns event_trigger language plpgsql security definer set search_path = '' as $$
begin
  if exists (select from pg_event_trigger_ddl_commands() where command_tag = 'CREATE EXTENSION'
      and object_identity = 'postgres_fdw') then
    grant usage on foreign data wrapper postgres_fdw to postgres with grant option;
  end if;
end $$;
create event trigger after_extension on ddl_command_end when tag in ('CREATE EXTENSION')
  execute function extensions.after_extension();
