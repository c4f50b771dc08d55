"""What the Measurement Protocol's validation server finds wrong with a payload.

Source: Google, "Measurement Protocol reference" (limits: 25 events, 25 parameters, names of 40 characters, values of 100,
but `page_title` 300, `page_referrer` 420, `page_location` 1,000; user property names of 24 and values of 36; reserved
names) and "Validate events" (codes: VALUE_INVALID, VALUE_REQUIRED, NAME_INVALID, NAME_RESERVED, VALUE_OUT_OF_BOUNDS,
EXCEEDED_MAX_ENTITIES, NAME_DUPLICATED).
"""

from __future__ import annotations

import re
from typing import Any

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
RESERVED_EVENTS = {
    "ad_activeview", "ad_click", "ad_exposure", "ad_query", "ad_reward", "adunit_exposure",
    "app_background", "app_clear_data", "app_exception", "app_install", "app_remove", "app_store_refund",
    "app_store_subscription_cancel", "app_store_subscription_convert", "app_store_subscription_renew",
    "app_update", "app_upgrade", "dynamic_link_app_open", "dynamic_link_app_update",
    "dynamic_link_first_open", "error", "firebase_campaign", "firebase_in_app_message_action",
    "firebase_in_app_message_dismiss", "firebase_in_app_message_impression", "first_open", "first_visit",
    "in_app_purchase", "notification_dismiss", "notification_foreground", "notification_open",
    "notification_receive", "notification_send", "os_update", "screen_view", "session_start",
    "user_engagement",
}  # fmt: skip
RESERVED_PARAMETERS = {"firebase_conversion"}
RESERVED_PROPERTIES = {
    "first_open_time", "first_visit_time", "last_deep_link_referrer", "user_id", "first_open_after_install",
}  # fmt: skip
RESERVED_PREFIXES = ("_", "firebase_", "ga_", "google_", "gtag.")
LONGER = {"page_title": 300, "page_referrer": 420, "page_location": 1000}
TOP_LEVEL = {
    "client_id", "app_instance_id", "user_id", "timestamp_micros", "user_properties", "user_data", "consent",
    "non_personalized_ads", "events", "validation_behavior", "ip_override", "user_location", "device",
    "user_agent",
}  # fmt: skip

Problem = dict[str, str]


def problem(path: str, description: str, code: str) -> Problem:
    """Return one validation message."""
    return {"fieldPath": path, "description": description, "validationCode": code}


def problems(payload: Any) -> list[Problem]:
    """Return the validation messages of a payload, none when it is right."""
    if not isinstance(payload, dict):
        return [problem("", "Unable to parse Measurement Protocol JSON payload.", "VALUE_INVALID")]
    found: list[Problem] = []
    for name in payload.keys() - TOP_LEVEL:
        text = f"Unable to parse Measurement Protocol JSON payload. {name}: Cannot find field."
        found.append(problem(name, text, "VALUE_INVALID"))
    if not payload.get("client_id") or not isinstance(payload.get("client_id"), str):
        text = "Measurement requires a client_id or app_instance_id."
        found.append(problem("client_id", text, "VALUE_REQUIRED"))
    if "timestamp_micros" in payload and not _digits(payload["timestamp_micros"]):
        found.append(problem("timestamp_micros", "timestamp_micros must be an integer.", "VALUE_INVALID"))
    events = payload.get("events")
    if not isinstance(events, list) or not events:
        found.append(problem("events", "At least one event is required.", "VALUE_REQUIRED"))
        return found
    if len(events) > 25:
        found.append(problem("events", "At most 25 events are allowed.", "EXCEEDED_MAX_ENTITIES"))
    for index, event in enumerate(events):
        found += _event_problems(event, f"events[{index}]")
    found += _user_property_problems(payload.get("user_properties", {}))
    return found


def _digits(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, str) and value.isdigit()
    )


def _name_problems(name: Any, path: str, what: str, longest: int, reserved: set[str]) -> list[Problem]:
    if not isinstance(name, str) or not name:
        return [problem(path, f"{what} name is required.", "VALUE_REQUIRED")]
    if not NAME.fullmatch(name):
        text = f"{what} name [{name}] must start with a letter and hold letters, digits and underscores."
        return [problem(path, text, "NAME_INVALID")]
    if len(name) > longest:
        return [problem(path, f"{what} name [{name}] is longer than {longest}.", "NAME_INVALID")]
    if name in reserved or name.startswith(RESERVED_PREFIXES):
        return [problem(path, f"{what} has name [{name}] which is reserved.", "NAME_RESERVED")]
    return []


def _event_problems(event: Any, path: str) -> list[Problem]:
    if not isinstance(event, dict):
        return [problem(path, "An event must be an object.", "VALUE_INVALID")]
    found = _name_problems(event.get("name"), path, "Event", 40, RESERVED_EVENTS)
    for name in event.keys() - {"name", "params", "timestamp_micros"}:
        found.append(problem(f"{path}.{name}", f"{name}: Cannot find field.", "VALUE_INVALID"))
    params = event.get("params", {})
    if not isinstance(params, dict):
        return [*found, problem(f"{path}.params", "params must be an object.", "VALUE_INVALID")]
    if len(params) > 25:
        found.append(problem(f"{path}.params", "At most 25 parameters.", "EXCEEDED_MAX_ENTITIES"))
    for name, value in params.items():
        where = f"{path}.params"
        found += _name_problems(name, where, "Event parameter", 40, RESERVED_PARAMETERS)
        most = LONGER.get(name, 100)
        if isinstance(value, str) and len(value) > most:
            text = f"Value of [{name}] is over {most} characters."
            found.append(problem(where, text, "VALUE_OUT_OF_BOUNDS"))
        if isinstance(value, dict) or (isinstance(value, list) and name != "items"):
            found.append(problem(where, f"Value of [{name}] must be text or number.", "VALUE_INVALID"))
    return found


def _user_property_problems(given: Any) -> list[Problem]:
    if not isinstance(given, dict):
        return [problem("user_properties", "user_properties must be an object.", "VALUE_INVALID")]
    found: list[Problem] = []
    if len(given) > 25:
        text = "At most 25 user properties."
        found.append(problem("user_properties", text, "EXCEEDED_MAX_ENTITIES"))
    for name, holder in given.items():
        found += _name_problems(name, "user_properties", "User property", 24, RESERVED_PROPERTIES)
        value = holder.get("value") if isinstance(holder, dict) else None
        if value is None:
            text = f"User property [{name}] has no value."
            found.append(problem("user_properties", text, "VALUE_REQUIRED"))
        elif isinstance(value, str) and len(value) > 36:
            text = f"Value of user property [{name}] is over 36 characters."
            found.append(problem("user_properties", text, "VALUE_OUT_OF_BOUNDS"))
    return found
