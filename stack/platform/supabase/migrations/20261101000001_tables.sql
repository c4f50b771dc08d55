-- Tables of the platform. Who may touch them stands in the next migration; nothing is granted here.
create extension if not exists pgcrypto with schema extensions;
create extension if not exists pg_trgm with schema extensions;

create table public.profiles (
  id uuid primary key references auth.users (id) on delete cascade,
  username text not null unique check (username ~ '^[a-z0-9_]{3,32}$'),
  display_name text not null default '' check (char_length(display_name) <= 80),
  bio text not null default '' check (char_length(bio) <= 500),
  avatar_url text check (char_length(avatar_url) <= 500),
  version int not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table public.posts (
  id uuid primary key default gen_random_uuid(),
  author_id uuid not null default auth.uid() references public.profiles (id) on delete cascade,
  title text not null check (char_length(title) between 1 and 200),
  body text not null default '' check (char_length(body) <= 100000),
  status text not null default 'draft' check (status in ('draft', 'published')),
  tags text[] not null default '{}' check (cardinality(tags) <= 20),
  version int not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index posts_author on public.posts (author_id, created_at desc);
-- Not a partial index: the Data API asks by `status = $1` in a prepared statement, whose plan may then be kept.
create index posts_published on public.posts (status, created_at desc, id);
create index posts_title_trgm on public.posts using gin (title extensions.gin_trgm_ops);

create table public.files (
  id uuid primary key default gen_random_uuid(),
  owner_id uuid not null references public.profiles (id) on delete cascade,
  name text not null check (char_length(name) between 1 and 255 and name !~ '[/\x01-\x1f]' and name not in ('.', '..')),
  folder text not null default '/' check (folder ~ '^(/|(/[^/]{1,100}){1,10})$' and char_length(folder) <= 500),
  size bigint not null check (size >= 0),
  mime text not null,
  sha256 text check (sha256 ~ '^[0-9a-f]{64}$'),
  store text not null check (store in ('supabase', 'r2')),
  object_key text,
  status text not null default 'pending' check (status in ('pending', 'ready')),
  version int not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (owner_id, folder, name),
  -- A file that is shown as ready always says where its bytes are and what they hash to.
  check (status = 'pending' or (sha256 is not null and object_key is not null and version >= 1))
);
create index files_name_trgm on public.files using gin (name extensions.gin_trgm_ops);

create table public.file_versions (
  id uuid primary key default gen_random_uuid(),
  file_id uuid not null references public.files (id) on delete cascade,
  version int not null check (version >= 1),
  size bigint not null check (size >= 0),
  mime text not null,
  sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
  store text not null check (store in ('supabase', 'r2')),
  object_key text not null,
  created_at timestamptz not null default now(),
  unique (file_id, version)
);
create index file_versions_object on public.file_versions (object_key);

-- An upload under way. The row stands before the first byte is stored, so a crash can always be cleaned up after.
create table public.uploads (
  id uuid primary key default gen_random_uuid(),
  owner_id uuid not null references public.profiles (id) on delete cascade,
  file_id uuid not null references public.files (id) on delete cascade,
  size bigint not null,
  mime text not null,
  store text not null check (store in ('supabase', 'r2')),
  object_key text not null unique,
  multipart_id text,
  part_size int,
  parts jsonb not null default '{}',
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index uploads_expiry on public.uploads (expires_at);
create index uploads_owner on public.uploads (owner_id);
create index uploads_file on public.uploads (file_id);

-- Objects whose row is gone: written in the same transaction as the row's end, emptied by the Worker's sweeper.
create table public.object_trash (
  id bigint generated always as identity primary key,
  store text not null,
  object_key text not null,
  multipart_id text,
  reason text not null,
  created_at timestamptz not null default now(),
  tries int not null default 0,
  last_error text,
  unique (store, object_key)
);

create table public.audit_log (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  actor uuid,
  action text not null check (action in ('insert', 'update', 'delete')),
  entity text not null,
  entity_id text not null,
  subject uuid,
  before jsonb,
  after jsonb
);
comment on column public.audit_log.subject is 'Whose data it is; personal values are blanked when that person is erased.';
create index audit_entity on public.audit_log (entity, entity_id, id);
create index audit_actor on public.audit_log (actor, id);
create index audit_subject on public.audit_log (subject, id);

create table public.consents (
  user_id uuid primary key default auth.uid() references public.profiles (id) on delete cascade,
  analytics boolean not null default false,
  updated_at timestamptz not null default now()
);
