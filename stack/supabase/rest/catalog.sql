-- The database as one JSON document; $1 are the exposed schemas. Types are printed with typmod -1: `bpchar` and not `character`,
-- which would cut a filter's value to one letter. A domain counts as its base type, so that comparing a value with it is not
-- refused by the domain's own check. Relations of other schemas are read for the foreign keys that views take from them.
with exposed as (select oid, nspname from pg_namespace where nspname = any($1)),
own as (select oid, nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema')
select json_build_object(
  'relations', coalesce((
    select json_agg(json_build_object(
      'oid', c.oid::bigint, 'schema', n.nspname, 'name', c.relname, 'exposed', n.nspname = any($1),
      'view', c.relkind in ('v', 'm'), 'about', obj_description(c.oid, 'pg_class'),
      'may', case when c.relkind in ('r', 'p') then 28 else pg_relation_is_updatable(c.oid, true) end,
      'columns', coalesce((
        select json_agg(json_build_array(a.attname,
            format_type(coalesce(nullif(b.typbasetype, 0), b.oid, t.oid), -1),
            format_type(a.atttypid, a.atttypmod),
            coalesce(pg_get_expr(d.adbin, d.adrelid), pg_get_expr(t.typdefaultbin, 0),
              case when a.attidentity = 'd' then 'nextval(' || quote_literal(pg_get_serial_sequence(
                quote_ident(n.nspname) || '.' || quote_ident(c.relname), a.attname)) || ')' end),
            not (a.attnotnull or t.typnotnull), col_description(c.oid, a.attnum),
            (select json_agg(e.enumlabel order by e.enumsortorder) from pg_enum e
              where e.enumtypid = coalesce(nullif(t.typbasetype, 0), t.oid)),
            case when a.atttypid in ('bpchar'::regtype, 'varchar'::regtype) and a.atttypmod > 4 then a.atttypmod - 4 end,
            a.attnum) order by a.attnum)
        from pg_attribute a join pg_type t on t.oid = a.atttypid left join pg_type b on b.oid = t.typbasetype
        left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum and a.attgenerated = ''
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '[]'),
      'key', coalesce((select to_json(p.conkey) from pg_constraint p where p.conrelid = c.oid and p.contype = 'p'), '[]'),
      'rule', (select r.ev_action::text from pg_rewrite r where r.ev_class = c.oid and r.rulename = '_RETURN')))
    from pg_class c join own n on n.oid = c.relnamespace
    where c.relkind in ('r', 'v', 'm', 'f', 'p') and not c.relispartition), '[]'),
  'keys', coalesce((
    select json_agg(json_build_object(
      'name', k.conname, 'table', k.conrelid::bigint, 'to', k.confrelid::bigint, 'columns', k.conkey, 'to_columns', k.confkey,
      'unique', exists (select from pg_constraint u where u.conrelid = k.conrelid and u.contype in ('p', 'u')
        and u.conkey <@ k.conkey and k.conkey <@ u.conkey)))
    from pg_constraint k join pg_class c on c.oid = k.conrelid join own n on n.oid = c.relnamespace
    where k.contype = 'f' and k.conparentid = 0), '[]'),
  'functions', coalesce((
    select json_agg(json_build_object(
      'schema', n.nspname, 'name', p.proname, 'volatile', p.provolatile = 'v', 'set', p.proretset,
      'one', not p.proretset or p.prorows = 1,
      'returns', format_type(p.prorettype, -1), 'variadic', p.provariadic <> 0, 'about', obj_description(p.oid, 'pg_proc'),
      'relation', case when rc.relkind is not null then json_build_array(rn.nspname, rc.relname) end,
      'columns', (select json_agg(json_build_array(p.proargnames[i],
          format_type(coalesce(nullif(o.typbasetype, 0), o.oid), -1)) order by i)
        from generate_subscripts(p.proallargtypes, 1) i join pg_type o on o.oid = p.proallargtypes[i]
        where p.proargmodes[i] in ('o', 'b', 't')),
      'fields', (select json_agg(json_build_array(a.attname, format_type(coalesce(nullif(o.typbasetype, 0), o.oid), -1))
          order by a.attnum)
        from pg_attribute a join pg_type o on o.oid = a.atttypid where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped and t.typtype = 'c'),
      'arguments', coalesce((
        select json_agg(json_build_array(coalesce(p.proargnames[i], ''), format_type(ty, -1),
          i <= p.pronargs - p.pronargdefaults, json_build_array(an.nspname, ac.relname)) order by i)
        from unnest(p.proargtypes) with ordinality q(ty, i)
        left join pg_class ac on ac.reltype = ty left join pg_namespace an on an.oid = ac.relnamespace), '[]')))
    from pg_proc p join exposed n on n.oid = p.pronamespace join pg_type pt on pt.oid = p.prorettype
    join pg_type t on t.oid = coalesce(nullif(pt.typbasetype, 0), pt.oid)
    left join pg_class rc on rc.oid = t.typrelid and rc.relkind <> 'c' left join pg_namespace rn on rn.oid = rc.relnamespace
    where p.prokind = 'f' and t.typname not in ('trigger', 'event_trigger')), '[]'),
  'schemas', (select json_object_agg(nspname, obj_description(oid, 'pg_namespace')) from exposed)
)::text
