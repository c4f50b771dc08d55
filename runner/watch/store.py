"""What a watch remembers: every probe and every incident, in SQLite, whole after a kill.

One watch writes at a time: the kernel's lock on a file beside the database ends with its process.
"""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core.errors import ConfigError
from runner.watch.burn import MONTH, Outcome

_SCHEMA = """
create table if not exists probes (at real not null, name text not null, well integer not null, seconds real not null,
    words text not null);
create index if not exists probes_by_name on probes (name, at);
create table if not exists incidents (name text not null, opened real not null, ended real, words text not null,
    announced_opening integer not null default 0, announced_end integer not null default 0);
"""


@dataclass(frozen=True)
class Probed:
    """One probe of one service: when (Unix seconds), whether well, how long it took, and what was answered."""

    at: float
    name: str
    well: bool
    seconds: float
    words: str


@dataclass(frozen=True)
class Incident:
    """A time in which a service was not as it must be; `ended` is None while it lasts."""

    number: int
    name: str
    opened: float
    ended: float | None
    words: str
    announced_opening: bool
    announced_end: bool


class Store:
    """The database `watch.sqlite` of a folder. Raises ConfigError where another watch holds the folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "watch.lock").open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise ConfigError(
                f"another watch keeps its state in {folder}; end it, or name another --keep."
            ) from None
        self._data = sqlite3.connect(folder / "watch.sqlite", isolation_level=None)
        self._data.execute("pragma journal_mode = wal")
        self._data.executescript(_SCHEMA)

    def newest(self) -> float:
        """When the last probe was, 0 before the first."""
        return float(self._data.execute("select coalesce(max(at), 0) from probes").fetchone()[0])

    def add(self, probes: Iterable[Probed]) -> None:
        """Keeps one round of probes, all or none; forgets those older than a month."""
        rows = [(p.at, p.name, p.well, p.seconds, p.words) for p in probes]
        self._data.execute("begin")
        self._data.executemany("insert into probes values (?, ?, ?, ?, ?)", rows)
        if rows:
            self._data.execute("delete from probes where at < ?", (rows[0][0] - MONTH,))
        self._data.execute("commit")

    def names(self) -> list[str]:
        """Every service that was ever probed."""
        return [row[0] for row in self._data.execute("select distinct name from probes order by name")]

    def outcomes(self, name: str, since: float = 0.0) -> list[Outcome]:
        """The probes of one, the oldest first."""
        rows = self._data.execute(
            "select at, well from probes where name = ? and at >= ? order by at", (name, since)
        )
        return [Outcome(at, bool(well)) for at, well in rows]

    def last(self, name: str) -> Probed | None:
        """The newest probe of one."""
        row = self._data.execute(
            "select at, name, well, seconds, words from probes where name = ? order by at desc limit 1",
            (name,),
        ).fetchone()
        return Probed(row[0], row[1], bool(row[2]), row[3], row[4]) if row else None

    def incidents(self, *, open_only: bool = False, most: int = 100) -> list[Incident]:
        """The newest first."""
        rows = self._data.execute(
            "select rowid, name, opened, ended, words, announced_opening, announced_end from incidents "
            "where ended is null or not ? order by opened desc limit ?",
            (open_only, most),
        )
        return [Incident(a, b, c, d, e, bool(f), bool(g)) for a, b, c, d, e, f, g in rows]

    def open(self, name: str, at: float, words: str) -> None:
        """Begins an incident."""
        self._data.execute(
            "insert into incidents (name, opened, ended, words) values (?, ?, null, ?)", (name, at, words)
        )

    def end(self, incident: Incident, at: float) -> None:
        """Ends an incident."""
        self._data.execute("update incidents set ended = ? where rowid = ?", (at, incident.number))

    def stated(self, incident: Incident, *, ended: bool) -> None:
        """Remembers that somebody was told, so that a watch that starts again does not say it twice."""
        column = "announced_end" if ended else "announced_opening"
        self._data.execute(f"update incidents set {column} = 1 where rowid = ?", (incident.number,))  # noqa: S608

    def close(self) -> None:
        """Lets the folder go."""
        self._data.close()
        self._lock.close()
