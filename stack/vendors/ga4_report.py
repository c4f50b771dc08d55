"""Reports of the GA4 Data API over kept events.

Source: Google, "Data API v1beta": `RunRealtimeReportRequest` and `RunReportRequest` (dimensions, metrics,
dimensionFilter with stringFilter, inListFilter, andGroup, orGroup, notExpression, limit, offset, orderBys),
"Realtime dimensions & metrics" (30 minutes; event-scoped custom dimensions only in core reports).
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from stack.vendors.store import needle

DIMENSIONS = ("eventName", "minutesAgo", "streamName", "platform", "date", "dateHour", "unifiedScreenName",
              "pageLocation", "country")  # fmt: skip
METRICS = ("eventCount", "activeUsers", "screenPageViews", "keyEvents", "totalUsers")
ONLY_REALTIME = {"minutesAgo", "unifiedScreenName"}
ONLY_CORE = {"date", "dateHour", "pageLocation"}


class BadReport(ValueError):
    """The request asks for what does not exist."""


def dimension(name: str, at: float, event: dict[str, Any], *, realtime: bool) -> str:
    """Return one dimension's value of one event; raises BadReport on a name that this report has not."""
    if name == "eventName":
        return str(event["name"])
    if name.startswith("customUser:"):
        holder = event["user_properties"].get(name.partition(":")[2], {})
        return str(holder.get("value", "(not set)"))
    if name.startswith("customEvent:") and not realtime:
        return str(event["params"].get(name.partition(":")[2], "(not set)"))
    if name not in DIMENSIONS or name in (ONLY_CORE if realtime else ONLY_REALTIME):
        raise BadReport(f"Field {name} is not a valid dimension.")
    when = datetime.fromtimestamp(at, UTC)
    values = {
        "minutesAgo": f"{max(0, int((time.time() - at) // 60)):02d}",
        "date": when.strftime("%Y%m%d"),
        "dateHour": when.strftime("%Y%m%d%H"),
        "unifiedScreenName": str(event["params"].get("page_title", "(not set)")),
        "pageLocation": str(event["params"].get("page_location", "(not set)")),
        "streamName": "platform",
        "platform": "web",
        "country": "(not set)",
    }
    return values[name]


def metric(name: str, events: list[dict[str, Any]]) -> str:
    """Return one metric over the events of one row; raises BadReport."""
    if name == "eventCount":
        return str(len(events))
    if name in ("activeUsers", "totalUsers"):
        return str(len({event["user_id"] or event["client_id"] for event in events}))
    if name == "screenPageViews":
        return str(sum(event["name"] in ("page_view", "screen_view") for event in events))
    if name == "keyEvents":
        return "0"
    raise BadReport(f"Field {name} is not a valid metric.")


def accepts(expression: dict[str, Any], value_of: Callable[[str], str]) -> bool:
    """Return whether a row's dimensions fit a FilterExpression; raises BadReport."""
    if "andGroup" in expression:
        return all(accepts(part, value_of) for part in expression["andGroup"]["expressions"])
    if "orGroup" in expression:
        return any(accepts(part, value_of) for part in expression["orGroup"]["expressions"])
    if "notExpression" in expression:
        return not accepts(expression["notExpression"], value_of)
    rule = expression.get("filter")
    if not isinstance(rule, dict) or "fieldName" not in rule:
        raise BadReport("A filter expression needs a filter with a fieldName.")
    value = value_of(rule["fieldName"])
    if "inListFilter" in rule:
        given = rule["inListFilter"]
        values = [str(item) for item in given.get("values", [])]
        if not given.get("caseSensitive"):
            value, values = value.lower(), [item.lower() for item in values]
        return value in values
    if "stringFilter" in rule:
        given = rule["stringFilter"]
        wanted = str(given.get("value", ""))
        kind = given.get("matchType", "EXACT")
        if kind.endswith("REGEXP"):
            flags = 0 if given.get("caseSensitive") else re.IGNORECASE
            found = (re.fullmatch if kind == "FULL_REGEXP" else re.search)(wanted, value, flags)
            return found is not None
        if not given.get("caseSensitive"):
            value, wanted = value.lower(), wanted.lower()
        judges: dict[str, bool] = {
            "EXACT": value == wanted,
            "BEGINS_WITH": value.startswith(wanted),
            "ENDS_WITH": value.endswith(wanted),
            "CONTAINS": wanted in value,
        }
        if kind not in judges:
            raise BadReport(f"Unknown matchType {kind}.")
        return judges[kind]
    raise BadReport("A filter needs a stringFilter or an inListFilter.")


