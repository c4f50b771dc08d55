-- Functions of the Data API. The file functions are the Worker's (service role); each is one transaction, so that a batch
-- is done wholly or not at all. They raise P0001 with a code for a message ('file_not_found') and JSON for detail.

create function public.health() returns json language sql stable set search_path = ''
  as $$ select json_build_object('now', now()) $$;

create function public.save_consent(analytics boolean) returns public.consents language sql set search_path = '' as $$
  insert into public.consents (user_id, analytics) values (auth.uid(), save_consent.analytics)
  on conflict (user_id) do update set analytics = excluded.analytics returning *
$$;

create function public.publish_posts(ids uuid[]) returns int language plpgsql set search_path = '' as $$
declare wanted int := (select count(distinct i) from unnest(ids) i); changed int;
begin
  update public.posts set status = 'published' where id = any (ids) and author_id = auth.uid();
  get diagnostics changed = row_count;
  if changed <> wanted then
    raise exception 'post_not_found' using detail = json_build_object('wanted', wanted, 'found', changed)::text;
  end if;
  return changed;
end $$;

-- Starts an upload: the file's row (pending if the name is new) and the upload's row.
create function public.upload_begin(p_owner uuid, p_name text, p_folder text, p_size bigint, p_mime text, p_store text,
    p_ttl int, p_quota bigint, p_part_size int default null) returns public.uploads
  language plpgsql set search_path = '' as $$
declare used bigint; f public.files; u public.uploads; key uuid := gen_random_uuid();
begin
  perform set_config('app.actor', p_owner::text, true);
  perform pg_advisory_xact_lock(hashtextextended(p_owner::text, 7));
  select coalesce((select sum(v.size) from public.file_versions v join public.files x on x.id = v.file_id
                   where x.owner_id = p_owner), 0)
       + coalesce((select sum(size) from public.uploads where owner_id = p_owner), 0) into used;
  if used + p_size > p_quota then
    raise exception 'quota_exceeded' using detail = json_build_object('used', used, 'quota', p_quota)::text;
  end if;
  insert into public.files (owner_id, name, folder, size, mime, store) values (p_owner, p_name, p_folder, p_size, p_mime, p_store)
    on conflict (owner_id, folder, name) do nothing returning * into f;
  if f.id is null then
    select * into f from public.files where owner_id = p_owner and folder = p_folder and name = p_name;
  end if;
  insert into public.uploads (id, owner_id, file_id, size, mime, store, object_key, part_size, expires_at)
    values (key, p_owner, f.id, p_size, p_mime, p_store, p_owner || '/' || f.id || '/' || key, p_part_size,
            now() + make_interval(secs => p_ttl)) returning * into u;
  return u;
end $$;

-- Notes a sign of life: the multipart id, or one part stored.
create function public.upload_touch(p_upload uuid, p_owner uuid, p_ttl int, p_multipart_id text default null,
    p_part int default null, p_etag text default null, p_part_bytes bigint default null) returns public.uploads
  language plpgsql set search_path = '' as $$
declare u public.uploads;
begin
  update public.uploads set expires_at = now() + make_interval(secs => p_ttl),
      multipart_id = coalesce(p_multipart_id, multipart_id),
      parts = case when p_part is null then parts
              else parts || jsonb_build_object(p_part::text, jsonb_build_object('etag', p_etag, 'size', p_part_bytes)) end
    where id = p_upload and owner_id = p_owner and expires_at > now() returning * into u;
  if u.id is null then raise exception 'upload_not_found'; end if;
  return u;
end $$;

create function public.upload_commit(p_upload uuid, p_owner uuid, p_size bigint, p_sha256 text) returns public.files
  language plpgsql set search_path = '' as $$
declare u public.uploads; f public.files;
begin
  perform set_config('app.actor', p_owner::text, true);
  select * into u from public.uploads where id = p_upload and owner_id = p_owner for update;
  if u.id is null then raise exception 'upload_not_found'; end if;
  select * into f from public.files where id = u.file_id for update;
  insert into public.file_versions (file_id, version, size, mime, sha256, store, object_key)
    values (f.id, f.version + 1, p_size, u.mime, p_sha256, u.store, u.object_key);
  update public.files set version = f.version + 1, size = p_size, mime = u.mime, sha256 = p_sha256, store = u.store,
      object_key = u.object_key, status = 'ready' where id = f.id returning * into f;
  perform set_config('app.kept', u.object_key, true);
  delete from public.uploads where id = u.id;
  return f;
end $$;

-- The file that a finished upload became, for who asks again because the answer was lost: its version's object still has
-- the upload's id in its key.
create function public.upload_done(p_upload uuid, p_owner uuid) returns setof public.files language sql stable set search_path = ''
  as $$ select f.* from public.files f where f.owner_id = p_owner and exists (select 1 from public.file_versions v
          where v.file_id = f.id and v.object_key = p_owner || '/' || f.id || '/' || p_upload) $$;

-- Ends an upload without a file; its object goes to the trash (by the trigger below).
create function public.upload_drop(p_upload uuid, p_owner uuid) returns boolean language plpgsql set search_path = '' as $$
begin
  perform set_config('app.actor', p_owner::text, true);
  delete from public.uploads where id = p_upload and owner_id = p_owner;
  return found;
end $$;

create function public.uploads_expire() returns int language plpgsql set search_path = '' as $$
declare n int;
begin
  delete from public.uploads where expires_at < now();
  get diagnostics n = row_count;
  return n;
