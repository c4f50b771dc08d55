"""Numbers and times as people read them. Used by every writer, so that one value looks the same everywhere."""

from __future__ import annotations

import datetime as dt
from math import isfinite


def number(value: float | None, digits: int = 3) -> str:
    """Three significant digits, thousands by comma, never an exponent; `-` for nothing, `∞` for no bound."""
    if value is None:
        return "-"
    if not isfinite(value):
        return "∞" if value > 0 else "0"
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 100:
        return f"{value:.0f}" if digits <= 3 else f"{value:.{digits - 3}f}"
    if size == 0:
        return "0"
    places = digits - 1
    while size >= 10:
        size /= 10
        places -= 1
    while size < 1 and places < 6:
        size *= 10
        places += 1
    text = f"{value:.{max(0, places)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def quantity(value: float | None, unit: str) -> str:
    """A number with its unit; percentages with enough digits to tell 99.9 from 99.95."""
    if value is None:
        return "-"
    if unit == "%":
        return f"{value:.3f}".rstrip("0").rstrip(".") + " %"
    return f"{number(value)} {unit}"


def count(n: int, one: str, many: str | None = None) -> str:
    """`1 check`, `2,400 checks`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def duration(seconds: float | None) -> str:
    """`0.4 s`, `45 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds is None:
        return "-"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 90:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def days(value: float) -> str:
    """`3 hours ago`, `2 days ago`."""
    if value < 1:
        hours = max(1, round(value * 24))
        return f"{hours} hour{'s' if hours != 1 else ''} ago"
    whole = round(value)
    return f"{whole} day{'s' if whole != 1 else ''} ago"


def moment(nanoseconds: int | None) -> str | None:
    """Wall-clock nanoseconds as ISO 8601 in UTC, to the second."""
    if nanoseconds is None:
        return None
    return dt.datetime.fromtimestamp(nanoseconds / 1e9, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day(seconds: float) -> str:
    """Seconds since 1970 as a day and minute in UTC."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%d %H:%M")
