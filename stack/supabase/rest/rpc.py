"""Calling a function: which overload the arguments choose, and how they reach it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stack.supabase.http import Request
from stack.supabase.rest.answer import Asked
from stack.supabase.rest.catalog import Catalog, Function
from stack.supabase.rest.errors import ApiError
from stack.supabase.rest.sql import Binds, array_literal, identifier, qualified
from stack.supabase.rest.write import decoded, parse_json, payload


@dataclass(frozen=True)
class Call:
    """A chosen function with its arguments: ``body`` (JSON text), or ``given`` (texts of a query string), or ``raw``."""

    function: Function
    params: list[tuple[str, str]]
    names: tuple[str, ...]
    body: str | None = None
    given: tuple[tuple[str, tuple[str, ...]], ...] = ()
    raw: str | None = None

    def source(self, binds: Binds) -> str:
        """``SELECT … FROM fn(…)``: its columns, or one column ``value`` if the result has none."""
        function = self.function
        what = "pgrst_call.*" if function.rows else "pgrst_call AS value"
        name = qualified(function.schema, function.name)
        if self.raw is not None:
            return (
                f"SELECT {what} FROM {name}({binds.typed(self.raw, function.arguments[0].type)}) pgrst_call"
            )
        if self.given:
            passed = ", ".join(self._text_argument(binds, n, v) for n, v in self.given)
            return f"SELECT {what} FROM {name}({passed}) pgrst_call"
        if not self.names:
            return f"SELECT {what} FROM {name}() pgrst_call"
        chosen = [a for a in function.arguments if a.name in self.names]
        typed = ", ".join(f"{identifier(a.name)} {a.type}" for a in chosen)
        passed = ", ".join(
            f"{'VARIADIC ' if a.variadic else ''}{identifier(a.name)} => pgrst_args.{identifier(a.name)}"
            for a in chosen
        )
        arguments = f"json_to_record({binds.text(self.body or '{}')}::json) AS pgrst_args({typed})"
        return f"SELECT {what} FROM {arguments}, LATERAL {name}({passed}) pgrst_call"

    def scalar(self, source: str) -> str:
        """The rows of a result without columns."""
        return source

    def shape(self, asked: Asked) -> str:
        """How such a result is written."""
        return "scalars" if self.function.many else "scalar"

    def _text_argument(self, binds: Binds, name: str, values: tuple[str, ...]) -> str:
        argument = next(a for a in self.function.arguments if a.name == name)
        if argument.variadic:
            return f"VARIADIC {identifier(name)} => {binds.typed(array_literal(values), argument.type)}"
        return f"{identifier(name)} => {binds.typed(values[-1], argument.type)}"


async def resolve(catalog: Catalog, schema: str, name: str, request: Request) -> Call:
    """Choose the overload. Raises PGRST202 if none fits, PGRST203 if several do."""
    candidates = catalog.functions.get((schema, name), [])
    if request.method != "POST":
        known = {a.name for f in candidates for a in f.arguments}
        params = request.params()
        given: dict[str, list[str]] = {}
        for key, value in params:
            if key in known:
                given.setdefault(key, []).append(value)
        function = _choose(candidates, schema, name, tuple(given))
        rest = [(k, v) for k, v in params if k not in known]
        return Call(function, rest, tuple(given), given=tuple((k, tuple(v)) for k, v in given.items()))
    body = await request.body()
    kind = request.headers.get("content-type", "application/json").split(";")[0].strip().lower()
    if single := _takes_raw(candidates, kind):
        return Call(single, request.params(), (), raw=decoded(body))
    value, text = _arguments(body, kind)
    unnamed = [
        f
        for f in candidates
        if len(f.arguments) == 1 and not f.arguments[0].name and f.arguments[0].type in ("json", "jsonb")
    ]
    if isinstance(value, dict):
        fitting = [f for f in candidates if f not in unnamed]
        if unnamed and not any(_fits(f, tuple(value)) for f in fitting):
            return Call(unnamed[0], request.params(), (), raw=text)
        return Call(_choose(fitting, schema, name, tuple(value)), request.params(), tuple(value), body=text)
    if unnamed:
        return Call(unnamed[0], request.params(), (), raw=text)
    raise _missing(schema, name, ())


def _arguments(body: bytes, kind: str) -> tuple[Any, str]:
    if not body.strip():
        return {}, "{}"
    if kind == "application/x-www-form-urlencoded":
        text = payload(body, kind, uniform=True).text[1:-1]
        return parse_json(text), text
    if kind not in ("application/json", ""):
        raise ApiError(400, "PGRST102", f"Content-Type not acceptable: {kind}")
    text = decoded(body)
    return parse_json(text), text


def _takes_raw(candidates: list[Function], kind: str) -> Function | None:
    wanted = {"text/plain": ("text",), "application/octet-stream": ("bytea",), "text/xml": ("xml",)}.get(
        kind, ()
    )
    fitting = (
        f
        for f in candidates
        if len(f.arguments) == 1 and not f.arguments[0].name and f.arguments[0].type in wanted
    )
    return next(fitting, None)


def _fits(function: Function, names: tuple[str, ...]) -> bool:
    known = {a.name for a in function.arguments}
    return set(names) <= known and all(
        a.name in names for a in function.arguments if a.required and not a.variadic
    )


def _choose(candidates: list[Function], schema: str, name: str, names: tuple[str, ...]) -> Function:
    fitting = [f for f in candidates if _fits(f, names)]
    if not fitting:
        raise _missing(schema, name, names)
    if len(fitting) == 1:
        return fitting[0]
    exact = [f for f in fitting if len(f.arguments) == len(names)]
    if len(exact) == 1:
        return exact[0]
    listed = ", ".join(
        f"{schema}.{name}({', '.join(f'{a.name} => {a.type}' for a in f.arguments)})" for f in fitting
    )
    raise ApiError(
        300,
        "PGRST203",
        f"Could not choose the best candidate function between: {listed}",
        hint="Try renaming the parameters or the function itself in the database so function overloading can be resolved",
    )


def _missing(schema: str, name: str, names: tuple[str, ...]) -> ApiError:
    listed = ", ".join(sorted(names))
    many = "s" if len(names) > 1 else ""
    searched = f"with parameter{many} {listed}" if names else "without parameters"
    signature = f"({listed})" if names else " without parameters"
    return ApiError(
        404,
        "PGRST202",
        f"Could not find the function {schema}.{name}{signature} in the schema cache",
        f"Searched for the function {schema}.{name} {searched} or with a single unnamed json/jsonb parameter, "
        "but no matches were found in the schema cache.",
    )
