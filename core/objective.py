"""Objectives: the numbers that a platform must meet. They are data, validated before any traffic."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.errors import ConfigError

Direction = Literal["below", "above"]


@dataclass(frozen=True)
class Objective:
    """One number to be met.

    `metric` is that of the samples or gauges; `limit` is in `unit`; `direction` says on which side of the
    limit is good. `percentile` (0 to 100) is judged for latencies; None means a share or a level (uptime,
    users). `samples` is the least number that may decide. `blocks` False only warns. `by` names the labels
    whose groups are judged apart; `errors` is the largest share of failed operations in percent; `holding`
    are objectives that must hold in the same run; a decided value older than `stale_days` no longer counts.
    """

    id: str
    title: str
    metric: str
    unit: str
    direction: Direction
    limit: float
    percentile: float | None
    samples: int
    service: str
    requirement: str
    profile: str | None = None
    blocks: bool = True
    labels: tuple[tuple[str, str], ...] = ()
    clock: str = ""
    by: tuple[str, ...] = ()
    errors: float | None = None
    holding: tuple[str, ...] = ()
    stale_days: int = 14


_KEYS = {
    "title": str,
    "metric": str,
    "unit": str,
    "direction": str,
    "limit": (int, float),
    "percentile": (int, float),
    "samples": int,
    "service": str,
    "requirement": str,
    "profile": str,
    "blocks": bool,
    "labels": dict,
    "clock": str,
    "by": list,
    "errors": (int, float),
    "holding": list,
    "stale_days": int,
}
_OPTIONAL = {
    "percentile",
    "profile",
    "blocks",
    "labels",
    "clock",
    "metric",
    "by",
    "errors",
    "holding",
    "stale_days",
}


def load_objectives(path: Path, override: Path | None = None) -> dict[str, Objective]:
    """The objectives of a TOML file, one table each, by identifier.

    `override` is a second file of the same shape whose tables may hold only the keys that differ, or whole
    new objectives. Raises ConfigError with file and line for what is missing, misspelt or impossible.
    """
    text, document = _document(path)
    found = {
        identifier: _objective(identifier, table, f"{path.name} line {_line_of(text, identifier)}")
        for identifier, table in _tables(document)
    }
    if override is not None:
        base = dict(_tables(document))
        text, document = _document(override)
        for identifier, table in _tables(document, known=set(base)):
            where = f"{override.name} line {_line_of(text, identifier)}"
            found[identifier] = _objective(identifier, {**base.get(identifier, {}), **table}, where)
    if not found:
        raise ConfigError(f"{path} holds no objective.")
    return found


def _document(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; it holds the objectives.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}; mend that line.") from None


def _tables(
    document: dict[str, Any], prefix: str = "", known: Collection[str] = ()
) -> list[tuple[str, dict[str, Any]]]:
    """Identifier and table of each objective; a table is one when it has a limit, a title, or a known name."""
    tables: list[tuple[str, dict[str, Any]]] = []
    for key, value in document.items():
        if not isinstance(value, dict):
            raise ConfigError(f"objectives: '{prefix}{key}' stands outside any objective's table.")
        if "limit" in value or "title" in value or prefix + key in known:
            tables.append((prefix + key, value))
        else:
            tables += _tables(value, f"{prefix}{key}.", known)
    return tables


def _line_of(text: str, identifier: str) -> int:
    plain = identifier.replace('"', "")
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip().strip("[]").replace('"', "") == plain:
            return number
    return 1


def _objective(identifier: str, table: dict[str, Any], where: str) -> Objective:
    for key, value in table.items():
        if key not in _KEYS:
            raise ConfigError(f"{where}: '{key}' is not known; known are {', '.join(_KEYS)}.")
        kind = _KEYS[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):  # type: ignore[arg-type]
            raise ConfigError(f"{where}: '{key}' has the wrong type.")
    for key in _KEYS:
        if key not in table and key not in _OPTIONAL:
            raise ConfigError(f"{where}: '{key}' is missing.")
    if table["direction"] not in ("below", "above"):
        raise ConfigError(f"{where}: direction is '{table['direction']}'; write below or above.")
    percentile = table.get("percentile")
    if percentile is not None and not 0 < percentile < 100:
        raise ConfigError(f"{where}: percentile {percentile} lies outside 0 to 100.")
    if table["samples"] < 1:
        raise ConfigError(f"{where}: samples must be at least 1, since no data never decides.")
    return Objective(
        id=identifier,
        title=table["title"],
        metric=table.get("metric", identifier),
        unit=table["unit"],
        direction=table["direction"],
        limit=float(table["limit"]),
        percentile=percentile,
        samples=table["samples"],
        service=table["service"],
        requirement=table["requirement"],
        profile=table.get("profile"),
        blocks=table.get("blocks", True),
        labels=tuple(sorted((str(k), str(v)) for k, v in table.get("labels", {}).items())),
        clock=table.get("clock", ""),
        by=tuple(str(label) for label in table.get("by", [])),
        errors=None if "errors" not in table else float(table["errors"]),
        holding=tuple(str(other) for other in table.get("holding", [])),
        stale_days=table.get("stale_days", 14),
    )
