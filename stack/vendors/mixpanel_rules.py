"""Mixpanel's rules: what a record must be, what an operation does to a profile, what an export's `where` means.

Sources: Mixpanel's API reference and the OpenAPI descriptions behind it (mixpanel/docs, `openapi/`).
"""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from typing import Any

OLDEST_IMPORTED = 365 * 86_400
"""1971-01-01 in epoch seconds."""
LARGEST_EVENT, MOST, DEEPEST = 1_048_576, 255, 3
INSERT_ID = re.compile(r"[A-Za-z0-9-]{1,36}")
NOBODY = {"00000000-0000-0000-0000-000000000000", "anon", "anonymous", "nil", "none", "null", "n/a", "na",
          "undefined", "unknown", "<nil>", "0", "-1", "true", "false", "[]", "{}"}  # fmt: skip
"""Values that "Import events" refuses as `distinct_id` and as `$insert_id`."""


def epoch(value: Any) -> float | None:
    """Return epoch seconds of a `time` in seconds or milliseconds, now when absent, None when unreadable."""
    if value is None:
        return time.time()
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number / 1000 if number > 1e11 else number


def wrong_event(event: Any) -> str | None:
    """Return why `/track` does not count this as an event, None when it does; whose token it is, is not asked."""
    if not isinstance(event, dict) or not isinstance(event.get("properties"), dict):
        return "properties, missing or empty"
    if not isinstance(event.get("event"), str) or not event["event"]:
        return "event, missing or empty"
    return None if event["properties"].get("token") else "token, missing or empty"


def wrong_import(event: Any) -> tuple[str, str] | None:
    """Return the field and message for which strict import refuses an event, None when it takes it."""
    if not isinstance(event, dict) or not isinstance(event.get("properties"), dict):
        return "properties", "'properties' is missing or not an object"
    properties = event["properties"]
    if not isinstance(event.get("event"), str) or not event["event"]:
        return "event", "'event' is missing or empty"
    if why := oversized(event):
        return "properties", f"'properties' goes beyond a limit: {why}"
    if properties.get("time") is None:
        return "properties.time", "'properties.time' is required"
    at = epoch(properties["time"])
    if at is None:
        return "properties.time", "'properties.time' is invalid: must be specified as unix time"
    if not OLDEST_IMPORTED <= at <= time.time() + 3600:
        message = "'properties.time' is invalid: must be after 1971-01-01 and not over 1 hour ahead"
        return "properties.time", message
    if "distinct_id" not in properties and "$user_id" not in properties and "$device_id" not in properties:
        return "properties.distinct_id", "'properties.distinct_id' is required"
    if str(properties.get("distinct_id")) in NOBODY:
        return "properties.distinct_id", "'properties.distinct_id' names nobody"
    insert_id = str(properties.get("$insert_id", ""))
    if insert_id in NOBODY or not INSERT_ID.fullmatch(insert_id):
        return "properties.$insert_id", "'properties.$insert_id' must be 1 to 36 of A-Z, a-z, 0-9 and -"
    return None


def oversized(event: dict[str, Any]) -> str | None:
    """Return which limit of size an event goes beyond, None when it keeps to all.

    Source: "Import events": under 1 MB, fewer than 255 properties, likewise keys of a nested object and elements of
    an array, nested at most three deep.
    """
    if len(json.dumps(event, ensure_ascii=False).encode()) >= LARGEST_EVENT:
        return "event, 1 MB or more"

    def too_many(value: Any, depth: int) -> str | None:
        if not isinstance(value, dict | list):
            return None
        if len(value) >= MOST:
            return f"{MOST} or more properties, keys or elements"
        if depth > DEEPEST:
            return f"nested more than {DEEPEST} deep"
        parts = value.values() if isinstance(value, dict) else value
        return next((why for part in parts if (why := too_many(part, depth + 1))), None)

    return too_many(event["properties"], 0)


def truncated(value: Any) -> Any:
    """Return a value with every text in it cut to 255 characters, as Mixpanel keeps them."""
    if isinstance(value, dict):
        return {name: truncated(part) for name, part in value.items()}
    if isinstance(value, list):
        return [truncated(part) for part in value]
    return value[:255] if isinstance(value, str) else value


def wrong_profile(update: Any) -> str | None:
    """Return why `/engage` does not count this as an update, None when it does."""
    if not isinstance(update, dict):
        return "data, missing or empty"
    if not update.get("$token"):
        return "$token, missing or empty"
    return None if update.get("$distinct_id") not in (None, "") else "$distinct_id, missing or empty"


def wrong_group(update: Any) -> str | None:
    """Return why `/groups` does not count this as an update, None when it does."""
    if not isinstance(update, dict):
        return "data, missing or empty"
    if not update.get("$token"):
        return "$token, missing or empty"
    return None if update.get("$group_key") else "$group_key, missing or empty"


def change(properties: dict[str, Any], update: dict[str, Any]) -> None:
    """Do to a profile's properties what an update's operations say."""
    properties.update(update.get("$set") or {})
    for name, value in (update.get("$set_once") or {}).items():
        properties.setdefault(name, value)
    for name, value in (update.get("$add") or {}).items():
        properties[name] = properties.get(name, 0) + value
    for name, value in (update.get("$append") or {}).items():
        properties[name] = [*properties.get(name, []), value]
    for name, values in (update.get("$union") or {}).items():
        present = properties.get(name, [])
        properties[name] = present + [value for value in values if value not in present]
    for name, value in (update.get("$remove") or {}).items():
        properties[name] = [item for item in properties.get(name, []) if item != value]
    for name in update.get("$unset") or []:
        properties.pop(name, None)
    properties["$last_seen"] = datetime.now(UTC).isoformat(timespec="seconds")


def where(expression: str) -> Any:
    """Return the judge of an export's `where`: comparisons of `properties["name"]` joined by `and`.

    Source: Mixpanel, "Segmentation expressions", of which this is the part that names one value.
    Raises ValueError on anything else.
    """
    if not expression.strip():
        return lambda _properties: True
    conditions = []
    for part in re.split(r"\s+and\s+", expression.strip()):
        match = re.fullmatch(
            r"""\(?\s*properties\[["']([^"']+)["']\]\s*(==|!=)\s*(?:["'](.*)["']|(-?[\d.]+))\s*\)?""", part
        )
        if match is None:
            raise ValueError(f"cannot read where from {part!r}")
        name, operator, text, number = match.groups()
        conditions.append((name, operator, text if number is None else float(number)))
    return lambda properties: all(
        (properties.get(name) == wanted) == (operator == "==") for name, operator, wanted in conditions
    )
