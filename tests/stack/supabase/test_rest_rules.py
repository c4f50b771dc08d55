"""Rules of PostgREST that a client relies on. Expectations are those of its documentation and its own test suite (v14)."""

from __future__ import annotations

from typing import Any

import httpx
import psycopg
import pytest

from tests.stack.supabase import engine

REST = "/rest/v1"
SINGLE = {"accept": "application/vnd.pgrst.object+json"}
EXACT = {"prefer": "count=exact"}


def names(root: httpx.Client) -> list[str]:
    return [row["name"] for row in root.get(f"{REST}/parts?select=name&order=id").json()]


@pytest.mark.parametrize(("method", "path", "body", "rows"), [
    ("POST", "rpc/below", {"top": 1}, 2),
    ("POST", "rpc/below", {"top": 99}, 0),
    ("POST", "rpc/rename_below", {"top": 1, "word": "changed"}, 2),
    ("PATCH", "parts?parent_id=eq.1", {"name": "changed"}, 2),
    ("PATCH", "parts?id=eq.99", {"name": "changed"}, 0),
    ("DELETE", "orders?id=gt.5", None, 0),
    ("POST", "parts", [{"id": 50, "name": "a"}, {"id": 51, "name": "b"}], 2),
    ("POST", "parts", [], 0),
])  # fmt: skip
@pytest.mark.parametrize("prefer", ["return=minimal", "return=representation"])
def test_one_object_or_406_and_nothing_is_kept(
    root: httpx.Client, method: str, path: str, body: Any, rows: int, prefer: str
) -> None:
    before = names(root)
    answer = root.request(method, f"{REST}/{path}", json=body, headers={**SINGLE, "prefer": prefer})
    assert (answer.status_code, answer.json()["code"], answer.json()["details"]) == (
        406,
        "PGRST116",
        f"The result contains {rows} rows",
    )
    assert names(root) == before


def test_a_single_result_is_an_object_by_its_function_and_by_the_header(root: httpx.Client) -> None:
    plain = root.post(f"{REST}/rpc/some_part?select=id", json={"wanted": 2})
    assert (plain.json(), plain.headers["content-type"]) == ({"id": 2}, "application/json; charset=utf-8")
    asked = root.post(f"{REST}/rpc/below?select=id&limit=1", json={"top": 1}, headers=SINGLE)
    assert asked.json() == {"id": 2}
    assert asked.headers["content-type"] == "application/vnd.pgrst.object+json; charset=utf-8"


def test_a_table_that_refers_to_itself(raw: httpx.Client) -> None:
    def get(select: str, one: int = 1) -> Any:
        return raw.get(f"{REST}/parts?select={select}&id=eq.{one}").json()

    assert get("name,parts(name)&parts.order=id") == [
        {"name": "engine", "parts": [{"name": "piston"}, {"name": "valve"}]}
    ]
    assert get("children:parts!parent_id(id,children:parts!parent_id(id))") == [
        {"children": [{"id": 2, "children": [{"id": 4}]}, {"id": 3, "children": []}]}
    ]
    assert get("id,parent_id(name)", 2) == [{"id": 2, "parent_id": {"name": "engine"}}]
    assert get("name,children(name),is_top") == [
        {"name": "engine", "children": [{"name": "piston"}, {"name": "valve"}], "is_top": True}
    ]


def test_relationships_go_through_views(raw: httpx.Client) -> None:
    found = raw.get(f"{REST}/parts_view?select=part,orders!orders_part_id_fkey(id)&part=eq.1").json()
    assert found == [{"part": 1, "orders": [{"id": 1}]}]
    back = raw.get(f"{REST}/orders?select=id,parts_view!orders_part_id_fkey(name)").json()
    assert back == [{"id": 1, "parts_view": {"name": "engine"}}]


