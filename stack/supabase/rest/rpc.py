"""Calling a function: which overload the arguments choose, and how they reach it."""

from __future__ import annotations

from dataclasses import dataclass

from stack.supabase.http import Request
from stack.supabase.rest.catalog import Argument, Catalog, Function
from stack.supabase.rest.errors import ApiError, left_out
from stack.supabase.rest.sql import Binds, array_literal, identifier, qualified
from stack.supabase.rest.write import parse_json


@dataclass(frozen=True)
class Call:
    """A chosen function, the query's other parameters, and its arguments: a JSON ``body``, or ``given`` texts."""

    function: Function
    params: list[tuple[str, str]]
    body: str | None = None
    names: tuple[str, ...] = ()
    given: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def source(self, binds: Binds) -> str:
        """``SELECT … FROM fn(…)``: its columns, or one column ``value`` if the result has none."""
        function, tables = self.function, ""
        chosen = [a for a in function.arguments if a.name in self.names]
        if self.body is not None and not self.names and function.unnamed:
            passed = binds.typed(self.body, function.arguments[0].type)
        elif self.body is not None and chosen:
            typed = ", ".join(f"{identifier(a.name)} {a.type}" for a in chosen)
            tables = f"json_to_record({binds.typed(self.body, 'json')}) AS pgrst_args({typed}), LATERAL "
            passed = ", ".join(_named(a, f"pgrst_args.{identifier(a.name)}") for a in chosen)
        else:
            texts = dict(self.given)
            passed = ", ".join(
                _named(
                    a, binds.typed(array_literal(texts[a.name]) if a.variadic else texts[a.name][-1], a.type)
                )
                for a in function.arguments
                if a.name in texts
            )
        what = "pgrst_call.*" if function.rows else "pgrst_call AS value"
        return f"SELECT {what} FROM {tables}{qualified(function.schema, function.name)}({passed}) pgrst_call"


def _named(argument: Argument, value: str) -> str:
    return f"{'VARIADIC ' if argument.variadic else ''}{identifier(argument.name)} => {value}"


async def resolve(catalog: Catalog, schema: str, name: str, request: Request) -> Call:
    """Choose the overload. Raises PGRST202 if none fits, PGRST203 if several do."""
    candidates, params = catalog.functions.get((schema, name), []), request.params()
    if request.method != "POST":
        known = {a.name for f in candidates for a in f.arguments}
        given: dict[str, tuple[str, ...]] = {}
        for key, value in params:
            if key in known:
                given[key] = (*given.get(key, ()), value)
        function = _choose(candidates, schema, name, tuple(given))
        return Call(function, [(k, v) for k, v in params if k not in known], given=tuple(given.items()))
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in ("application/json", ""):
        raise left_out(f"a body of type {kind} for a function")
    text, arguments = parse_json(await request.body() or b"{}")
    unnamed = [f for f in candidates if f.unnamed]
    names = tuple(arguments) if isinstance(arguments, dict) else None
    named = [f for f in candidates if not f.unnamed]
    if unnamed and (names is None or not any(_fits(f, names) for f in named)):
        return Call(unnamed[0], params, text)
    return Call(
        _choose(named if names is not None else [], schema, name, names or ()), params, text, names or ()
    )


def _fits(function: Function, names: tuple[str, ...]) -> bool:
    required = {a.name for a in function.arguments if a.required and not a.variadic}
    return required <= set(names) <= {a.name for a in function.arguments}


def _choose(candidates: list[Function], schema: str, name: str, names: tuple[str, ...]) -> Function:
    fitting = [f for f in candidates if _fits(f, names)]
    exact = [f for f in fitting if len(f.arguments) == len(names)]
    if len(fitting) == 1 or len(exact) == 1:
        return (exact or fitting)[0] if len(exact) == 1 else fitting[0]
    if fitting:
        listed = ", ".join(
            f"{schema}.{name}({', '.join(f'{a.name} => {a.type}' for a in f.arguments)})" for f in fitting
        )
        hint = "Try renaming the parameters or the function itself in the database so function overloading can be resolved"
        raise ApiError(
            "PGRST203", f"Could not choose the best candidate function between: {listed}", hint=hint
        )
    words = ", ".join(sorted(names))
    signature = f"({words})" if names else " without parameters"
    searched = f"with parameter{'s' * (len(names) > 1)} {words}" if names else "without parameters"
    raise ApiError(
        "PGRST202",
        f"Could not find the function {schema}.{name}{signature} in the schema cache",
        f"Searched for the function {schema}.{name} {searched} or with a single unnamed json/jsonb parameter, "
        "but no matches were found in the schema cache.",
    )
