-- Versions and times, the profile of a new user, and the audit log: all by triggers, so that no path can forget them.

create function public.touch() returns trigger language plpgsql set search_path = '' as $$
begin
  new.updated_at := clock_timestamp();
  if tg_argv[0] = 'version' then new.version := old.version + 1; end if;
  return new;
end $$;
create trigger touch before update on public.profiles for each row execute function public.touch('version');
create trigger touch before update on public.posts for each row execute function public.touch('version');
create trigger touch before update on public.files for each row execute function public.touch('time');
create trigger touch before update on public.consents for each row execute function public.touch('time');

-- The wished username is taken when it is well formed and free; a registration never fails for want of one.
create function public.make_profile() returns trigger language plpgsql security definer set search_path = '' as $$
declare wished text := lower(new.raw_user_meta_data ->> 'username');
begin
  if wished is null or wished !~ '^[a-z0-9_]{3,32}$' then
    wished := 'user_' || left(replace(new.id::text, '-', ''), 12);
  end if;
  insert into public.profiles (id, username, display_name)
    values (new.id, wished, left(coalesce(new.raw_user_meta_data ->> 'display_name', ''), 80))
    on conflict (username) do nothing;
  if not found then
    insert into public.profiles (id, username) values (new.id, 'user_' || left(replace(new.id::text, '-', ''), 12));
  end if;
  return new;
end $$;
create trigger make_profile after insert on auth.users for each row execute function public.make_profile();

-- The actor is the signed-in user, else the one the Worker names for this transaction (app.actor).
create function public.audit() returns trigger language plpgsql security definer set search_path = '' as $$
declare
  was jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) end;
  is_ jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) end;
  it jsonb := coalesce(is_, was);
  owner uuid := coalesce(it ->> 'owner_id', it ->> 'author_id', it ->> 'user_id')::uuid;
begin
  if tg_table_name = 'profiles' then
    owner := (it ->> 'id')::uuid;
  elsif tg_table_name = 'file_versions' then
    owner := split_part(it ->> 'object_key', '/', 1)::uuid;  -- the file's row may be gone already, in a cascade
  end if;
  if tg_op = 'DELETE' and tg_table_name <> 'profiles' and not exists (select 1 from public.profiles where id = owner) then
    -- The person is being erased (the cascade's rows come after blank_audit): what happened is kept, not whose it was.
    insert into public.audit_log (action, entity, entity_id) values ('delete', tg_table_name, 'erased');
    return null;
  end if;
  insert into public.audit_log (actor, action, entity, entity_id, subject, before, after) values (
    coalesce(auth.uid(), nullif(current_setting('app.actor', true), '')::uuid,
             case when tg_table_name = 'profiles' and tg_op = 'INSERT' then owner end),
    lower(tg_op), tg_table_name, coalesce(it ->> 'id', it ->> 'user_id'), owner, was, is_);
  return null;
end $$;
create trigger audit after insert or update or delete on public.profiles for each row execute function public.audit();
create trigger audit after insert or update or delete on public.posts for each row execute function public.audit();
create trigger audit after insert or update or delete on public.files for each row execute function public.audit();
create trigger audit after insert or update or delete on public.file_versions for each row execute function public.audit();
create trigger audit after insert or update or delete on public.consents for each row execute function public.audit();

-- Nobody edits the log. The one change is the blanking of personal values when a person is erased (blank_audit).
create function public.refuse_audit_change() returns trigger language plpgsql set search_path = '' as $$
begin
  if tg_op = 'UPDATE' and current_setting('app.blanking', true) = 'on'
     and new.before is null and new.after is null and new.actor is null and new.subject is null
     and (new.id, new.at, new.action, new.entity) = (old.id, old.at, old.action, old.entity) then
    return new;
  end if;
  raise exception 'the audit log is never changed' using errcode = '42501';
end $$;
create trigger no_change before update or delete on public.audit_log
  for each row execute function public.refuse_audit_change();
create trigger no_truncate before truncate on public.audit_log
  for each statement execute function public.refuse_audit_change();

create function public.blank_audit() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  perform set_config('app.blanking', 'on', true);
  update public.audit_log
    set actor = null, subject = null, before = null, after = null, entity_id = 'erased'
    where subject = old.id or actor = old.id;
  perform set_config('app.blanking', 'off', true);
  return null;
end $$;
-- Fires after "audit" (triggers run in the order of their names).
create trigger zz_blank_audit after delete on public.profiles for each row execute function public.blank_audit();

revoke execute on function public.touch(), public.make_profile(), public.audit(), public.refuse_audit_change(),
  public.blank_audit() from public, anon, authenticated;