@pytest.mark.parametrize(("path", "headers", "status", "span"), [
    ("rpc/add?a=1&b=2", EXACT, 200, "0-0/1"),
    ("rpc/some_part?wanted=1", EXACT, 200, "0-0/1"),
    ("rpc/numbers?limit=2", EXACT, 206, "0-1/3"),
    ("rpc/parts_up_to?id=4&select=id,orders!orders_part_id_fkey!inner(id)", EXACT, 200, "0-0/1"),
    ("parts?limit=2", EXACT, 206, "0-1/4"),
    ("parts?offset=4", EXACT, 206, "*/4"),
    ("parts?offset=5", EXACT, 416, "*/4"),
    ("parts?id=gt.99", EXACT, 200, "*/0"),
    ("parts", {"range": "1-2"}, 200, "1-2/*"),
])  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_counts_and_ranges(
    raw: httpx.Client, method: str, path: str, headers: dict[str, str], status: int, span: str
) -> None:
    answer = raw.request(method, f"{REST}/{path}", headers=headers)
    if method == "HEAD" and "range" in headers:
        span = "0-3/*"  # the header is for GET alone
    assert (answer.status_code, answer.headers["content-range"]) == (status, span)


def test_a_deletion_has_no_range(root: httpx.Client) -> None:
    root.post(f"{REST}/orders", json=[{"id": 8}, {"id": 9}])
    assert root.delete(f"{REST}/orders?id=eq.8").headers["content-range"] == "*/*"
    gone = root.delete(f"{REST}/orders?id=eq.9", headers={"prefer": "return=representation,count=exact"})
    assert (gone.headers["content-range"], gone.json()) == (
        "*/1",
        [{"id": 9, "part_id": None, "spare_id": None}],
    )


@pytest.mark.parametrize(("select", "wanted"), [
    ("tags->0", {"tags": "x"}),
    ("tags->>-1", {"tags": "y"}),
    ("data->c->0->d->>2", {"d": "2"}),
    ("data->n->a", {"a": 1}),
    ("last:tags->>1", {"last": "y"}),
])  # fmt: skip
def test_a_json_path_is_named_by_its_last_name(raw: httpx.Client, select: str, wanted: Any) -> None:
    assert raw.get(f"{REST}/parts?id=eq.1&select={select}").json() == [wanted]


def test_what_is_selected_may_be_empty(raw: httpx.Client) -> None:
    one = f"{REST}/orders?id=eq.1"
    assert raw.get(f"{one}&select=").json() == [{"id": 1, "part_id": 1, "spare_id": 2}]
    assert raw.get(f"{one}&select=id,parts!part_id(parts())").json() == [{"id": 1}]
    assert raw.get(f"{REST}/rpc/below?top=2&select=").json()[0]["name"] == "ring"


def test_functions_whose_result_has_no_declared_columns(raw: httpx.Client) -> None:
    rpc = f"{REST}/rpc"
    assert raw.post(f"{rpc}/a_record").json() == {"id": 1, "word": "one"}
    assert raw.post(f"{rpc}/records").json() == [{"id": 1, "name": "engine"}, {"id": 2, "name": "piston"}]
    assert raw.get(f"{rpc}/next_number?num=5").json() == {"num_plus_one": 6}


def test_a_function_by_get_takes_what_is_no_filter_for_its_arguments(raw: httpx.Client) -> None:
    rpc = f"{REST}/rpc"
    assert raw.get(f"{rpc}/parts_up_to?id=3&id=gt.1&select=id").json() == [{"id": 2}, {"id": 3}]
    assert raw.get(f"{rpc}/joined?words=a&words=b").json() == "a+b"
    assert raw.post(f"{rpc}/joined", json={"words": ["a", "b"]}).json() == "a+b"
    assert raw.post(f"{rpc}/whole", json=[1, {"any": None}]).json() == [1, {"any": None}]
    assert raw.post(f"{rpc}/add?columns=a", json={"a": 1, "other": 2}).json() == 2