def needles(expression: Any) -> tuple[str, ...]:
    """Return texts that an event must hold to fit: those compared exactly, all of which must fit."""
    if not isinstance(expression, dict):
        return ()
    parts = (expression.get("andGroup") or {}).get("expressions", [expression])
    rules = [(part.get("filter") or {}).get("stringFilter") or {} for part in parts if isinstance(part, dict)]
    exact = [
        rule for rule in rules if rule.get("matchType", "EXACT") == "EXACT" and rule.get("caseSensitive")
    ]
    return tuple(needle(str(rule.get("value", ""))) for rule in exact if rule.get("value") != "(not set)")


def _day(text: str) -> date:
    today = datetime.now(UTC).date()
    if text == "today":
        return today
    if text == "yesterday":
        return today - timedelta(days=1)
    if ago := re.fullmatch(r"(\d+)daysAgo", text):
        return today - timedelta(days=int(ago[1]))
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadReport(f"Invalid date {text}.") from error


def _within(asked: dict[str, Any], at: float) -> bool:
    day = datetime.fromtimestamp(at, UTC).date()
    ranges = asked["dateRanges"]
    return any(_day(one["startDate"]) <= day <= _day(one["endDate"]) for one in ranges)


def report(asked: Any, events: list[tuple[float, dict[str, Any]]], *, realtime: bool) -> dict[str, Any]:
    """Return the answer of `runRealtimeReport` or `runReport`; raises BadReport."""
    if not isinstance(asked, dict):
        raise BadReport("The request must be an object.")
    known = {"dimensions", "metrics", "dimensionFilter", "limit", "offset", "orderBys", "minuteRanges",
             "metricAggregations", "returnPropertyQuota", "dateRanges", "keepEmptyRows", "property"}  # fmt: skip
    if unknown := set(asked) - known:
        raise BadReport(f'Invalid JSON payload received. Unknown name "{min(unknown)}": Cannot find field.')
    if not realtime and not asked.get("dateRanges"):
        raise BadReport("At least one dateRange is required.")
    names = [str(item.get("name")) for item in asked.get("dimensions", [])]
    metrics = [str(item.get("name")) for item in asked.get("metrics", [])]
    if not names and not metrics:
        raise BadReport("At least one dimension or metric is required.")
    rows: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for name in names:  # refuse unknown ones also when there are no events
        dimension(name, time.time(), {"name": "", "params": {}, "user_properties": {}}, realtime=realtime)
    for name in metrics:
        metric(name, [])
    for at, event in events:
        if not realtime and not _within(asked, at):
            continue

        def value_of(name: str, at: float = at, event: dict[str, Any] = event) -> str:
            return dimension(name, at, event, realtime=realtime)

        if asked.get("dimensionFilter") and not accepts(asked["dimensionFilter"], value_of):
            continue
        rows[tuple(value_of(name) for name in names)].append(event)
    made = [
        {
            "dimensionValues": [{"value": value} for value in key],
            "metricValues": [{"value": metric(name, members)} for name in metrics],
        }
        for key, members in sorted(rows.items(), key=lambda item: -len(item[1]))
    ]
    offset, limit = int(asked.get("offset", 0)), int(asked.get("limit", 10_000))
    answer: dict[str, Any] = {
        "dimensionHeaders": [{"name": name} for name in names],
        "metricHeaders": [{"name": name, "type": "TYPE_INTEGER"} for name in metrics],
        "rows": made[offset : offset + limit],
        "rowCount": len(made),
        "kind": "analyticsData#runRealtimeReport" if realtime else "analyticsData#runReport",
    }
    if not realtime:
        answer["metadata"] = {"currencyCode": "USD", "timeZone": "Etc/UTC"}
    if not answer["rows"]:
        del answer["rows"]
    if not made:
        del answer["rowCount"]
    return answer
