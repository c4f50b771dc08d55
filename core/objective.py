"""Objectives: the numbers that a platform must meet. They are data, validated before any traffic."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from core.config import Document, StrictModel, nearest, read_toml
from core.errors import ConfigError
from core.toml_lines import Location

Direction = Literal["below", "above"]


class ObjectiveTable(StrictModel):
    """One number to be met, as its table in objectives.toml says it.

    `metric` is that of the samples or gauges (the objective's own identifier when empty); `limit` is in `unit`;
    `direction` says on which side of the limit is good. `percentile` (0 to 100) is judged for latencies; None means a
    share or a level (uptime, users). `samples` is the least number that may decide: no data never does. `blocks` False
    only warns. `by` names the labels whose groups are judged apart; `errors` is the largest share of failed operations
    in percent; `holding` are objectives that must hold in the same run; a decided value older than `stale_days` no
    longer counts.
    """

    title: str
    metric: str = ""
    unit: str
    direction: Direction
    limit: float
    percentile: float | None = Field(None, gt=0, lt=100)
    samples: int = Field(ge=1)
    service: str
    requirement: str
    profile: str | None = None
    blocks: bool = True
    labels: dict[str, str] = Field(default_factory=dict)
    clock: str = ""
    by: tuple[str, ...] = ()
    errors: float | None = Field(None, ge=0, le=100)
    holding: tuple[str, ...] = ()
    stale_days: int = Field(14, ge=1)


class Objective(ObjectiveTable):
    """An objective with its identifier."""

    id: str


def load_objectives(path: Path, *overrides: Path) -> dict[str, Objective]:
    """The objectives of a TOML file, one table each, by identifier.

    `overrides` are further files of the same shape, one over the other, whose tables may hold only the keys that
    differ, or whole new objectives. Raises ConfigError with file and line for what is missing, misspelt or impossible.
    """
    document = read_toml(path)
    base = {identifier: table for identifier, _, table in _tables(document, document.data)}
    found = {i: _objective(document, i, at, table) for i, at, table in _tables(document, document.data)}
    for override in overrides:
        own = read_toml(override)
        for identifier, at, table in _tables(own, own.data, known=set(base)):
            if identifier not in base and "title" not in table:
                what = f"'{identifier}' is no objective, and a new one needs its title"
                raise own.wrong(at, f"{what}; {nearest(identifier, base)}")
            base[identifier] = {**base.get(identifier, {}), **table}
            found[identifier] = _objective(own, identifier, at, base[identifier])
    if not found:
        raise ConfigError(f"{path} holds no objective.")
    return found


def _tables(
    document: Document, data: Mapping[str, Any], at: Location = (), known: Collection[str] = ()
) -> Iterator[tuple[str, Location, dict[str, Any]]]:
    """Identifier, location and table of each; a table is one when it has a limit, a title, or a known name."""
    for key, value in data.items():
        here = (*at, key)
        identifier = ".".join(map(str, here))
        if not isinstance(value, dict):
            raise document.wrong(here, f"'{identifier}' stands outside any objective's table.")
        if "limit" in value or "title" in value or identifier in known:
            yield identifier, here, value
        else:
            yield from _tables(document, value, here, known)


def _objective(document: Document, identifier: str, at: Location, table: dict[str, Any]) -> Objective:
    given = document.model(ObjectiveTable, table, at)
    return Objective(**{**dict(given), "id": identifier, "metric": given.metric or identifier})
