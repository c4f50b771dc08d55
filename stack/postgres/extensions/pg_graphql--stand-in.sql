-- Signatures: github.com/supabase/pg_graphql. A request is recorded, where a check can read it; the answer is an error.
create table graphql.requests (
  id bigserial primary key, query text, variables jsonb, operation text, role text, at timestamptz not null default now());
create function graphql.resolve(query text, variables jsonb default '{}', "operationName" text default null,
  extensions jsonb default null) returns jsonb language sql security definer set search_path = '' as $$
  insert into graphql.requests (query, variables, operation, role)
  values (query, variables, "operationName", current_setting('role', true));
  select '{"data": null, "errors": [{"message": "recorded, not answered: pg_graphql is a stand-in here"}]}'::jsonb $$;
create function graphql.comment_directive(comment_ text) returns jsonb language sql immutable as
  $$ select coalesce((regexp_match(comment_, '@graphql\((.+?)\)'))[1]::jsonb, '{}') $$;
create function graphql.get_schema_version() returns int language sql stable as $$ select 1 $$;
grant usage on schema graphql to postgres, anon, authenticated, service_role;
grant select, delete on graphql.requests to postgres with grant option;