end $$;

create function public.trash_upload() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  if current_setting('app.kept', true) is distinct from old.object_key then
    insert into public.object_trash (store, object_key, multipart_id, reason)
      values (old.store, old.object_key, old.multipart_id, 'upload') on conflict do nothing;
    delete from public.files f where f.id = old.file_id and f.status = 'pending'
      and not exists (select 1 from public.uploads u where u.file_id = f.id);
  end if;
  return null;
end $$;
create trigger trash after delete on public.uploads for each row execute function public.trash_upload();

-- A restored version shares its object with the old one: the object goes with the last row that names it.
create function public.trash_version() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  if not exists (select 1 from public.file_versions v where v.object_key = old.object_key) then
    insert into public.object_trash (store, object_key, reason) values (old.store, old.object_key, 'version')
      on conflict do nothing;
  end if;
  return null;
end $$;
create trigger trash after delete on public.file_versions for each row execute function public.trash_version();

-- Deletes, moves, renames and restores, all or nothing. p_ops: [{op, id, folder?, name?, version?, if_version?}].
create function public.files_batch(p_owner uuid, p_ops jsonb) returns jsonb language plpgsql set search_path = '' as $$
declare o jsonb; i int := 0; f public.files; v public.file_versions; results jsonb := '[]';
begin
  perform set_config('app.actor', p_owner::text, true);
  for o in select * from jsonb_array_elements(p_ops) loop
    select * into f from public.files where id = (o ->> 'id')::uuid and owner_id = p_owner and status = 'ready' for update;
    if f.id is null then
      raise exception 'file_not_found' using detail = json_build_object('index', i, 'id', o ->> 'id')::text;
    end if;
    if (o ? 'if_version') and f.version <> (o ->> 'if_version')::int then
      raise exception 'conflict' using detail = json_build_object('index', i, 'version', f.version)::text;
    end if;
    begin
      if o ->> 'op' = 'delete' then
        delete from public.files where id = f.id;
      elsif o ->> 'op' in ('move', 'rename') then
        update public.files set folder = coalesce(o ->> 'folder', folder), name = coalesce(o ->> 'name', name)
          where id = f.id returning * into f;
      elsif o ->> 'op' = 'restore' then
        select * into v from public.file_versions where file_id = f.id and version = (o ->> 'version')::int;
        if v.id is null then raise exception 'file_not_found' using detail = json_build_object('index', i)::text; end if;
        insert into public.file_versions (file_id, version, size, mime, sha256, store, object_key)
          values (f.id, f.version + 1, v.size, v.mime, v.sha256, v.store, v.object_key);
        update public.files set version = f.version + 1, size = v.size, mime = v.mime, sha256 = v.sha256, store = v.store,
          object_key = v.object_key where id = f.id returning * into f;
      else
        raise exception 'bad_request' using detail = json_build_object('index', i, 'op', o ->> 'op')::text;
      end if;
    exception
      when unique_violation then
        raise exception 'conflict' using detail = json_build_object('index', i, 'name', 'taken')::text;
      when check_violation then
        raise exception 'bad_request' using detail = json_build_object('index', i, 'constraint', 'name or folder')::text;
    end;
    results := results || jsonb_build_object('id', f.id, 'op', o ->> 'op', 'ok', true,
                                             'file', case when o ->> 'op' <> 'delete' then to_jsonb(f) end);
    i := i + 1;
  end loop;
  return results;
end $$;

create function public.privacy_export(p_user uuid) returns jsonb language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'profile', (select to_jsonb(p) from public.profiles p where p.id = p_user),
    'posts', coalesce((select jsonb_agg(to_jsonb(p) order by p.created_at) from public.posts p where p.author_id = p_user), '[]'),
    'files', coalesce((select jsonb_agg(to_jsonb(f) || jsonb_build_object('versions',
        (select jsonb_agg(to_jsonb(v) order by v.version) from public.file_versions v where v.file_id = f.id)) order by f.created_at)
      from public.files f where f.owner_id = p_user), '[]'),
    'uploads', coalesce((select jsonb_agg(to_jsonb(u)) from public.uploads u where u.owner_id = p_user), '[]'),
    'consents', (select to_jsonb(c) from public.consents c where c.user_id = p_user),
    'audit_log', coalesce((select jsonb_agg(to_jsonb(a) order by a.id) from public.audit_log a
      where a.actor = p_user or a.subject = p_user), '[]'))
$$;

-- Ends everything of a person in the database; objects go to the trash, the audit log keeps what happened without whom.
create function public.privacy_erase(p_user uuid) returns int language plpgsql set search_path = '' as $$
declare n int;
begin
  delete from public.profiles where id = p_user;
  get diagnostics n = row_count;
  return n;
end $$;

revoke execute on all functions in schema public from public, anon, authenticated;
grant execute on function public.health() to anon, authenticated, service_role;
grant execute on function public.save_consent(boolean), public.publish_posts(uuid[]) to authenticated;
grant execute on function public.upload_begin(uuid, text, text, bigint, text, text, int, bigint, int),
  public.upload_touch(uuid, uuid, int, text, int, text, bigint), public.upload_commit(uuid, uuid, bigint, text),
  public.upload_done(uuid, uuid), public.upload_drop(uuid, uuid), public.uploads_expire(), public.files_batch(uuid, jsonb),
  public.privacy_export(uuid), public.privacy_erase(uuid) to service_role;
