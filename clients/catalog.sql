-- relations
select n.nspname as schema, c.relname as name, c.relkind::text as kind, c.relrowsecurity as secured,
  coalesce(c.reloptions, '{}') as options, c.relpages as pages, c.reltuples as tuples,
  exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e') as of_extension,
  array(select r from unnest(array['anon', 'authenticated']) r where has_table_privilege(r, c.oid, 'SELECT')) as selectable,
  array(select r from unnest(array['anon', 'authenticated']) r where has_any_column_privilege(r, c.oid, 'SELECT')) as readable,
  (select coalesce(jsonb_object_agg(r, v), '{}') from (select r, array(select p from unnest(array['SELECT', 'INSERT', 'UPDATE',
    'DELETE']) p where has_table_privilege(r, c.oid, p) or p <> 'DELETE' and has_any_column_privilege(r, c.oid, p)) as v
    from unnest(array['anon', 'authenticated']) r) held) as granted,
  exists (select from pg_rewrite w join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
    where w.ev_class = c.oid and d.refclassid = 'pg_class'::regclass and d.refobjid = to_regclass('auth.users')) as of_users,
  coalesce((select sum((1 - null_frac) * avg_width) from pg_stats s where s.schemaname = n.nspname and s.tablename = c.relname), 0)
    as width,
  (select coalesce(jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, null),
      'full_type', format_type(a.atttypid, a.atttypmod), 'needed', a.attnotnull or t.typnotnull,
      'default', pg_get_expr(d.adbin, d.adrelid), 'generated', a.attidentity = 'a' or a.attgenerated <> '',
      'identity', a.attidentity <> '', 'base', format_type(coalesce(nullif(t.typbasetype, 0), t.oid), null),
      'labels', array(select e.enumlabel from pg_enum e where e.enumtypid = coalesce(nullif(t.typelem, 0), t.oid)
        order by e.enumsortorder)) order by a.attnum), '[]')
    from pg_attribute a join pg_type t on t.oid = a.atttypid left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
  (select coalesce(jsonb_agg(jsonb_build_object('name', p.policyname, 'command', p.cmd, 'permissive', p.permissive = 'PERMISSIVE',
      'roles', p.roles, 'using', p.qual, 'check', p.with_check) order by p.policyname), '[]')
    from pg_policies p where p.schemaname = n.nspname and p.tablename = c.relname) as policies,
  (select coalesce(jsonb_agg(jsonb_build_object('name', k.conname, 'kind', k.contype, 'text', pg_get_constraintdef(k.oid),
      'columns', array(select a.attname from unnest(k.conkey) with ordinality u(n, o) join pg_attribute a
        on a.attrelid = c.oid and a.attnum = u.n order by u.o),
      'to', case when k.confrelid <> 0 then (select jsonb_build_object('schema', tn.nspname, 'name', tc.relname)
        from pg_class tc join pg_namespace tn on tn.oid = tc.relnamespace where tc.oid = k.confrelid) end,
      'to_columns', array(select a.attname from unnest(k.confkey) with ordinality u(n, o) join pg_attribute a
        on a.attrelid = k.confrelid and a.attnum = u.n order by u.o),
      'to_primary', coalesce((select i.indisprimary from pg_index i where i.indexrelid = k.conindid), false))
      order by k.conname), '[]')
    from pg_constraint k where k.conrelid = c.oid and k.contype in ('p', 'u', 'f', 'c', 'x')) as constraints,
  (select coalesce(jsonb_agg(jsonb_build_object('name', ic.relname, 'text', pg_get_indexdef(i.indexrelid), 'unique', i.indisunique,
      'primary', i.indisprimary, 'valid', i.indisvalid, 'scans', coalesce(pg_stat_get_numscans(i.indexrelid), 0),
      'columns', array(select coalesce(a.attname, '') from unnest(i.indkey::int2[]) with ordinality u(n, o) left join pg_attribute a
        on a.attrelid = c.oid and a.attnum = u.n order by u.o)) order by ic.relname), '[]')
    from pg_index i join pg_class ic on ic.oid = i.indexrelid where i.indrelid = c.oid) as indexes
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
  and left(n.nspname, 7) <> 'pg_temp' order by 1, 2

-- functions
select n.nspname as schema, p.proname as name, pg_get_function_identity_arguments(p.oid) as arguments, p.prosecdef as definer,
  p.provolatile in ('s', 'i') as only_reads, p.prorettype = 'trigger'::regtype as of_trigger, p.prokind::text as kind,
  coalesce(p.proargnames, '{}') as names, p.pronargs - p.pronargdefaults as least,
  exists (select from unnest(coalesce(p.proconfig, '{}')) s where starts_with(s, 'search_path=')) as search_path_set,
  exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e') as of_extension,
  array(select r from unnest(array['anon', 'authenticated']) r where has_function_privilege(r, p.oid, 'EXECUTE')) as callers
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname not in ('pg_catalog', 'information_schema') order by 1, 2, 3

-- extensions
select e.extname as name, n.nspname as schema, e.extversion as version, a.default_version as newest
from pg_extension e join pg_namespace n on n.oid = e.extnamespace left join pg_available_extensions a on a.name = e.extname order by 1

-- exposed
select split_part(s.one, '=', 2) as value from pg_db_role_setting d, unnest(d.setconfig) s(one)
where d.setrole = to_regrole('authenticator') and starts_with(s.one, 'pgrst.db_schemas=')

-- sign_up
select coalesce(string_agg(p.prosrc, ' '), '') as source from pg_trigger t join pg_proc p on p.oid = t.tgfoid
where t.tgrelid = to_regclass('auth.users') and not t.tgisinternal
