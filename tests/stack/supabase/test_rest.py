"""The REST wire, by bare HTTP. What each test asserts is in PostgREST's documentation (references/api)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pytest

from tests.stack.supabase import engine
from tests.stack.supabase.conftest import Person

REST = "/rest/v1"


@pytest.fixture(scope="module")
def shelf(gateway: engine.Gateway) -> dict[str, Any]:
    """Ten published books of one author, with labels and covers."""
    author = str(uuid.uuid4())
    with psycopg.connect(gateway.postgres.dsn("supabase_admin"), autocommit=True) as db:
        db.execute("insert into auth.users (id, email, raw_user_meta_data) values (%s, %s, %s)",
                   (author, f"{author}@example.test", json.dumps({"name": "Jane"})))  # fmt: skip
        ids = [
            row[0]
            for row in db.execute(
                "insert into books (author_id, title, status, pages, price, tags, meta, mood, code, sold) "
                "select %s, 'Shelf ' || i || ' ' || %s, 'published', i * 10, i + 0.5, array['t' || i, 'all'], "
                "jsonb_build_object('n', i, 'deep', jsonb_build_object('k', 'v' || i, 'list', "
                "jsonb_build_array(i, i + 1))), "
                "case when i %% 2 = 0 then 'calm'::mood else 'bright' end, 'c' || i, int4range(i, i + 10) "
                "from generate_series(1, 10) i returning id", (author, author),
            ).fetchall()
        ]  # fmt: skip
        db.execute("insert into labels values (1, 'red'), (2, 'blue') on conflict do nothing")
        db.execute("insert into book_labels values (%s, 1), (%s, 2), (%s, 2)", (ids[0], ids[0], ids[1]))
        db.execute("insert into covers values (%s, 'green')", (ids[0],))
    return {"author": author, "ids": ids}


def get(raw: httpx.Client, path: str, **headers: str) -> httpx.Response:
    return raw.get(f"{REST}/{path}", headers={k.replace("_", "-"): v for k, v in headers.items()})


def pages(raw: httpx.Client, shelf: dict[str, Any], query: str) -> list[int]:
    response = get(raw, f"books?select=pages&author_id=eq.{shelf['author']}&order=pages&{query}")
    assert response.status_code in (200, 206), response.text
    return [row["pages"] // 10 for row in response.json()]


@pytest.mark.parametrize(("query", "wanted"), [
    ("pages=eq.30", [3]),
    ("pages=neq.30&pages=lt.50", [1, 2, 4]),
    ("pages=gte.90", [9, 10]),
    ("pages=in.(10,20,90)", [1, 2, 9]),
    ("pages=not.in.(10,20,30,40,50,60,70,80)", [9, 10]),
    ("title=like.Shelf 3*", [3]),
    ("title=ilike.*SHELF 4 *", [4]),
    ("title=match.Shelf [12] ", [1, 2]),
    ("title=imatch.shelf 2 ", [2]),
    ("title=like(any).{Shelf 1 *,Shelf 2 *}", [1, 2]),
    ("pages=eq(any).{10,100}", [1, 10]),
    ("editor_id=is.null&pages=lte.20", [1, 2]),
    ("editor_id=not.is.null", []),
    ("mood=eq.calm&pages=lt.50", [2, 4]),
    ("code=eq.c5", [5]),
    ("code=in.(c5,c6)", [5, 6]),
    ("tags=cs.{t3}", [3]),
    ("tags=cd.{t3,all}", [3]),
    ("tags=ov.{t3,t4}", [3, 4]),
    ("meta->>n=eq.7", [7]),
    ("meta->n=gt.8", [9, 10]),
    ("meta->deep->>k=eq.v2", [2]),
    ("meta->deep->list->0=eq.4", [4]),
    ("meta=cs.{\"n\": 6}", [6]),
    ("sold=cs.{x}", None),
    ("sold=cs.[9,11)&pages=lt.40", [1, 2, 3]),
    ("sold=sl.[100,200)&pages=eq.10", [1]),
    ("sold=adj.[11,12)", [1]),
    ("price=eq.3.5", [3]),
    ("pages=isdistinct.10&pages=lte.30", [2, 3]),
    ("or=(pages.eq.10,pages.eq.20)", [1, 2]),
    ("or=(pages.eq.10,and(pages.gt.20,pages.lt.40))", [1, 3]),
    ("not.or=(pages.gt.20,pages.lt.10)", [1, 2]),
    ("and=(pages.gt.20,not.or(pages.gt.50,pages.eq.30))", [4, 5]),
    ("or=(title.like.\"Shelf 1 *\",code.in.(\"c2\",c3))", [1, 2, 3]),
    ("or=(tags.cs.{t1,all},tags.ov.{t2})", [1, 2]),
    ("search=fts.shelf&pages=lte.20", [1, 2]),
    ("search=wfts(english).shelf -nothing&pages=eq.10", [1]),
    ("title=plfts.shelf&pages=eq.10", [1]),
    ("created_at=gt.2020-01-01&pages=eq.10", [1]),
    ("created_at=lt.2020-01-01T00:00:00Z", []),
    ("limit=2", [1, 2]),
    ("limit=2&offset=8", [9, 10]),
])  # fmt: skip
def test_filters(raw: httpx.Client, shelf: dict[str, Any], query: str, wanted: list[int] | None) -> None:
    if wanted is None:
        response = get(raw, f"books?{query}")
        assert (response.status_code, response.json()["code"]) == (400, "22P02")
    else:
        assert pages(raw, shelf, query) == wanted


def test_select_renames_casts_and_walks_json(raw: httpx.Client, shelf: dict[str, Any]) -> None:
    query = f"books?id=eq.{shelf['ids'][1]}&select=p:pages::text,meta->deep->>k,l:meta->deep->list->1,full_title,mood"
    assert get(raw, query).json() == [
        {"p": "20", "k": "v2", "l": 3, "full_title": f"Shelf 2 {shelf['author']}!", "mood": "calm"}
    ]


def test_embedding_in_every_direction(raw: httpx.Client, shelf: dict[str, Any]) -> None:
    book = f"books?id=eq.{shelf['ids'][0]}"
    one = get(
        raw, f"{book}&select=pages,who:author_id(name),labels(label),covers(colour)&labels.order=label.desc"
    ).json()
    assert one == [{"pages": 10, "who": {"name": "Jane"}, "labels": [{"label": "red"}, {"label": "blue"}],
                    "covers": {"colour": "green"}}]  # fmt: skip
    author = get(raw, f"authors?id=eq.{shelf['author']}&select=name,books!books_author_id_fkey(pages)"
                 "&books.order=pages.desc&books.limit=2&books.pages=lt.90").json()  # fmt: skip
    assert author == [{"name": "Jane", "books": [{"pages": 80}, {"pages": 70}]}]


def test_inner_embeds_filter_their_parent(raw: httpx.Client, shelf: dict[str, Any]) -> None:
    assert pages(raw, shelf, "select=pages,covers!inner(colour)") == [1]
    assert pages(raw, shelf, "select=pages,labels!inner()&labels.label=eq.blue") == [1, 2]


def test_an_ambiguous_or_unknown_embed_is_explained(raw: httpx.Client) -> None:
    several = get(raw, "books?select=authors(name)")
    assert (several.status_code, several.json()["code"]) == (300, "PGRST201")
    assert {d["relationship"].split()[0] for d in several.json()["details"]} == {
        "books_author_id_fkey",
        "books_editor_id_fkey",
    }
    none = get(raw, "books?select=secrets(word)")
    assert (none.status_code, none.json()["code"]) == (400, "PGRST200")
    stray = get(raw, "books?select=pages&covers.colour=eq.red")
    assert (stray.status_code, stray.json()["code"]) == (400, "PGRST108")


def test_counts_ranges_and_their_statuses(raw: httpx.Client, shelf: dict[str, Any]) -> None:
    query = f"books?select=id&author_id=eq.{shelf['author']}&order=id"
    part = get(raw, query, prefer="count=exact", range="2-4")
    assert (part.status_code, part.headers["content-range"], len(part.json())) == (206, "2-4/10", 3)
    whole = get(raw, query, prefer="count=exact")
    assert (whole.status_code, whole.headers["content-range"]) == (200, "0-9/10")
    assert get(raw, f"{query}&limit=3").headers["content-range"] == "0-2/*"
    beyond = get(raw, f"{query}&offset=50", prefer="count=exact")
    assert (beyond.status_code, beyond.json()["code"]) == (416, "PGRST103")
    for kind in ("planned", "estimated"):
        assert get(raw, query, prefer=f"count={kind}").headers["content-range"].startswith("0-9/")
    head = raw.head(f"{REST}/{query}", headers={"prefer": "count=exact"})
    assert (head.status_code, head.headers["content-range"], head.content) == (200, "0-9/10", b"")
    inner = get(raw, f"books?select=id,covers!inner()&author_id=eq.{shelf['author']}", prefer="count=exact")
    assert inner.headers["content-range"] == "0-0/1"


def test_single_object_and_csv(raw: httpx.Client, shelf: dict[str, Any]) -> None:
    single = "application/vnd.pgrst.object+json"
    one = get(raw, f"books?id=eq.{shelf['ids'][0]}&select=pages,editor_id", accept=single)
    assert (one.json(), one.headers["content-type"]) == (
        {"pages": 10, "editor_id": None},
        f"{single}; charset=utf-8",
    )
    many = get(raw, f"books?author_id=eq.{shelf['author']}", accept=single)
    assert (many.status_code, many.json()["code"], many.json()["details"]) == (
        406,
        "PGRST116",
        "The result contains 10 rows",
    )
    csv = get(
        raw, f"books?author_id=eq.{shelf['author']}&select=pages,code&order=pages&limit=2", accept="text/csv"
    )
    assert csv.text.split("\n") == ["pages,code", '10,"c1  "', '20,"c2  "']
    assert get(raw, "books", accept="image/png").json()["code"] == "PGRST107"


def test_writes_and_their_preferences(person: Callable[..., Person]) -> None:
    ada = person("ada")
    http, books = ada.http, f"{REST}/books"
    title = f"w {ada.id}"
    silent = http.post(books, json={"author_id": ada.id, "title": f"{title} 1"})
    assert (silent.status_code, silent.content) == (201, b"")
    many = http.post(
        f"{books}?columns=author_id,title,pages&select=title,pages",
        headers={"prefer": "return=representation,missing=default"},
        json=[{"author_id": ada.id, "title": f"{title} 3", "pages": 5, "ignored": 1},
              {"author_id": ada.id, "title": f"{title} 4"}],
    )  # fmt: skip
    assert many.json() == [{"title": f"{title} 3", "pages": 5}, {"title": f"{title} 4", "pages": 100}]
    assert many.headers["preference-applied"] == "missing=default, return=representation"
    uneven = http.post(books, json=[{"title": "a"}, {"pages": 1}])
    assert (uneven.status_code, uneven.json()["code"]) == (400, "PGRST102")
    changed = http.patch(
        f"{books}?title=like.{title}*&pages=eq.100", json={"pages": 7}, headers={"prefer": "count=exact"}
    )
    assert (changed.status_code, changed.headers["content-range"]) == (204, "0-1/2")
    gone = http.delete(
        f"{books}?author_id=eq.{ada.id}&pages=eq.5&select=title", headers={"prefer": "return=representation"}
    )
    assert (gone.status_code, gone.json()) == (200, [{"title": f"{title} 3"}])
    assert http.post(books, json={"author_id": ada.id, "colour": "red"}).json()["code"] == "PGRST204"
    assert (
        http.post(books, content=b"{bad", headers={"content-type": "application/json"}).json()["code"]
        == "PGRST102"
    )


def test_what_is_left_out_answers_501(raw: httpx.Client) -> None:
    books = f"{REST}/books"
    answers = [
        raw.post(books, json={}, headers={"prefer": "return=headers-only"}),
        raw.post(books, data={"title": "form"}),
        raw.post(books, content="title\nx", headers={"content-type": "text/csv"}),
        raw.post(f"{REST}/rpc/nothing", json=[1, 2]),
        raw.post(f"{REST}/rpc/add", data={"a": "1"}),
    ]
    assert [(a.status_code, a.json()["code"]) for a in answers] == [(501, "PGRST127")] * 5


def test_upserts_say_whether_they_created(person: Callable[..., Person]) -> None:
    ada = person("ada")
    books, merge = (
        f"{REST}/books?on_conflict=title",
        {"prefer": "resolution=merge-duplicates,return=representation"},
    )
    body = {"author_id": ada.id, "title": f"u {ada.id}", "pages": 1}
    assert ada.http.post(books, json=body, headers=merge).status_code == 201
    second = ada.http.post(books, json={**body, "pages": 2}, headers=merge)
    assert (second.status_code, second.json()[0]["pages"]) == (200, 2)
    ignored = ada.http.post(
        books,
        json={**body, "pages": 3},
        headers={"prefer": "resolution=ignore-duplicates,return=representation"},
    )
    assert (ignored.status_code, ignored.json()) == (201, [])
    clash = ada.http.post(f"{REST}/books", json=body)
    assert (clash.status_code, clash.json()["code"]) == (409, "23505")


def test_row_level_security_denies_silently_and_loudly(
    person: Callable[..., Person], raw: httpx.Client
) -> None:
    ada, eve = person("ada"), person("eve")
    book = {"author_id": ada.id, "title": f"p {ada.id}", "status": "draft"}
    made = ada.http.post(f"{REST}/books", json=book, headers={"prefer": "return=representation"}).json()[0]
    one = f"{REST}/books?id=eq.{made['id']}"
    assert eve.http.get(one).json() == []
    assert eve.http.patch(one, json={"pages": 1}).status_code == 204
    assert eve.http.delete(one).status_code == 204
    assert ada.http.get(one).json()[0]["pages"] == 100
    forged = eve.http.post(f"{REST}/books", json={**book, "title": "x"})
    assert (forged.status_code, forged.json()["code"]) == (403, "42501")
    assert raw.post(f"{REST}/books", json={**book, "title": "x"}).status_code == 401
    hidden = eve.http.get(f"{REST}/secrets")
    assert (hidden.status_code, hidden.json()["message"]) == (403, "permission denied for table secrets")


def test_functions(person: Callable[..., Person], raw: httpx.Client, shelf: dict[str, Any]) -> None:
    rpc = f"{REST}/rpc"
    assert raw.post(f"{rpc}/add", json={"a": 2, "b": 3}).json() == 5
    assert raw.post(f"{rpc}/add", json={"a": 2}).json() == 3
    assert raw.get(f"{rpc}/add?a=2&b=5").json() == 7
    assert raw.get(f"{rpc}/total?v={{1,2,3}}").json() == 6
    assert raw.post(f"{rpc}/total", json={"v": [4, 5]}).json() == 9
    assert raw.post(f"{rpc}/echo", json={"v": {"any": ["thing", None]}}).json() == {"any": ["thing", None]}
    assert raw.get(f"{rpc}/echo", params={"v": '{"a": [1]}'}).json() == {"a": [1]}
    assert raw.post(f"{rpc}/numbers", json={}).json() == [1, 2, 3]
    assert raw.post(f"{rpc}/pair?select=y&x=gt.1").json() == [{"y": "two"}]
    assert raw.post(f"{rpc}/nothing").status_code == 204
    published = raw.get(
        f"{rpc}/published?select=pages,author:author_id(name)&limit=1&author_id=eq.{shelf['author']}",
        headers={"prefer": "count=exact"},
    )
    assert published.json()[0]["author"] == {"name": "Jane"}
    assert published.status_code == 206
    unknown = raw.post(f"{rpc}/add", json={"c": 1})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "PGRST202")
    teapot = raw.post(f"{rpc}/teapot")
    assert (teapot.status_code, teapot.json()) == (
        418,
        {"code": "PT418", "message": "short and stout", "details": "d", "hint": "h"},
    )
    ada = person("ada")
    seen = ada.http.post(f"{rpc}/who").json()
    assert seen == {"role": "authenticated", "sub": ada.id, "jwt_role": "authenticated", "method": "POST"}
    assert raw.get(f"{rpc}/who").json()["role"] == "anon"


def test_a_long_statement_is_cut(gateway: engine.Gateway, raw: httpx.Client) -> None:
    with psycopg.connect(gateway.postgres.dsn("supabase_admin"), autocommit=True) as db:
        db.execute("alter role anon set statement_timeout = '250ms'")
        db.execute("notify pgrst")
        while (slow := raw.post(f"{REST}/rpc/nap", json={"seconds": 1})).status_code == 204:
            continue
        db.execute("alter role anon set statement_timeout = '3s'")
        db.execute("notify pgrst")
    assert (slow.status_code, slow.json()["code"]) == (500, "57014")


def test_schema_headers_and_unknown_relations(raw: httpx.Client) -> None:
    other = get(raw, "books", accept_profile="auth")
    assert (other.status_code, other.json()["code"]) == (406, "PGRST106")
    assert get(raw, "nope").json()["code"] == "PGRST205"
    assert get(raw, "books?nope=eq.1").json()["code"] == "42703"
    assert get(raw, "books?select=pages.sum()").json()["code"] == "PGRST123"


def test_the_schema_cache_follows_the_database(gateway: engine.Gateway, root: httpx.Client) -> None:
    name = f"t{uuid.uuid4().hex[:8]}"
    assert root.get(f"{REST}/{name}").status_code == 404
    with psycopg.connect(gateway.postgres.dsn("postgres"), autocommit=True) as db:
        db.execute(f"create table public.{name} (id int)")
        db.execute(f"grant all on public.{name} to service_role")
        while root.get(f"{REST}/{name}").status_code == 404:
            continue
        assert root.get(f"{REST}/{name}").json() == []
        db.execute(f"drop table public.{name}")


def test_new_tables_are_closed_and_managed_schemas_guarded(
    gateway: engine.Gateway, root: httpx.Client
) -> None:
    """As on a hosted project since 2026-10-30: no default grants, and auth and storage are not the project's to alter."""
    name = f"t{uuid.uuid4().hex[:8]}"
    with psycopg.connect(gateway.postgres.dsn("postgres"), autocommit=True) as db:
        db.execute(f"create table public.{name} (id int)")
        while (answer := root.get(f"{REST}/{name}")).status_code == 404:
            continue
        assert (answer.status_code, answer.json()["code"]) == (403, "42501")
        for refused in ("alter table storage.objects disable row level security", "create table auth.mine (id int)",
                        "create function auth.f() returns int language sql as "
                        "'select 1'", "delete from storage.objects"):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                db.execute(refused.encode())
        db.execute("create policy mine on storage.objects for select to anon using (false)")
        db.execute("drop policy mine on storage.objects")
        db.execute(f"drop table public.{name}")
