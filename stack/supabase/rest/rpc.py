"""Calling a function: which overload the arguments choose, and how they reach it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from stack.supabase.http import Request
from stack.supabase.rest import parse
from stack.supabase.rest.catalog import Argument, Catalog, Function
from stack.supabase.rest.errors import ApiError, left_out
from stack.supabase.rest.hints import ARGUMENTS, NAME, nearest
from stack.supabase.rest.sql import Binds, array_literal, identifier, qualified
from stack.supabase.rest.write import parse_json

# What a function with one nameless argument takes as a whole, by the body's type.
WHOLE = {
    "application/json": ("json", "jsonb"),
    "text/plain": ("text",),
    "text/xml": ("xml",),
    "application/octet-stream": ("bytea",),
}


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
        if self.body is not None and function.arguments and not function.arguments[0].name:
            passed = binds.typed(self.body, function.arguments[0].type)
        elif self.body is not None and chosen:
            typed = ", ".join(f"{name} {a.type}" for name, a in chosen.items())
            tables = f"json_to_record({binds.typed(self.body, 'json')}) AS pgrst_args({typed})"
            passed = self._passed((name, a, f"pgrst_args.{name}") for name, a in chosen.items())
        else:
            values = ((name, a, binds.typed(self._text(a), a.type)) for name, a in chosen.items())
            passed = self._passed(values)
        called = f"{qualified(function.schema, function.name)}({passed})"
        if function.rows is None:  # not in FROM, where what a record's columns are would have to be said
            return f"SELECT {called} AS value{' FROM ' if tables else ''}{tables}"
        return f"SELECT pgrst_call.* FROM {tables}{', LATERAL ' if tables else ''}{called} pgrst_call"

    def _passed(self, values: Iterable[tuple[str, Argument, str]]) -> str:
        last = self.function.arguments[-1] if self.function.variadic else None
        return ", ".join(f"{'VARIADIC ' * (a is last)}{name} => {value}" for name, a, value in values)

    def _text(self, argument: Argument) -> str:
        texts: list[str] = self.given[argument.name]
        many = self.function.variadic and argument is self.function.arguments[-1]
        return array_literal(texts) if many else texts[-1]


async def resolve(catalog: Catalog, schema: str, name: str, request: Request) -> Call:
    """Choose the overload. Raises PGRST202 if none fits, PGRST203 if several do."""
    params = request.params()
    if request.method != "POST":
        texts: dict[str, list[str]] = {}
        others = []
        for key, value in params:
            if parse.is_condition(key, value):
                others.append((key, value))
            else:
                texts.setdefault(key, []).append(value)
        return Call(_choose(catalog, schema, name, tuple(texts)), others, texts)
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower() or "application/json"
    if kind not in WHOLE:
        raise left_out(f"a body of type {kind} for a function")
    if kind != "application/json":
        body = await request.body()
        text = "\\x" + body.hex() if kind == "application/octet-stream" else body.decode("utf-8", "replace")
        return Call(_choose(catalog, schema, name, (), kind), params, {}, text)
    text, given = parse_json(await request.body() or b"{}")
    whole = text
    if isinstance(given, list) and given and isinstance(given[0], dict):
        given, text = given[0], json.dumps(given[0])
    keys = tuple(given) if isinstance(given, dict) else ()
    wanted = dict(params).get("columns")
    function = _choose(catalog, schema, name, parse.columns(wanted) if wanted else keys, kind)
    if not isinstance(given, dict):
        if not _takes_whole(function, kind):
            raise left_out("a function's arguments as anything but an object")
        given = {}
    return Call(function, params, given, whole if _takes_whole(function, kind) else text)


def _fits(function: Function, names: tuple[str, ...]) -> bool:
    required = {a.name for a in function.arguments if a.required}
    return required <= set(names) <= {a.name for a in function.arguments}


def _takes_whole(function: Function, kind: str) -> bool:
    arguments = function.arguments
    return len(arguments) == 1 and not arguments[0].name and arguments[0].type in WHOLE.get(kind, ())


def _choose(catalog: Catalog, schema: str, name: str, names: tuple[str, ...], kind: str = "") -> Function:
    """The function for these arguments; ``kind`` is the body's type, empty for GET."""
    candidates, named = catalog.functions.get((schema, name), []), kind in ("", "application/json")
    fitting = [f for f in candidates if named and _fits(f, names)]
    fitting = fitting or [f for f in candidates if _takes_whole(f, kind)]
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
    signature = (f"({words})" if names else " without parameters") if named else ""
    searched = f" with parameter{'s' * (len(names) > 1)} {words}" if names else " without parameters"
    if kind:
        whole = f" with a single unnamed {'/'.join(WHOLE[kind])} parameter"
        searched = f"{searched} or{whole}" if named else whole
    raise ApiError(
        "PGRST202", f"Could not find the function {schema}.{name}{signature} in the schema cache",
        f"Searched for the function {schema}.{name}{searched}, but no matches were found in the schema cache.",
        _meant(catalog, schema, name, names, candidates) if named else None,
    )  # fmt: skip


def _meant(
    catalog: Catalog, schema: str, name: str, names: tuple[str, ...], candidates: list[Function]
) -> str | None:
    def listed(words: Iterable[str]) -> str:
        return f"({', '.join(sorted(words))})"

    if candidates:
        known = [listed(a.name for a in f.arguments) for f in candidates]
        arguments = nearest(listed(names), known, ARGUMENTS)
        right = arguments and name + arguments
    else:
        right = nearest(name, (n for s, n in catalog.functions if s == schema), NAME)
    return right and f"Perhaps you meant to call the function {schema}.{right}"
