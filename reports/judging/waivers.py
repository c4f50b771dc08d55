"""Waivers: named exceptions with an owner and an end. Read from waivers.toml; expired ones no longer count."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from pydantic import Field

from core.config import StrictModel, Text, load_toml
from reports.judging.model import Waiver


class WaiverTable(StrictModel):
    """One `[[waiver]]`. `check` names a check or an objective; it still counts on the day of its `expiry`."""

    check: Text
    reason: Text
    owner: Text
    ticket: Text
    expiry: dt.date


class WaiverFile(StrictModel):
    """waivers.toml."""

    waivers: tuple[WaiverTable, ...] = Field((), validation_alias="waiver")


def load_waivers(path: Path, today: dt.date | None = None) -> list[Waiver]:
    """The waivers of a file of `[[waiver]]` tables; none when there is no file.

    Raises ConfigError when a field is missing, empty or unknown.
    """
    if not path.exists():
        return []
    day = today or dt.date.today()
    return [
        Waiver(w.check, w.reason, w.owner, w.ticket, w.expiry.isoformat(), expired=w.expiry < day)
        for w in load_toml(path, WaiverFile).waivers
    ]
