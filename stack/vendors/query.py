"""MongoDB-style queries as Builder.io's content API takes them, judged over plain JSON values.

Source: Builder.io, "Content API" and "Querying cheatsheet" (operators $eq $gt $gte $lt $lte $ne $in $nin $and
$or $nor $not $exists $type $elemMatch $regex $options).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from stack.vendors.web import loads

MISSING = object()
TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "number": (int, float),
    "int": int,
    "double": float,
    "bool": bool,
    "object": dict,
    "array": list,
}


class BadQuery(ValueError):
    """The query uses an operator or form that does not exist."""


def lookup(document: Any, path: str) -> Any:
    """Return the value at a dotted path, or MISSING; a list on the way is searched for the first that has it."""
    value = document
    parts = path.split(".")
    for index, part in enumerate(parts):
        if isinstance(value, dict):
            if part not in value:
                return MISSING
            value = value[part]
        elif isinstance(value, list) and part.isdigit():
            if int(part) >= len(value):
                return MISSING
            value = value[int(part)]
        elif isinstance(value, list):
            rest = ".".join(parts[index:])
            return next((found for item in value if (found := lookup(item, rest)) is not MISSING), MISSING)
        else:
            return MISSING
    return value


def literal(text: str) -> Any:
    """Return the JSON value of a query parameter, or the text itself."""
    try:
        return loads(text)
    except ValueError:
        return text


def unflatten(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Turn `data.price.$gt=5` pairs (without the `query.` in front) into a query document."""
    query: dict[str, Any] = {}
    for name, text in pairs:
        path, _, operator = name.partition(".$")
        condition = literal(text)
        if operator:
            for part in reversed(operator.split(".$")):
                condition = {"$" + part: condition}
        if path.startswith("$") or path not in query:
            query[path] = condition
        elif isinstance(query[path], dict) and isinstance(condition, dict):
            query[path].update(condition)
        else:
            query[path] = condition
    return query


def matches(document: Any, query: Any) -> bool:
    """Return whether `document` fulfils `query`; raises BadQuery."""
    if not isinstance(query, dict):
        raise BadQuery("a query is an object")
    for path, condition in query.items():
        if path == "$and":
            fulfilled = all(matches(document, part) for part in condition)
        elif path == "$or":
            fulfilled = any(matches(document, part) for part in condition)
        elif path == "$nor":
            fulfilled = not any(matches(document, part) for part in condition)
        elif path == "$not":
            fulfilled = not matches(document, condition)
        elif path.startswith("$"):
            raise BadQuery(f"unknown operator {path}")
        else:
            fulfilled = holds(lookup(document, path), condition)
        if not fulfilled:
            return False
    return True


def holds(value: Any, condition: Any) -> bool:
    """Return whether one value fulfils one condition: a literal, or operators."""
    if not isinstance(condition, dict) or not any(key.startswith("$") for key in condition):
        return equal(value, condition)
    return all(_operator(value, name, wanted, condition) for name, wanted in condition.items())


def equal(value: Any, wanted: Any) -> bool:
    """Return MongoDB's equality: a list also equals any of its members; absent equals null."""
    if value is MISSING:
        return wanted is None
    if isinstance(value, bool) != isinstance(wanted, bool):
        return isinstance(value, list) and any(equal(item, wanted) for item in value)
    return bool(value == wanted) or (isinstance(value, list) and any(equal(item, wanted) for item in value))


def _ordered(value: Any, wanted: Any, name: str) -> bool:
    numbers = isinstance(value, int | float) and isinstance(wanted, int | float)
    if not numbers and not (isinstance(value, str) and isinstance(wanted, str)):
        return False
    return bool(
        {"$gt": value > wanted, "$gte": value >= wanted, "$lt": value < wanted, "$lte": value <= wanted}[name]
    )


def _operator(value: Any, name: str, wanted: Any, condition: dict[str, Any]) -> bool:
    if name == "$eq":
        return equal(value, wanted)
    if name == "$ne":
        return not equal(value, wanted)
    if name in ("$gt", "$gte", "$lt", "$lte"):
        return _ordered(value, wanted, name)
    if name in ("$in", "$nin"):
        within = any(equal(value, item) for item in (wanted if isinstance(wanted, list) else [wanted]))
        return within if name == "$in" else not within
    if name == "$exists":
        return (value is not MISSING) == bool(wanted)
    if name == "$not":
        return not holds(value, wanted)
    if name == "$type":
        kind = TYPES.get(str(wanted))
        return kind is not None and isinstance(value, kind)
    if name == "$regex":
        flags = re.IGNORECASE if "i" in str(condition.get("$options", "")) else 0
        texts = value if isinstance(value, list) else [value]
        try:
            return any(isinstance(text, str) and re.search(str(wanted), text, flags) for text in texts)
        except re.error as error:
            raise BadQuery(f"bad $regex: {error}") from error
    if name == "$options":
        return True
    if name == "$elemMatch":
        return isinstance(value, list) and any(
            matches(item, wanted) if isinstance(item, dict) else holds(item, wanted) for item in value
        )
    raise BadQuery(f"unknown operator {name}")
