"""GET /rest/v1/: a short OpenAPI 2.0 description of the exposed schema, enough to see what is there."""

from __future__ import annotations

from stack.supabase.http import Request, Response, json_response
from stack.supabase.rest.catalog import Catalog


def document(catalog: Catalog, schema: str, request: Request) -> Response:
    """Relations with their columns as definitions, relations and functions as paths."""
    relations = [r for (s, _), r in sorted(catalog.relations.items()) if s == schema]
    paths: dict[str, object] = {"/": {"get": {"tags": ["Introspection"]}}}
    paths |= {f"/{r.name}": {"get": {"tags": [r.name]}, "post": {"tags": [r.name]}} for r in relations}
    paths |= {
        f"/rpc/{n}": {"post": {"tags": [f"(rpc) {n}"]}} for s, n in sorted(catalog.functions) if s == schema
    }
    definitions = {
        r.name: {"type": "object", "properties": {c.name: {"format": c.declared} for c in r.columns.values()}}
        for r in relations
    }
    body = {
        "swagger": "2.0", "info": {"title": "PostgREST API", "version": "14"}, "basePath": "/", "paths": paths,
        "definitions": definitions, "host": request.headers.get("host", ""),
    }  # fmt: skip
    return json_response(
        body, headers={"content-type": "application/openapi+json; charset=utf-8", "content-profile": schema}
    )
