"""What a request says, held against a JSON Schema as the Storage server's validator (Ajv, as Fastify sets it up) does it.

Values become the type asked for where that loses nothing, unknown properties pass, the first fault is told in Ajv's words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?\s*")
TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
ORDER: Schema = {"type": "string", "enum": ["asc", "desc"]}


def count(least: int) -> Schema:
    """The schema of a whole number that is at least so much."""
    return {"type": "integer", "minimum": least}


def record(required: str = "", /, **properties: Schema) -> Schema:
    """The schema of an object; ``required`` names properties, with blanks between."""
    return {"type": "object", "required": required.split(), "properties": properties}


class Unfit(ValueError):
    """The value does not fit; the message says where and why."""


def fit(value: Any, schema: Schema, where: str) -> Any:
    """``value`` as ``schema`` asks for it; ``where`` names it in messages. Raises Unfit."""
    if "type" in schema and not (value is None and schema.get("nullable")):
        value = _converted(value, schema["type"], where)
    if "minimum" in schema and isinstance(value, int) and value < schema["minimum"]:
        raise Unfit(f"{where} must be >= {schema['minimum']}")
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        raise Unfit(f'{where} must match pattern "{schema["pattern"]}"')
    if "enum" in schema and value not in schema["enum"]:
        raise Unfit(f"{where} must be equal to one of the allowed values")
    if "anyOf" in schema:
        value = _any_of(value, schema["anyOf"], where)
    if isinstance(value, list):
        return _items(value, schema, where)
    return _properties(value, schema, where) if isinstance(value, dict) else value


def _converted(value: Any, kind: str, where: str) -> Any:
    """Ajv's ``coerceTypes: "array"``: text that is a number is one, a list of one is its item, null is the empty value."""
    if isinstance(value, list) and len(value) == 1 and kind != "array":
        value = value[0]
    if kind == "string" and not isinstance(value, str | list | dict):
        return "" if value is None else str(value).lower() if isinstance(value, bool) else f"{value}"
    if kind == "integer" and not isinstance(value, list | dict):
        number = 0 if value is None else value
        if isinstance(value, str) and NUMBER.fullmatch(value):
            number = float(value)
        if isinstance(number, int | float) and number == number // 1:
            return int(number)
    if kind == "boolean" and value in (None, 0, 1, "true", "false"):
        return value in (1, "true")
    if kind == "array" and not isinstance(value, list | dict):
        return [value]
    if isinstance(value, {"string": str, "array": list, "object": dict}.get(kind, ())):
        return value
    raise Unfit(f"{where} must be {kind}")


def _any_of(value: Any, branches: list[Schema], where: str) -> Any:
    faults = []
    for branch in branches:
        try:
            return fit(value, branch, where)
        except Unfit as fault:
            faults.append(str(fault))
    raise Unfit(", ".join([*faults, f"{where} must match a schema in anyOf"]))


def _items(value: list[Any], schema: Schema, where: str) -> list[Any]:
    if len(value) < schema.get("minItems", 0):
        raise Unfit(f"{where} must NOT have fewer than {schema['minItems']} items")
    if len(value) > schema.get("maxItems", len(value)):
        raise Unfit(f"{where} must NOT have more than {schema['maxItems']} items")
    return (
        [fit(one, schema["items"], f"{where}/{n}") for n, one in enumerate(value)]
        if "items" in schema
        else value
    )


def _properties(value: dict[str, Any], schema: Schema, where: str) -> dict[str, Any]:
    for name in schema.get("required", ()):
        if name not in value:
            raise Unfit(f"{where} must have required property '{name}'")
    known = schema.get("properties", {})
    return {
        name: fit(one, known[name], f"{where}/{name}") if name in known else one
        for name, one in value.items()
    }
