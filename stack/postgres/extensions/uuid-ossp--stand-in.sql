-- Signatures: PostgreSQL documentation, "uuid-ossp". All but v1's clock and node, which are random, is as there (RFC 9562).
create function uuid_nil() returns uuid language sql immutable as $$ select '00000000-0000-0000-0000-000000000000'::uuid $$;
create function uuid_ns_dns() returns uuid language sql immutable as $$ select '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid $$;
create function uuid_ns_url() returns uuid language sql immutable as $$ select '6ba7b811-9dad-11d1-80b4-00c04fd430c8'::uuid $$;
create function uuid_ns_oid() returns uuid language sql immutable as $$ select '6ba7b812-9dad-11d1-80b4-00c04fd430c8'::uuid $$;
create function uuid_ns_x500() returns uuid language sql immutable as $$ select '6ba7b814-9dad-11d1-80b4-00c04fd430c8'::uuid $$;
create function uuid_generate_v4() returns uuid language sql volatile as $$ select gen_random_uuid() $$;
create function uuid_generate_v1() returns uuid language sql volatile as
  $$ select overlay(gen_random_uuid()::text placing '1' from 15 for 1)::uuid $$;
create function uuid_generate_v1mc() returns uuid language sql volatile as $$ select overlay(gen_random_uuid()::text placing '1' from 15 for 1)::uuid $$;
create function uuid_generate_v3(namespace uuid, name text) returns uuid language sql immutable strict as $$
  select encode(set_byte(set_byte(h, 6, get_byte(h, 6) & 15 | 48), 8, get_byte(h, 8) & 63 | 128), 'hex')::uuid
  from decode(md5(uuid_send(namespace) || convert_to(name, 'utf8')), 'hex') h $$;
create function uuid_generate_v5(namespace uuid, name text) returns uuid language sql immutable strict as $$
  select encode(set_byte(set_byte(h, 6, get_byte(h, 6) & 15 | 80), 8, get_byte(h, 8) & 63 | 128), 'hex')::uuid
  from substring(extensions.digest(uuid_send(namespace) || convert_to(name, 'utf8'), 'sha1') for 16) h $$;
