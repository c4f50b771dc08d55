"""Mutes: alerts that nobody wants to hear of until a day. Read from alerts.toml; a verdict stays as it is."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from pydantic import Field

from core.config import StrictModel, Text, load_toml


class Mute(StrictModel):
    """Silence for one key (or a key's start, ending in `*`) until a day, by somebody, for a reason."""

    key: Text
    owner: Text
    reason: Text
    until: dt.date
    ticket: str = ""

    def names(self, key: str) -> bool:
        """Whether it is about this key, on whatever day."""
        return key.startswith(self.key[:-1]) if self.key.endswith("*") else key == self.key

    def covers(self, key: str, today: dt.date) -> bool:
        """Whether it silences this key today."""
        return self.names(key) and today <= self.until


class AlertsFile(StrictModel):
    """alerts.toml."""

    mutes: tuple[Mute, ...] = Field((), validation_alias="mute")


def load_mutes(path: Path) -> tuple[Mute, ...]:
    """The `[[mute]]` tables of alerts.toml; none without the file. Raises ConfigError for a wrong one."""
    return load_toml(path, AlertsFile).mutes if path.exists() else ()
