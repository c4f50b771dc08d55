-- Signatures: github.com/pgmq/pgmq. Queues and archives are tables, as there.
create table pgmq.meta (
  queue_name varchar primary key, is_partitioned boolean not null default false, is_unlogged boolean not null default false,
  created_at timestamptz not null default now());
create type pgmq.message_record as (
  msg_id bigint, read_ct integer, enqueued_at timestamptz, vt timestamptz, message jsonb, headers jsonb);
create type pgmq.queue_record as (queue_name varchar, is_partitioned boolean, is_unlogged boolean, created_at timestamptz);

create function pgmq."create"(queue_name text) returns void language plpgsql security definer set search_path = '' as $$
begin
  insert into pgmq.meta (queue_name) values ($1) on conflict do nothing;
  execute format('create table if not exists pgmq.%I (msg_id bigint primary key generated always as identity, read_ct int not null '
    'default 0, enqueued_at timestamptz not null default now(), vt timestamptz not null default clock_timestamp(), message jsonb, '
    'headers jsonb)', 'q_' || lower($1));
  execute format('create table if not exists pgmq.%I (msg_id bigint primary key, read_ct int not null default 0, enqueued_at '
    'timestamptz not null default now(), archived_at timestamptz not null default now(), vt timestamptz, message jsonb, '
    'headers jsonb)', 'a_' || lower($1));
  execute format('grant all on pgmq.%I, pgmq.%I to postgres with grant option', 'q_' || lower($1), 'a_' || lower($1));
end $$;
create function pgmq.create_unlogged(queue_name text) returns void language sql as $$ select pgmq."create"(queue_name) $$;
create function pgmq.create_non_partitioned(queue_name text) returns void language sql as $$ select pgmq."create"(queue_name) $$;
create function pgmq.send(queue_name text, msg jsonb, delay integer default 0) returns setof bigint
  language plpgsql security definer set search_path = '' as $$
begin
  return query execute format('insert into pgmq.%I (vt, message) values (clock_timestamp() + make_interval(secs => $2), $1) '
    'returning msg_id', 'q_' || lower(queue_name)) using msg, delay;
end $$;
create function pgmq.send_batch(queue_name text, msgs jsonb[], delay integer default 0) returns setof bigint language sql as
  $$ select pgmq.send(queue_name, m, delay) from unnest(msgs) m $$;
create function pgmq.read(queue_name text, vt integer, qty integer) returns setof pgmq.message_record
  language plpgsql security definer set search_path = '' as $$
begin
  return query execute format('update pgmq.%1$I m set vt = clock_timestamp() + make_interval(secs => $1), read_ct = read_ct + 1 where '
    'msg_id in (select msg_id from pgmq.%1$I where vt <= clock_timestamp() order by msg_id limit $2 for update skip locked) '
    'returning m.msg_id, m.read_ct, m.enqueued_at, m.vt, m.message, m.headers', 'q_' || lower(queue_name)) using vt, qty;
end $$;
create function pgmq.pop(queue_name text) returns setof pgmq.message_record
  language plpgsql security definer set search_path = '' as $$
begin
  return query execute format('delete from pgmq.%1$I where msg_id = (select msg_id from pgmq.%1$I where vt <= clock_timestamp() '
    'order by msg_id limit 1 for update skip locked) returning msg_id, read_ct, enqueued_at, vt, message, headers',
    'q_' || lower(queue_name));
end $$;
create function pgmq.delete(queue_name text, msg_id bigint) returns boolean
  language plpgsql security definer set search_path = '' as $$
declare found_one bigint;
begin
  execute format('delete from pgmq.%I where msg_id = $1 returning msg_id', 'q_' || lower(queue_name)) into found_one using msg_id;
  return found_one is not null;
end $$;
create function pgmq.archive(queue_name text, msg_id bigint) returns boolean
  language plpgsql security definer set search_path = '' as $$
declare found_one bigint;
begin
  execute format('with gone as (delete from pgmq.%I where msg_id = $1 returning *) insert into pgmq.%I (msg_id, read_ct, enqueued_at, '
    'vt, message, headers) select msg_id, read_ct, enqueued_at, vt, message, headers from gone returning msg_id',
    'q_' || lower(queue_name), 'a_' || lower(queue_name)) into found_one using msg_id;
  return found_one is not null;
end $$;
create function pgmq.purge_queue(queue_name text) returns bigint language plpgsql security definer set search_path = '' as $$
declare gone bigint;
begin
  execute format('delete from pgmq.%I', 'q_' || lower(queue_name));
  get diagnostics gone = row_count;
  return gone;
end $$;
create function pgmq.drop_queue(queue_name text) returns boolean language plpgsql security definer set search_path = '' as $$
begin
  execute format('drop table if exists pgmq.%I, pgmq.%I', 'q_' || lower($1), 'a_' || lower($1));
  delete from pgmq.meta m where m.queue_name = $1;
  return found;
end $$;
create function pgmq.list_queues() returns setof pgmq.queue_record language sql security definer set search_path = '' as
  $$ select queue_name, is_partitioned, is_unlogged, created_at from pgmq.meta $$;

grant usage on schema pgmq to postgres with grant option;
grant all on all functions in schema pgmq to postgres with grant option;
grant all on all tables in schema pgmq to postgres with grant option;
