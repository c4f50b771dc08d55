"""Builder.io's Admin API: the models of a space, by GraphQL.

Source: the generated types of @builder.io/admin-sdk (`models`, `model(id)`, `addModel(body)`,
`updateModel(body: {id, data})`, `deleteModel(id)`, fields of `ModelType`) and Builder.io, "Admin API"
(`POST /api/v2/admin` with the private key as a bearer token). Spaces and sign-in providers are not here.
"""

from __future__ import annotations

import re
import uuid
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLError,
    GraphQLField,
    GraphQLID,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    ValueNode,
    graphql,
)
from graphql.utilities import value_from_ast_untyped
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stack.vendors.store import Store
from stack.vendors.web import Unreadable, bearer, read_json, same

KINDS = ("page", "component", "data", "function")
NAME = re.compile(r"[a-zA-Z0-9][\w-]{0,99}")


def _literal(node: ValueNode, variables: dict[str, Any] | None = None) -> Any:
    """Return the value of a JSON literal inside a query."""
    return value_from_ast_untyped(node, variables)


def _same(value: Any) -> Any:
    """Return a JSON value as it is."""
    return value


JSON_OBJECT = GraphQLScalarType("JSONObject", parse_value=_same, parse_literal=_literal)
TEXTS = ("name", "kind", "subType", "examplePageUrl", "helperText", "nameField", "pathPrefix")
FLAGS = ("archived", "hidden", "singleton", "publicReadable", "publicWritable", "strictPrivateRead",
         "showTargeting", "showScheduling", "showMetrics", "allowTests", "bigData", "isPage")  # fmt: skip
OBJECTS = ("schema", "hooks")
LISTS = ("webhooks", "fields")


class BuilderAdmin:
    """The space's models."""

    def __init__(self, store: Store, variables: dict[str, str], model_kind: str) -> None:
        self.store, self.kind = store, model_kind
        self.private_key, self.space = variables["BUILDER_PRIVATE_KEY"], variables["BUILDER_PUBLIC_KEY"]
        self.schema = self._schema()

    def routes(self) -> list[Route]:
        """Return the Admin API's route."""
        return [Route("/api/v2/admin", self.answer, methods=["POST"])]

    async def answer(self, request: Request) -> Response:
        """`POST /api/v2/admin`: one GraphQL request."""
        if not same(bearer(request), self.private_key):
            message = "Unauthorized: a private key of this space is required"
            return JSONResponse({"errors": [{"message": message}]}, 401)
        try:
            body = await read_json(request)
            source, variables = str(body["query"]), body.get("variables")
        except (Unreadable, KeyError, TypeError, AttributeError):
            return JSONResponse({"errors": [{"message": "Must provide query string."}]}, 400)
        result = await graphql(self.schema, source, variable_values=variables)
        shown: dict[str, Any] = {"data": result.data}
        if result.errors:
            shown["errors"] = [error.formatted for error in result.errors]
        return JSONResponse(shown, 400 if result.data is None and result.errors else 200)

    # -- schema

    def _schema(self) -> GraphQLSchema:
        def plain(name: str) -> Any:
            return lambda model, _info: model.get(name)

        fields: dict[str, GraphQLField] = {"id": GraphQLField(GraphQLID)}
        for name in TEXTS:
            fields[name] = GraphQLField(GraphQLString, resolve=plain(name))
        for name in FLAGS:
            fields[name] = GraphQLField(GraphQLBoolean, resolve=plain(name))
        for name in OBJECTS:
            fields[name] = GraphQLField(JSON_OBJECT, resolve=plain(name))
        for name in LISTS:
            fields[name] = GraphQLField(GraphQLList(JSON_OBJECT), resolve=plain(name))
        fields["everything"] = GraphQLField(GraphQLNonNull(JSON_OBJECT), resolve=lambda model, _info: model)
        model_type = GraphQLObjectType("ModelType", fields)
        text = GraphQLNonNull(GraphQLString)
        body = GraphQLArgument(GraphQLNonNull(JSON_OBJECT))
        update = GraphQLInputObjectType(
            "UpdateModelInput",
            {"id": GraphQLInputField(text), "data": GraphQLInputField(GraphQLNonNull(JSON_OBJECT))},
        )
        query = GraphQLObjectType(
            "Query",
            {
                "models": GraphQLField(GraphQLList(model_type), resolve=lambda *_: self.store.all(self.kind)),
                "model": GraphQLField(model_type, {"id": GraphQLArgument(text)}, resolve=self._model),
                "id": GraphQLField(text, resolve=lambda *_: self.space),
                "settings": GraphQLField(GraphQLNonNull(JSON_OBJECT), resolve=lambda *_: {"name": "Assay"}),
            },
        )
        mutation = GraphQLObjectType(
            "Mutation",
            {
                "addModel": GraphQLField(model_type, {"body": body}, resolve=self._add),
                "updateModel": GraphQLField(
                    model_type, {"body": GraphQLArgument(GraphQLNonNull(update))}, resolve=self._update
                ),
                "deleteModel": GraphQLField(model_type, {"id": GraphQLArgument(text)}, resolve=self._delete),
            },
        )
        return GraphQLSchema(query, mutation)

    # -- resolving

    def _model(self, _root: Any, _info: Any, id: str) -> Any:
        return next((model for model in self.store.all(self.kind) if model["id"] == id), None)

    def _found(self, key: str) -> dict[str, Any]:
        model = self._model(None, None, key)
        if model is None:
            raise GraphQLError(f"No model with id {key}")
        return dict(model)

    def _checked(self, model: dict[str, Any], key: str | None) -> dict[str, Any]:
        if not NAME.fullmatch(str(model.get("name", ""))):
            raise GraphQLError("A model needs a name of letters, digits, - and _")
        if model.get("kind") not in KINDS:
            raise GraphQLError(f"kind must be one of {', '.join(KINDS)}")
        other = self.store.get(self.kind, model["name"])
        if other is not None and other["id"] != key:
            raise GraphQLError(f"A model named {model['name']} already exists")
        if not all(isinstance(model.get(name) or [], list) for name in LISTS):
            raise GraphQLError("fields and webhooks must be lists")
        return model

    def _add(self, _root: Any, _info: Any, body: dict[str, Any]) -> Any:
        model = self._checked({"fields": [], "webhooks": [], **body, "id": uuid.uuid4().hex}, None)
        self.store.put(self.kind, model["name"], model)
        return model

    def _update(self, _root: Any, _info: Any, body: dict[str, Any]) -> Any:
        old = self._found(body["id"])
        model = self._checked({**old, **body["data"], "id": old["id"]}, old["id"])
        if model["name"] != old["name"]:
            raise GraphQLError("A model's name cannot change")
        self.store.put(self.kind, model["name"], model)
        return model

    def _delete(self, _root: Any, _info: Any, id: str) -> Any:
        model = self._found(id)
        self.store.delete(self.kind, model["name"])
        return model
