-- A second platform: teams share their todos. Nothing here is like the reference platform.
create schema app;

create table public.teams (
  id uuid primary key default gen_random_uuid(),
  name text not null check (char_length(name) between 1 and 80),
  created_by uuid not null default auth.uid() references auth.users (id) on delete cascade
);
create table public.memberships (
  team_id uuid not null references public.teams (id) on delete cascade,
  user_id uuid not null references auth.users (id) on delete cascade,
  primary key (team_id, user_id)
);
create table public.todos (
  id bigint generated always as identity primary key,
  team_id uuid not null references public.teams (id) on delete cascade,
  title text not null,
  done boolean not null default false
);
create table public.settings (key text primary key, value text);
create view public.open_todos with (security_invoker = true) as
  select id, team_id, title from public.todos where not done;

-- Asked by policies, so that a policy of teams does not ask one of memberships that asks one of teams.
create function app.leads(team uuid) returns boolean language sql stable security definer set search_path = '' as $$
  select exists (select 1 from public.teams t where t.id = team and t.created_by = auth.uid())
$$;
create function app.belongs(team uuid) returns boolean language sql stable security definer set search_path = '' as $$
  select app.leads(team)
    or exists (select 1 from public.memberships m where m.team_id = team and m.user_id = auth.uid())
$$;
create function public.my_teams() returns setof public.teams language sql stable set search_path = '' as $$
  select * from public.teams
$$;
create function public.close_all(p_team uuid) returns void language sql set search_path = '' as $$
  update public.todos set done = true where team_id = p_team
$$;

alter table public.teams enable row level security;
alter table public.memberships enable row level security;
alter table public.todos enable row level security;
alter table public.settings enable row level security;

revoke all on all tables in schema public from anon, authenticated, public;
revoke execute on all functions in schema public from anon, authenticated, public;
grant usage on schema public, app to anon, authenticated, service_role;
grant execute on all functions in schema app to authenticated, service_role;
grant select, insert, update, delete on public.teams, public.todos to authenticated;
grant select, insert, delete on public.memberships to authenticated;
grant select on public.open_todos to authenticated;
grant execute on function public.my_teams() to authenticated, service_role;
grant execute on function public.close_all(uuid) to service_role;
grant select, insert, update, delete on all tables in schema public to service_role;

create policy teams_read on public.teams for select to authenticated
  using (created_by = (select auth.uid()) or app.belongs(id));
create policy teams_add on public.teams for insert to authenticated with check (created_by = (select auth.uid()));
create policy teams_change on public.teams for update to authenticated
  using (created_by = (select auth.uid())) with check (created_by = (select auth.uid()));
create policy teams_remove on public.teams for delete to authenticated using (created_by = (select auth.uid()));

create policy members_read on public.memberships for select to authenticated
  using (user_id = (select auth.uid()) or app.leads(team_id));
create policy members_add on public.memberships for insert to authenticated with check (app.leads(team_id));
create policy members_remove on public.memberships for delete to authenticated using (app.leads(team_id));

create policy todos_all on public.todos for all to authenticated
  using (app.belongs(team_id)) with check (app.belongs(team_id));

insert into storage.buckets (id, name, public, file_size_limit) values ('docs', 'docs', false, 1048576);
create policy docs_read on storage.objects for select to authenticated
  using (bucket_id = 'docs' and split_part(name, '/', 1) = (select auth.uid())::text);
create policy docs_add on storage.objects for insert to authenticated
  with check (bucket_id = 'docs' and split_part(name, '/', 1) = (select auth.uid())::text);