def test_errors_say_what_was_meant(raw: httpx.Client) -> None:
    several = raw.get(f"{REST}/orders?select=parts(id)").json()
    assert several["details"] == [
        {
            "cardinality": "many-to-one",
            "embedding": "orders with parts",
            "relationship": f"orders_{name}_fkey using orders({name}) and parts(id)",
        }
        for name in ("part_id", "spare_id")
    ]
    assert several["hint"] == (
        "Try changing 'parts' to one of the following: 'parts!orders_part_id_fkey', "
        "'parts!orders_spare_id_fkey'. Find the desired relationship in the 'details' key."
    )

    def hint(path: str) -> str | None:
        found: str | None = raw.get(f"{REST}/{path}").json()["hint"]
        return found

    assert hint("rpc/belo") == "Perhaps you meant to call the function public.below"
    assert hint("rpc/below?tpo=1") == "Perhaps you meant to call the function public.below(top)"
    assert hint("rpc/nothing_like_it_at_all") is None
    assert hint("part") == "Perhaps you meant the table 'public.parts'"
    assert hint("orders?select=prts(id)") == "Perhaps you meant 'parts' instead of 'prts'."
    wrong = raw.delete(f"{REST}/rpc/below")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "PGRST101")


def test_embedded_resources_filter_and_order_their_parent(raw: httpx.Client) -> None:
    def ids(query: str) -> list[int]:
        answer = raw.get(f"{REST}/parts?{query}", headers=EXACT)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-range"].endswith(f"/{len(answer.json())}")
        return [row["id"] for row in answer.json()]

    assert ids("select=id,parts()&parts=is.null&order=id") == [3, 4]
    assert ids("select=id,parts(id)&parts=not.is.null&order=id") == [1, 2]
    assert ids("select=id,parts()&parts.name=eq.ring&parts=not.is.null") == [2]
    assert ids("select=id,parts()&or=(id.eq.3,parts.not.is.null)&order=id") == [1, 2, 3]
    assert ids("select=id,parent_id(name)&order=parent_id(name).desc.nullslast,id") == [4, 2, 3, 1]
    assert ids("select=id,parent_id(name)&parent_id=eq.1&order=id") == [2, 3], "a column of that name"
    for query, code in (
        ("select=id,parts(id)&order=parts(name)", "PGRST118"),
        ("select=id&order=parts(name)", "PGRST108"),
        ("select=id,parts()&parts=eq.1", "PGRST120"),
    ):
        refused = raw.get(f"{REST}/parts?{query}")
        assert (refused.status_code, refused.json()["code"]) == (400, code)


@pytest.mark.parametrize(("method", "verb"), [("PATCH", "UPDATE"), ("DELETE", "DELETE")])
def test_a_write_needs_a_filter(root: httpx.Client, method: str, verb: str) -> None:
    answer = root.request(method, f"{REST}/parts", json={"name": "all"})
    assert (answer.status_code, answer.json()) == (
        400,
        {"code": "21000", "details": None, "hint": None, "message": f"{verb} requires a WHERE clause"},
    )


def test_a_spread_resource_stands_among_its_parents_columns(raw: httpx.Client) -> None:
    def get(query: str) -> Any:
        return raw.get(f"{REST}/{query}").json()

    up = get("parts?select=id,...parent_id(above:name,...parent_id(top:name))&id=in.(1,4)&order=id")
    assert up == [
        {"id": 1, "above": None, "top": None},
        {"id": 4, "above": "piston", "top": "engine"},
    ]
    down = get("parts?select=name,...parts(ids:id,names:name)&parts.order=id.desc&id=in.(1,3)&order=id")
    assert down == [
        {"name": "engine", "ids": [3, 2], "names": ["valve", "piston"]},
        {"name": "valve", "ids": [], "names": []},
    ]
    assert get("parts?select=name,...parts!inner(ids:id)&id=eq.3") == []
    assert get("orders?select=*,...parts!part_id(*)&id=eq.1")[0]["name"] == "engine"


