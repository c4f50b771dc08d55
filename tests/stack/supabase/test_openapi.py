"""The description at the REST root, for the secret key alone."""

from __future__ import annotations

import httpx

REST = "/rest/v1/"


def test_only_a_secret_key_reads_it(raw: httpx.Client, root: httpx.Client) -> None:
    refused = raw.get(REST)
    assert (refused.status_code, refused.json()["message"]) == (403, "Access to schema is forbidden")
    answer = root.get(REST)
    assert (answer.status_code, answer.headers["content-type"]) == (
        200,
        "application/openapi+json; charset=utf-8",
    )
    assert root.head(REST).content == b""
    assert root.get(REST, headers={"accept": "text/csv"}).status_code == 406


def test_tables_views_and_functions_are_described_as_by_postgrest(root: httpx.Client) -> None:
    document = root.get(REST).json()
    assert (document["swagger"], document["basePath"]) == ("2.0", "/rest/v1")
    covers = document["definitions"]["covers"]
    assert covers == {
        "type": "object",
        "required": ["book_id"],
        "properties": {
            "book_id": {
                "type": "integer",
                "format": "int64",
                "description": "Note:\nThis is a Primary Key.<pk/>\nThis is a Foreign Key to `books.id`."
                "<fk table='books' column='id'/>",
            },
            "colour": {"type": "string", "format": "text"},
        },
    }
    books = document["definitions"]["books"]["properties"]
    assert books["mood"] == {"type": "string", "format": "public.mood", "enum": ["calm", "bright"]}
    assert books["code"] == {"type": "string", "format": "character", "maxLength": 4}
    assert books["status"] == {"type": "string", "format": "text", "default": "draft"}
    assert books["pages"] == {"type": "integer", "format": "int32", "default": 100}
    assert books["meta"] == {"format": "jsonb"}
    assert books["tags"]["items"] == {"type": "string"}
    view = document["definitions"]["parts_view"]["properties"]
    assert view["part"]["description"].endswith("This is a Primary Key.<pk/>")
    assert view["above"]["description"].endswith("<fk table='parts' column='id'/>")
    paths = document["paths"]
    assert {"$ref": "#/parameters/rowFilter.covers.colour"} in paths["/covers"]["get"]["parameters"]
    assert paths["/covers"]["get"]["responses"]["200"]["schema"] == {
        "type": "array",
        "items": {"$ref": "#/definitions/covers"},
    }
    assert paths["/rpc/add"]["get"]["parameters"] == [
        {"name": "a", "in": "query", "required": True, "type": "integer", "format": "int32"},
        {"name": "b", "in": "query", "required": False, "type": "integer", "format": "int32"},
    ]
    assert "get" not in paths["/rpc/rename_below"]


def test_every_reference_leads_somewhere(root: httpx.Client) -> None:
    document = root.get(REST).json()
    found: list[str] = []

    def walk(value: object) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                found.append(value["$ref"])
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(document)
    assert found
    for reference in found:
        _, section, name = reference.split("/", 2)
        assert name in document[section], reference
