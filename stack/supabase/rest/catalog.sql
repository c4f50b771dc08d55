-- The exposed schemas ($1) as one JSON document. Types are printed with typmod -1: `bpchar` and not `character`, which would cut
-- a filter's value to one letter. A domain counts as its base type, so that comparing a value with it is not refused by the
-- domain's own check.
with exposed as (select oid, nspname from pg_namespace where nspname = any($1))
select json_build_object(
  'relations', coalesce((
    select json_agg(json_build_object(
      'schema', n.nspname, 'name', c.relname,
      'columns', (
        select json_agg(json_build_array(a.attname,
            format_type(coalesce(nullif(t.typbasetype, 0), t.oid), -1),
            format_type(a.atttypid, a.atttypmod),
            coalesce(pg_get_expr(d.adbin, d.adrelid), case when a.attidentity = 'd' then 'nextval(' || quote_literal(
              pg_get_serial_sequence(quote_ident(n.nspname) || '.' || quote_ident(c.relname), a.attname)) || ')' end))
          order by a.attnum)
        from pg_attribute a join pg_type t on t.oid = a.atttypid
        left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum and a.attgenerated = ''
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
      'key', coalesce((
        select json_agg(a.attname order by o) from pg_constraint p, unnest(p.conkey) with ordinality k(num, o)
        join pg_attribute a on a.attnum = k.num and a.attrelid = c.oid
        where p.conrelid = c.oid and p.contype = 'p' and a.attrelid = p.conrelid), '[]')))
    from pg_class c join exposed n on n.oid = c.relnamespace where c.relkind in ('r', 'v', 'm', 'f', 'p')), '[]'),
  'keys', coalesce((
    select json_agg(json_build_object(
      'name', con.conname, 'schema', n1.nspname, 'table', c1.relname, 'to_schema', n2.nspname, 'to_table', c2.relname,
      'columns', (select json_agg(a.attname order by o) from unnest(con.conkey) with ordinality u(k, o)
        join pg_attribute a on a.attrelid = con.conrelid and a.attnum = k),
      'to_columns', (select json_agg(a.attname order by o) from unnest(con.confkey) with ordinality u(k, o)
        join pg_attribute a on a.attrelid = con.confrelid and a.attnum = k),
      'unique', exists (select from pg_index i where i.indrelid = con.conrelid and i.indisunique and i.indpred is null
        and i.indkey::int2[] <@ con.conkey)))
    from pg_constraint con
    join pg_class c1 on c1.oid = con.conrelid join exposed n1 on n1.oid = c1.relnamespace
    join pg_class c2 on c2.oid = con.confrelid join exposed n2 on n2.oid = c2.relnamespace
    where con.contype = 'f' and con.conparentid = 0), '[]'),
  'functions', coalesce((
    select json_agg(json_build_object(
      'schema', n.nspname, 'name', p.proname, 'volatile', p.provolatile = 'v', 'set', p.proretset,
      'returns', format_type(p.prorettype, -1),
      'relation', case when rc.relkind is not null then json_build_array(rn.nspname, rc.relname) end,
      'columns', (select json_agg(json_build_array(p.proargnames[i], format_type(p.proallargtypes[i], -1)) order by i)
        from generate_subscripts(p.proallargtypes, 1) i where p.proargmodes[i] in ('o', 'b', 't')),
      'fields', (select json_agg(json_build_array(a.attname, format_type(a.atttypid, -1)) order by a.attnum)
        from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped and t.typtype = 'c'),
      'arguments', coalesce((
        select json_agg(json_build_array(p.proargnames[i], format_type(ty, -1),
          i <= p.pronargs - p.pronargdefaults) order by i)
        from unnest(p.proargtypes) with ordinality q(ty, i)), '[]')))
    from pg_proc p join exposed n on n.oid = p.pronamespace join pg_type t on t.oid = p.prorettype
    left join pg_class rc on rc.oid = t.typrelid and rc.relkind <> 'c' left join pg_namespace rn on rn.oid = rc.relnamespace
    where p.prokind = 'f' and t.typname not in ('trigger', 'event_trigger') and p.provariadic = 0
      and (p.pronargs = 0 or p.proargnames[1] <> '')), '[]')
)::text
