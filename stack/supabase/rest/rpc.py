"""Calling a function: which overload the arguments choose, and how they reach it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stack.supabase.http import Request
from stack.supabase.rest.catalog import Catalog, Function
from stack.supabase.rest.errors import ApiError, left_out
from stack.supabase.rest.sql import Binds, identifier, qualified
from stack.supabase.rest.write import parse_json


@dataclass(frozen=True)
class Call:
    """A chosen function, its arguments (texts by name, or JSON in ``body``), and the query's other parameters."""

    function: Function
    params: list[tuple[str, str]]
    given: dict[str, Any]
    body: str | None = None

    def source(self, binds: Binds) -> str:
        """``SELECT … FROM fn(…)``: its columns, or one column ``value`` if the result has none."""
        function, tables = self.function, ""
        chosen = {identifier(a.name): a for a in function.arguments if a.name in self.given}
        if self.body and chosen:
            typed = ", ".join(f"{name} {a.type}" for name, a in chosen.items())
            tables = f"json_to_record({binds.typed(self.body, 'json')}) AS pgrst_args({typed}), LATERAL "
            passed = ", ".join(f"{name} => pgrst_args.{name}" for name in chosen)
        else:
            values = {name: binds.typed(self.given[a.name], a.type) for name, a in chosen.items()}
            passed = ", ".join(f"{name} => {value}" for name, value in values.items())
        what = "pgrst_call.*" if function.rows else "pgrst_call AS value"
        return f"SELECT {what} FROM {tables}{qualified(function.schema, function.name)}({passed}) pgrst_call"


async def resolve(catalog: Catalog, schema: str, name: str, request: Request) -> Call:
    """Choose the overload. Raises PGRST202 if none fits, PGRST203 if several do."""
    candidates, params = catalog.functions.get((schema, name), []), request.params()
    if request.method != "POST":
        known = {a.name for f in candidates for a in f.arguments}
        texts = {key: value for key, value in params if key in known}
        others = [(key, value) for key, value in params if key not in known]
        return Call(_choose(candidates, schema, name, tuple(texts)), others, texts)
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in ("application/json", ""):
        raise left_out(f"a body of type {kind} for a function")
    text, given = parse_json(await request.body() or b"{}")
    if not isinstance(given, dict):
        raise left_out("a function's arguments as anything but an object")
    return Call(_choose(candidates, schema, name, tuple(given)), params, given, text)


def _fits(function: Function, names: tuple[str, ...]) -> bool:
    required = {a.name for a in function.arguments if a.required}
    return required <= set(names) <= {a.name for a in function.arguments}


def _choose(candidates: list[Function], schema: str, name: str, names: tuple[str, ...]) -> Function:
    fitting = [f for f in candidates if _fits(f, names)]
    exact = [f for f in fitting if len(f.arguments) == len(names)]
    for found in (exact, fitting):
        if len(found) == 1:
            return found[0]
    if fitting:
        listed = ", ".join(f"{schema}.{name}({f.signature})" for f in fitting)
        hint = "Try renaming the parameters or the function itself in the database so function overloading can be resolved"
        words = f"Could not choose the best candidate function between: {listed}"
        raise ApiError("PGRST203", words, hint=hint)
    words = ", ".join(sorted(names))
    signature = f"({words})" if names else " without parameters"
    searched = f"with parameter{'s' * (len(names) > 1)} {words}" if names else "without parameters"
    raise ApiError(
        "PGRST202", f"Could not find the function {schema}.{name}{signature} in the schema cache",
        f"Searched for the function {schema}.{name} {searched} or with a single unnamed json/jsonb parameter, "
        "but no matches were found in the schema cache.",
    )  # fmt: skip
