-- Hosted projects own `auth`, `storage` and `realtime`: a migration may add policies and triggers there, but nothing else.
-- (supautils.policy_grants and Supabase's notice "Restricting SQL access in auth, storage and realtime schemas".)
-- Without this, a migration that fails on a hosted project would pass here.

create function extensions.guard_managed_schemas() returns event_trigger language plpgsql as $$
declare touched record;
begin
  if session_user <> 'postgres' then return; end if;
  for touched in select * from pg_event_trigger_ddl_commands() loop
    if touched.schema_name in ('auth', 'storage', 'realtime') and touched.command_tag in
       ('ALTER TABLE', 'CREATE TABLE', 'CREATE TABLE AS', 'CREATE FUNCTION', 'ALTER FUNCTION', 'CREATE VIEW', 'CREATE TYPE',
        'CREATE SEQUENCE', 'CREATE INDEX') then
      raise exception 'must be owner of schema %: "%" on % is refused on hosted projects',
        touched.schema_name, touched.command_tag, touched.object_identity using errcode = '42501';
    end if;
  end loop;
end $$;
create event trigger guard_managed_schemas on ddl_command_end execute function extensions.guard_managed_schemas();

-- PostgREST reloads its schema cache on this notification (PostgREST docs, "Schema Cache Reloading").
create function extensions.pgrst_watch() returns event_trigger language plpgsql as $$
begin
  if exists (select from pg_event_trigger_ddl_commands() where schema_name is distinct from 'pg_temp') then
    perform pg_notify('pgrst', 'reload schema');
  end if;
end $$;
create function extensions.pgrst_drop_watch() returns event_trigger language plpgsql as $$
begin perform pg_notify('pgrst', 'reload schema'); end $$;
create event trigger pgrst_ddl_watch on ddl_command_end execute function extensions.pgrst_watch();
create event trigger pgrst_drop_watch on sql_drop execute function extensions.pgrst_drop_watch();
