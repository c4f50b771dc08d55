-- A digest of all that a database is made of but its rows: the same before a plant and after its restoring.
select md5(string_agg(line, E'\n' order by line)) from (
  select concat_ws('|', 'policy', schemaname, tablename, policyname, permissive, roles, cmd, qual, with_check) as line from pg_policies
  union all select concat_ws('|', 'function', p.oid::regprocedure, md5(pg_get_functiondef(p.oid)), p.proacl::text)
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname in ('public', 'auth', 'storage') and p.prokind = 'f'
  union all select concat_ws('|', 'trigger', tgrelid::regclass, pg_get_triggerdef(oid), tgenabled) from pg_trigger where not tgisinternal
  union all select concat_ws('|', 'index', indexdef) from pg_indexes where schemaname in ('public', 'auth', 'storage')
  union all select concat_ws('|', 'table', c.oid::regclass, c.relrowsecurity, c.relforcerowsecurity,
      (select string_agg(a::text, ',' order by a::text) from unnest(c.relacl) a))
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname in ('public', 'storage') and c.relkind in ('r', 'v')
  union all select concat_ws('|', 'column', table_schema, table_name, column_name, data_type, is_nullable, column_default, character_maximum_length)
    from information_schema.columns where table_schema in ('public', 'storage')
  union all select concat_ws('|', 'column right', attrelid::regclass, attname,
      (select string_agg(a::text, ',' order by a::text) from unnest(attacl) a)) from pg_attribute where attacl is not null and attrelid::regclass::text not like 'pg_%'
  union all select concat_ws('|', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid)) from pg_constraint
    where conrelid <> 0 and connamespace in ('public'::regnamespace, 'storage'::regnamespace)
  union all select concat_ws('|', 'setting', setdatabase, setrole, setconfig) from pg_db_role_setting
  union all select concat_ws('|', 'bucket', id, public, file_size_limit, allowed_mime_types) from storage.buckets
) as everything
