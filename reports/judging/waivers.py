"""Waivers: named exceptions with an owner and an end. Read from waivers.toml; expired ones no longer count."""

from __future__ import annotations

import datetime as dt
import tomllib
from pathlib import Path

from core.errors import ConfigError
from reports.judging.model import Waiver

_FIELDS = ("check", "reason", "owner", "ticket", "expiry")


def load_waivers(path: Path, today: dt.date | None = None) -> list[Waiver]:
    """The waivers of a file of `[[waiver]]` tables; none when there is no file.

    `check` names a check or an objective. Raises ConfigError when a field is missing, empty or unknown.
    """
    if not path.exists():
        return []
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}; mend that line.") from None
    if set(document) - {"waiver"}:
        raise ConfigError(
            f"{path}: '{sorted(set(document) - {'waiver'})[0]}' is not known; write [[waiver]]."
        )
    entries = document.get("waiver", [])
    if not isinstance(entries, list):
        raise ConfigError(f"{path}: write [[waiver]] with two brackets, once for each waiver.")
    return [
        _waiver(entry, f"{path.name}, waiver {n}", today or dt.date.today())
        for n, entry in enumerate(entries, 1)
    ]


def _waiver(entry: dict[str, object], where: str, today: dt.date) -> Waiver:
    for key in entry:
        if key not in _FIELDS:
            raise ConfigError(f"{where}: '{key}' is not known; known are {', '.join(_FIELDS)}.")
    values: dict[str, str] = {}
    for key in _FIELDS:
        value = entry.get(key)
        if key == "expiry" and isinstance(value, dt.date):
            value = value.isoformat()
        if not isinstance(value, str) or not value.strip():
            raise ConfigError(f"{where}: '{key}' is missing; a waiver names {', '.join(_FIELDS)}.")
        values[key] = value.strip()
    try:
        expiry = dt.date.fromisoformat(values["expiry"])
    except ValueError:
        raise ConfigError(f"{where}: expiry '{values['expiry']}' is not a date like 2027-01-31.") from None
    return Waiver(**values, expired=expiry < today)
