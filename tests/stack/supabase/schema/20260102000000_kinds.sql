-- What PostgREST treats by rules of its own: a table that refers to itself, views, functions of every kind of result.

create table public.parts (
  id int primary key, name text, parent_id int constraint parts_parent references public.parts, data jsonb, tags jsonb);
insert into public.parts values
  (1, 'engine', null, '{"c": [{"d": [0, 1, 2]}], "n": {"a": 1}}', '["x", "y"]'), (2, 'piston', 1, '{}', '[]'),
  (3, 'valve', 1, '{}', '[]'), (4, 'ring', 2, '{}', '[]');
create view public.parts_view with (security_invoker = true) as select p.id as part, p.name, p.parent_id as above from public.parts p;
create table public.orders (id int primary key, part_id int references public.parts, spare_id int references public.parts);
insert into public.orders values (1, 1, 2);
grant all on public.parts, public.orders, public.parts_view to anon, authenticated, service_role;

create function public.below(top int) returns setof public.parts language sql stable as
  $$ select * from public.parts where parent_id = top order by id $$;
create function public.some_part(wanted int) returns public.parts language sql stable as
  $$ select * from public.parts where id = wanted $$;
create function public.rename_below(top int, word text) returns setof public.parts language sql as
  $$ update public.parts set name = word where parent_id = top returning * $$;
create function public.a_record() returns record language sql stable as $$ select 1 as id, 'one' as word $$;
create function public.records() returns setof record language sql stable as $$ select id, name from public.parts where id < 3 order by id $$;
create function public.next_number(num int, out num_plus_one int) language sql stable as $$ select num + 1 $$;
create function public.parts_up_to(id int) returns setof public.parts language sql stable as
  $$ select * from public.parts p where p.id <= parts_up_to.id order by p.id $$;
create function public.joined(variadic words text[]) returns text language sql immutable as $$ select array_to_string(words, '+') $$;
create function public.whole(json) returns json language sql immutable as $$ select $1 $$;
create function public.children(public.parts) returns setof public.parts language sql stable as
  $$ select * from public.parts where parent_id = $1.id order by id $$;
create function public.is_top(public.parts) returns boolean language sql stable as $$ select $1.parent_id is null $$;
create function public.cookie_setter() returns text language sql as
  $$ select set_config('response.status', '202', true); select set_config('response.headers', '[{"X-Own": "yes"}]', true); select 'ok' $$;
create function public.refuser() returns void language plpgsql as $$
begin raise sqlstate 'PGRST' using message = '{"code": "123", "message": "no"}', detail = '{"status": 402, "headers": {"X-Why": "so"}}'; end $$;
