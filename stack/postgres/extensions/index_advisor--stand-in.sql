-- Signature: github.com/supabase/index_advisor. The cost is PostgreSQL's own; advice would need hypopg.
create function @extschema@.index_advisor(query text) returns table (
  startup_cost_before jsonb, startup_cost_after jsonb, total_cost_before jsonb, total_cost_after jsonb, index_statements text[],
  errors text[]) language plpgsql as $$
declare plan jsonb;
begin
  execute 'explain (format json) ' || query into plan;
  plan := plan -> 0 -> 'Plan';
  return query select plan -> 'Startup Cost', plan -> 'Startup Cost', plan -> 'Total Cost', plan -> 'Total Cost', '{}'::text[],
    array['a stand-in advises nothing'];
end $$;
