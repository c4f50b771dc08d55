-- Signatures: github.com/pramsey/pgsql-http. Every request is recorded; the answer says that nothing was sent.
create type @extschema@.http_header as (field varchar, value varchar);
create type @extschema@.http_response as (status int, content_type varchar, headers @extschema@.http_header[], content varchar);
create type @extschema@.http_request as (
  method varchar, uri varchar, headers @extschema@.http_header[], content_type varchar, content varchar);
create table @extschema@.http_requests (
  id bigserial primary key, method text, uri text, headers jsonb, content_type text, content text, at timestamptz default now());
grant select, delete on @extschema@.http_requests to postgres with grant option;

create function @extschema@.http(request @extschema@.http_request) returns @extschema@.http_response
  language sql security definer as $$
  insert into @extschema@.http_requests (method, uri, headers, content_type, content)
  values (upper((request).method), (request).uri, to_jsonb((request).headers), (request).content_type, (request).content);
  select 503, 'text/plain', null::@extschema@.http_header[], 'recorded, not sent: this is a stand-in' $$;
create function @extschema@.http_header(field varchar, value varchar) returns @extschema@.http_header language sql immutable as
  $$ select field, value $$;
create function @extschema@.http_get(uri varchar) returns @extschema@.http_response language sql as
  $$ select @extschema@.http(('GET', uri, null, null, null)::@extschema@.http_request) $$;
create function @extschema@.http_head(uri varchar) returns @extschema@.http_response language sql as
  $$ select @extschema@.http(('HEAD', uri, null, null, null)::@extschema@.http_request) $$;
create function @extschema@.http_delete(uri varchar) returns @extschema@.http_response language sql as
  $$ select @extschema@.http(('DELETE', uri, null, null, null)::@extschema@.http_request) $$;
create function @extschema@.http_post(uri varchar, content varchar, content_type varchar) returns @extschema@.http_response
  language sql as $$ select @extschema@.http(('POST', uri, null, content_type, content)::@extschema@.http_request) $$;
create function @extschema@.http_put(uri varchar, content varchar, content_type varchar) returns @extschema@.http_response
  language sql as $$ select @extschema@.http(('PUT', uri, null, content_type, content)::@extschema@.http_request) $$;
create function @extschema@.http_patch(uri varchar, content varchar, content_type varchar) returns @extschema@.http_response
  language sql as $$ select @extschema@.http(('PATCH', uri, null, content_type, content)::@extschema@.http_request) $$;
create function @extschema@.urlencode(data jsonb) returns text language sql immutable as
  $$ select string_agg(@extschema@.urlencode(p.key) || '=' || @extschema@.urlencode(p.value), '&') from jsonb_each_text(data) p $$;
create function @extschema@.urlencode(string varchar) returns text language sql immutable as $$
  select string_agg(case when c ~ '[A-Za-z0-9_.~-]' then c else
    upper(regexp_replace(encode(convert_to(c, 'utf8'), 'hex'), '(..)', '%\1', 'g')) end, '')
  from regexp_split_to_table(string, '') c $$;
create function @extschema@.http_get(uri varchar, data jsonb) returns @extschema@.http_response language sql as
  $$ select @extschema@.http_get(uri || '?' || @extschema@.urlencode(data)) $$;
create function @extschema@.http_post(uri varchar, data jsonb) returns @extschema@.http_response language sql as
  $$ select @extschema@.http_post(uri, @extschema@.urlencode(data), 'application/x-www-form-urlencoded') $$;
create function @extschema@.http_set_curlopt(curlopt varchar, value varchar) returns boolean language sql as $$ select true $$;
create function @extschema@.http_reset_curlopt() returns boolean language sql as $$ select true $$;
