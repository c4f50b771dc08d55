-- Signatures: github.com/supabase/pg_net, docs/api. A request waits in its queue, where a check can read it; nothing sends it.
create schema net;
create table net.http_request_queue (
  id bigserial primary key, method text not null, url text not null, headers jsonb, body bytea, timeout_milliseconds int);
create table net._http_response (
  id bigint, status_code int, content_type text, headers jsonb, content text, timed_out bool, error_msg text,
  created timestamptz not null default now());

create function net._asked(method text, url text, params jsonb, headers jsonb, body jsonb, wait int) returns bigint
  language sql security definer set search_path = '' as $$
  insert into net.http_request_queue (method, url, headers, body, timeout_milliseconds)
  values (method, url || coalesce((select '?' || string_agg(p.key || '=' || p.value, '&') from jsonb_each_text(params) p), ''),
    headers, convert_to(body::text, 'utf8'), wait) returning id $$;
create function net.http_get(url text, params jsonb default '{}', headers jsonb default '{}',
  timeout_milliseconds int default 5000) returns bigint language sql as
  $$ select net._asked('GET', url, params, headers, null, timeout_milliseconds) $$;
create function net.http_post(url text, body jsonb default '{}', params jsonb default '{}',
  headers jsonb default '{"Content-Type": "application/json"}', timeout_milliseconds int default 5000) returns bigint language sql as
  $$ select net._asked('POST', url, params, headers, body, timeout_milliseconds) $$;
create function net.http_delete(url text, params jsonb default '{}', headers jsonb default '{}',
  timeout_milliseconds int default 5000, body jsonb default null) returns bigint language sql as
  $$ select net._asked('DELETE', url, params, headers, body, timeout_milliseconds) $$;

grant usage on schema net to postgres with grant option;
grant usage on schema net to anon, authenticated, service_role;
grant all on all tables in schema net to postgres with grant option;
grant all on all functions in schema net to postgres with grant option;