def test_put_makes_or_replaces_the_row_that_its_address_names(root: httpx.Client) -> None:
    one, whole = f"{REST}/orders?id=eq.70", {"prefer": "return=representation"}
    row = {"id": 70, "part_id": 1, "spare_id": None}
    made = root.put(one, json=row, headers=whole)
    assert (made.status_code, made.json(), "content-range" in made.headers) == (201, [row], False)
    again = root.put(one, json={**row, "part_id": 2}, headers=whole)
    assert (again.status_code, again.json()[0]["part_id"]) == (200, 2)
    assert root.put(one, json=row).status_code == 204
    for query, body, status, code in (
        ("id=eq.71", row, 400, "PGRST115"),
        ("part_id=eq.1", row, 405, "PGRST105"),
        ("id=gt.70", row, 405, "PGRST105"),
        ("id=eq.70&limit=1", row, 400, "PGRST114"),
    ):
        refused = root.put(f"{REST}/orders?{query}", json=body)
        assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert root.get(f"{REST}/orders?id=eq.71").json() == []
    root.delete(one)


def test_a_function_may_choose_status_and_headers(raw: httpx.Client) -> None:
    answer = raw.post(f"{REST}/rpc/cookie_setter")
    assert (answer.status_code, answer.headers["x-own"], answer.json()) == (202, "yes", "ok")
    refused = raw.post(f"{REST}/rpc/refuser")
    assert (refused.status_code, refused.headers["x-why"]) == (402, "so")
    assert refused.json() == {"code": "123", "message": "no", "details": None, "hint": None}


def test_preferences_that_limit_and_translate(root: httpx.Client) -> None:
    strict = {"prefer": "handling=strict,max-affected=1"}
    before = names(root)
    many = root.patch(f"{REST}/parts?parent_id=eq.1", json={"name": "x"}, headers=strict)
    assert (many.status_code, many.json()["code"], names(root)) == (400, "PGRST124", before)
    zone = root.get(f"{REST}/authors?limit=1", headers={"prefer": "timezone=Asia/Tokyo"})
    assert zone.headers["preference-applied"] == "timezone=Asia/Tokyo"
    bare = {"accept": "application/vnd.pgrst.array+json;nulls=stripped"}
    assert root.get(f"{REST}/parts?id=eq.1&select=id,parent_id", headers=bare).json() == [{"id": 1}]


def test_the_project_configures_rest_in_its_database(
    cluster: engine.Postgres, gateway: engine.Gateway, raw: httpx.Client
) -> None:
    """Supabase's documentation has ``alter role authenticator set pgrst.db_max_rows``; role ``postgres`` may."""
    with psycopg.connect(cluster.dsn("postgres"), autocommit=True) as db:
        db.execute("create function public.gate() returns void language plpgsql as $$ begin "
                   "if current_setting('request.headers')::json ->> 'x-stop' = 'yes' then "
                   "raise sqlstate 'PT429' using message = 'stop'; end if; end $$")  # fmt: skip
        db.execute("alter role authenticator set pgrst.db_max_rows = '1'")
        db.execute("alter role authenticator set pgrst.db_pre_request = 'public.gate'")
        db.execute("notify pgrst, 'reload config'")
        try:
            while len(raw.get(f"{REST}/parts").json()) != 1:
                continue
            stopped = raw.get(f"{REST}/parts", headers={"x-stop": "yes"})
            assert (stopped.status_code, stopped.json()["message"]) == (429, "stop")
        finally:
            db.execute("alter role authenticator reset pgrst.db_max_rows")
            db.execute("alter role authenticator reset pgrst.db_pre_request")
            db.execute("notify pgrst, 'reload config'")
        while len(raw.get(f"{REST}/parts").json()) == 1:
            continue
