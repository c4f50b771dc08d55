"""How Sentry's Web API shows an error, an issue and a transaction.

Source: Sentry's API reference, "Retrieve an Event for a Project", "List a Project's Error Events", "List an
Organization's Issues": names in camel case, the payload as `entries` by interface, tags as a list.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from stack.sentry.variables import ORGANISATION, PROJECT, PROJECT_ID

INTERFACES = ("exception", "message", "logentry", "breadcrumbs", "request", "threads", "debug_meta", "spans")
ENTRY_NAMES = {"logentry": "message", "debug_meta": "debugmeta"}
FRAME_NAMES = {
    "abs_path": "absPath", "filename": "filename", "lineno": "lineNo", "colno": "colNo", "module": "module",
    "function": "function", "in_app": "inApp", "vars": "vars", "package": "package",
}  # fmt: skip


def iso(value: float | str | None) -> str | None:
    """Return a time as Sentry writes it."""
    if value is None:
        return None
    if isinstance(value, str):
        return datetime.fromisoformat(value).astimezone(UTC).isoformat().replace("+00:00", "Z")
    return datetime.fromtimestamp(value, UTC).isoformat().replace("+00:00", "Z")


def part(data: dict[str, Any], name: str) -> dict[str, Any]:
    """Return an object inside a payload; an empty one where it is absent or, wrongly, something else."""
    value = data.get(name)
    return value if isinstance(value, dict) else {}


def sdk_of(data: dict[str, Any]) -> dict[str, Any]:
    """Return what sent a payload, by name and version: all that Sentry shows of it."""
    return {name: part(data, "sdk").get(name) for name in ("name", "version")}


def tags_of(data: dict[str, Any]) -> list[dict[str, str]]:
    """Return an event's tags with those that Sentry makes of its fields."""
    given = data.get("tags") or {}
    listed = given.items() if isinstance(given, dict) else given if isinstance(given, list) else []
    pairs = [(pair[0], pair[1]) for pair in listed if isinstance(pair, list | tuple) and len(pair) == 2]
    user = part(data, "user")
    made = {
        "environment": data.get("environment") or "production",
        "release": data.get("release"),
        "dist": data.get("dist"),
        "level": data.get("level") or "error",
        "server_name": data.get("server_name"),
        "transaction": data.get("transaction"),
        "url": part(data, "request").get("url"),
        "user": f"id:{user['id']}" if user.get("id") else None,
    }
    known = {str(key) for key, _ in pairs}
    pairs += [(key, value) for key, value in made.items() if value and key not in known]
    return [{"key": str(key), "value": str(value)} for key, value in sorted(pairs)]


