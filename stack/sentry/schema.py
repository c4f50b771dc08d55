"""What in a payload breaks Sentry's published event schema, said as Sentry's Web API says it (`errors`).

The schema is Sentry's own (getsentry/sentry-data-schemas, `relay/event.schema.json`), read from the
installed Bugsink, which ships it unchanged. Sentry takes such a payload all the same, drops the wrong
value and shows an error of type `invalid_data`; so does this, when the event is read.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import jsonschema

from stack.sentry.bugsink import VENV


@functools.cache
def validator() -> Any:
    """Return the schema's validator; raises FileNotFoundError where Bugsink is not installed."""
    for path in VENV.glob("lib/python3.*/site-packages/api/event.schema.json"):
        return jsonschema.Draft7Validator(json.loads(path.read_text()))
    raise FileNotFoundError(f"{VENV} holds no api/event.schema.json: is Bugsink installed?")


def errors_of(payload: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one entry for each top-level field whose value the schema refuses.

    Fields are tried one at a time: the schema's `anyOf` would else only say that the whole is wrong.
    """
    schema = validator()
    event = schema.schema["anyOf"][0]
    found = []
    for name, value in payload.items():
        described = event["properties"].get(name)
        if described is None or schema.evolve(
            schema=described | {"definitions": schema.schema["definitions"]}
        ).is_valid(value):
            continue
        data = {"name": name, "value": value, "reason": "does not fit the event schema"}
        found.append({"type": "invalid_data", "message": "Discarded invalid value", "data": data})
    return found
