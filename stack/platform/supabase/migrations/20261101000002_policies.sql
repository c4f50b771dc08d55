-- Row-level security and grants, all explicit: hosted projects made after 2026-10-30 grant nothing by default, older
-- ones grant everything, so both start from nothing here.
alter table public.profiles enable row level security;
alter table public.posts enable row level security;
alter table public.files enable row level security;
alter table public.file_versions enable row level security;
alter table public.uploads enable row level security;
alter table public.object_trash enable row level security;
alter table public.audit_log enable row level security;
alter table public.consents enable row level security;

revoke all on public.profiles, public.posts, public.files, public.file_versions, public.uploads,
  public.object_trash, public.audit_log, public.consents from anon, authenticated, service_role, public;
grant usage on schema public to anon, authenticated, service_role;

grant select on public.profiles, public.posts, public.files, public.file_versions, public.uploads, public.audit_log,
  public.consents to authenticated;
grant select on public.posts to anon;
grant update (username, display_name, bio, avatar_url) on public.profiles to authenticated;
grant insert (id, author_id, title, body, status, tags), update (title, body, status, tags), delete
  on public.posts to authenticated;
grant insert (user_id, analytics), update (user_id, analytics) on public.consents to authenticated;

grant select, insert, update, delete on public.profiles, public.posts, public.files, public.file_versions,
  public.uploads, public.object_trash, public.consents to service_role;
grant select on public.audit_log to service_role;

create policy "signed-in users read profiles" on public.profiles for select to authenticated using (true);
create policy "own profile is changed" on public.profiles for update to authenticated
  using (id = (select auth.uid())) with check (id = (select auth.uid()));

create policy "published posts are read by anyone, own ones too" on public.posts for select to anon, authenticated
  using (status = 'published' or author_id = (select auth.uid()));
create policy "own posts are written" on public.posts for insert to authenticated
  with check (author_id = (select auth.uid()));
create policy "own posts are changed" on public.posts for update to authenticated
  using (author_id = (select auth.uid())) with check (author_id = (select auth.uid()));
create policy "own posts are deleted" on public.posts for delete to authenticated
  using (author_id = (select auth.uid()));

create policy "own files are read" on public.files for select to authenticated using (owner_id = (select auth.uid()));
create policy "own versions are read" on public.file_versions for select to authenticated
  using (exists (select 1 from public.files f where f.id = file_id and f.owner_id = (select auth.uid())));
create policy "own uploads are read" on public.uploads for select to authenticated
  using (owner_id = (select auth.uid()));
create policy "own audit entries are read" on public.audit_log for select to authenticated
  using (actor = (select auth.uid()));

create policy "own consent is read" on public.consents for select to authenticated using (user_id = (select auth.uid()));
create policy "own consent is given" on public.consents for insert to authenticated
  with check (user_id = (select auth.uid()));
create policy "own consent is changed" on public.consents for update to authenticated
  using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