def exceptions(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the exceptions of a payload, whichever of the two forms they are in."""
    given = data.get("exception") or {}
    found = given.get("values") if isinstance(given, dict) else given
    return [one for one in (found if isinstance(found, list) else []) if isinstance(one, dict)]


def title_of(event: dict[str, Any]) -> str:
    """Return an error's title: type and value, or its message."""
    data = event["data"]
    if found := exceptions(data):
        last = found[-1]
        return f"{last.get('type', 'Error')}: {last.get('value', '')}".rstrip(": ")
    entry = data.get("logentry") or data.get("message") or ""
    text = entry.get("formatted") or entry.get("message") if isinstance(entry, dict) else entry
    return str(text or "<unlabeled event>")


def _frame(frame: dict[str, Any]) -> dict[str, Any]:
    shown = {new: frame.get(old) for old, new in FRAME_NAMES.items()}
    line = frame.get("lineno") or 0
    before = frame.get("pre_context") or []
    after = frame.get("post_context") or []
    lines = [*before, frame.get("context_line"), *after]
    first = line - len(before)
    shown["context"] = [[first + index, text] for index, text in enumerate(lines) if text is not None]
    return shown


def _stacktrace(trace: Any) -> dict[str, Any] | None:
    if not isinstance(trace, dict):
        return None
    frames = [_frame(frame) for frame in trace.get("frames") or [] if isinstance(frame, dict)]
    return {"frames": frames, "framesOmitted": None, "registers": None, "hasSystemFrames": False}


def entries_of(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the payload's interfaces as Sentry's `entries`."""
    entries = []
    for name in INTERFACES:
        if not data.get(name):
            continue
        value: Any = data[name]
        if name == "exception":
            value = {
                "values": [
                    {
                        "type": one.get("type"),
                        "value": one.get("value"),
                        "module": one.get("module"),
                        "mechanism": one.get("mechanism"),
                        "stacktrace": _stacktrace(one.get("stacktrace")),
                    }
                    for one in exceptions(data)
                ],
                "hasSystemFrames": False,
                "excOmitted": None,
            }
        elif name in ("message", "logentry"):
            text = value.get("formatted") or value.get("message") if isinstance(value, dict) else value
            value = {"formatted": text}
        elif name == "breadcrumbs" and isinstance(value, list):
            value = {"values": value}
        entries.append({"type": ENTRY_NAMES.get(name, name), "data": value})
    return entries


def error_shape(event: dict[str, Any], *, full: bool) -> dict[str, Any]:
    """Return an error as the Web API shows it, with `full` the whole payload."""
    data = event["data"]
    user = data.get("user")
    shown: dict[str, Any] = {
        "id": event["event_id"],
        "event.type": "error" if exceptions(data) else "default",
        "eventID": event["event_id"],
        "groupID": str(event["issue"]["id"]),
        "projectID": str(PROJECT_ID),
        "title": title_of(event),
        "message": title_of(event) if not exceptions(data) else "",
        "location": None,
        "culprit": data.get("transaction") or "",
        "dateCreated": iso(event["timestamp"]),
        "platform": data.get("platform", "other"),
        "tags": tags_of(data),
        "user": {"ip_address": None, **user} if isinstance(user, dict) else None,
    }
    if not full:
        return shown
    release = data.get("release")
    return shown | {
        "dateReceived": iso(event["received"]),
        "type": shown["event.type"],
        "metadata": {
            "type": event["issue"]["type"],
            "value": event["issue"]["value"],
        },
        "entries": entries_of(data),
        "contexts": data.get("contexts") or {},
        "context": data.get("extra") or {},
        "dist": data.get("dist"),
        "release": {"version": release} if release else None,
        "sdk": sdk_of(data),
        "packages": data.get("modules") or {},
        "fingerprints": data.get("fingerprint") or [],
        "errors": [],
        "size": len(str(data)),
        "_meta": data.get("_meta") or {},
    }


def search_fields(event: dict[str, Any]) -> dict[str, Any]:
    """Return what a search may ask of an error."""
    data = event["data"]
    found = exceptions(data)
    user = part(data, "user")
    return {
        **{tag["key"]: tag["value"] for tag in tags_of(data)},
        "id": event["event_id"],
        "event.type": "error",
        "title": title_of(event),
        "message": title_of(event),
        "error.type": [one.get("type") for one in found],
        "error.value": [one.get("value") for one in found],
        "user.id": user.get("id"),
        "user.email": user.get("email"),
        "user.username": user.get("username"),
        "platform": data.get("platform"),
        "issue": str(event["issue"]["id"]),
        "trace": part(part(data, "contexts"), "trace").get("trace_id"),
        "timestamp": iso(event["timestamp"]),
    }


def issue_shape(issue: dict[str, Any], newest: dict[str, Any]) -> dict[str, Any]:
    """Return an issue as the Web API shows it."""
    data = newest["data"]
    return {
        "id": str(issue["id"]),
        "shortId": f"{PROJECT.upper()}-{issue['id']}",
        "title": title_of(newest),
        "culprit": data.get("transaction") or "",
        "level": data.get("level") or "error",
        "status": "resolved" if issue["resolved"] else "unresolved",
        "statusDetails": {},
        "substatus": None if issue["resolved"] else "new" if issue["count"] == 1 else "ongoing",
        "isPublic": False,
        "platform": data.get("platform", "other"),
        "project": {"id": str(PROJECT_ID), "name": PROJECT, "slug": PROJECT, "platform": None},
        "type": "error",
        "metadata": {"type": issue["type"], "value": issue["value"]},
        "count": str(issue["count"]),
        "userCount": 1 if data.get("user") else 0,
        "firstSeen": iso(issue["first_seen"]),
        "lastSeen": iso(issue["last_seen"]),
        "permalink": f"/organizations/{ORGANISATION}/issues/{issue['id']}/",
        "logger": data.get("logger"),
        "annotations": [],
        "assignedTo": None,
        "isBookmarked": False,
        "isSubscribed": False,
        "hasSeen": False,
        "numComments": 0,
    }


def transaction_shape(body: dict[str, Any], at: float) -> dict[str, Any]:
    """Return a transaction as the Web API shows it."""
    trace = part(part(body, "contexts"), "trace")
    return {
        "id": body["event_id"],
        "eventID": body["event_id"],
        "projectID": str(PROJECT_ID),
        "groupID": None,
        "type": "transaction",
        "title": body.get("transaction"),
        "message": "",
        "platform": body.get("platform", "other"),
        "dateCreated": iso(at),
        "startTimestamp": body.get("start_timestamp"),
        "endTimestamp": body.get("timestamp"),
        "tags": tags_of({"level": "info", **body}),
        "user": body.get("user"),
        "contexts": {**part(body, "contexts"), "trace": trace},
        "entries": [{"type": "spans", "data": body.get("spans") or []}],
        "measurements": body.get("measurements") or {},
        "release": {"version": body["release"]} if body.get("release") else None,
        "sdk": sdk_of(body),
        "errors": [],
        "_meta": {},
    }
