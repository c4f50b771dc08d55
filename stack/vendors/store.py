"""Where the vendors keep what they were sent: one SQLite file, so that a restart loses nothing acknowledged.

Two kinds of thing are kept. A *document* (a monitor, a Builder.io entry) has a key and is replaced; an
*event* (a RUM view, a Mixpanel event) is appended and becomes visible only after the vendor's indexing
delay, as with the real ones.
"""

from __future__ import annotations

import contextlib
import contextvars
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LOSING: contextvars.ContextVar[bool] = contextvars.ContextVar("losing", default=False)
"""Set by a fault while one request is handled: the vendor answers as usual and keeps nothing."""

EVENTS_KEPT = 200_000
"""Events kept of one kind; the oldest go first, so that a night of load does not fill the disk."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
  kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, key)
);
CREATE TABLE IF NOT EXISTS events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, key TEXT, at REAL NOT NULL,
  visible REAL NOT NULL, body TEXT NOT NULL, UNIQUE (kind, key)
);
CREATE INDEX IF NOT EXISTS events_by_time ON events (kind, at);
"""


def needle(text: str) -> str:
    """Return how `text` stands inside the kept JSON, to narrow a search by."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


class Store:
    """Documents and events of all vendors, told apart by `kind` ("datadog.rum", "builder.entry")."""

    def __init__(self, path: Path | str) -> None:
        self._database = sqlite3.connect(str(path), isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=OFF")
        self._database.executescript(SCHEMA)
        self._appended = 0

    def close(self) -> None:
        """Close the file; later calls fail."""
        self._database.close()

    def put(self, kind: str, key: str, body: Any) -> None:
        """Write a document, replacing one with the same key."""
        if not LOSING.get():
            self._database.execute(
                "INSERT OR REPLACE INTO documents (kind, key, body) VALUES (?, ?, ?)",
                (kind, key, json.dumps(body, ensure_ascii=False)),
            )

    def get(self, kind: str, key: str) -> Any | None:
        """Return a document, or None."""
        row = self._database.execute(
            "SELECT body FROM documents WHERE kind = ? AND key = ?", (kind, key)
        ).fetchone()
        return None if row is None else json.loads(row[0])

    def delete(self, kind: str, key: str) -> bool:
        """Delete a document; False when there was none."""
        found = self._database.execute("DELETE FROM documents WHERE kind = ? AND key = ?", (kind, key))
        return found.rowcount > 0

    def all(self, kind: str) -> list[Any]:
        """Return every document of a kind, in the order of first writing."""
        rows = self._database.execute("SELECT body FROM documents WHERE kind = ? ORDER BY rowid", (kind,))
        return [json.loads(body) for (body,) in rows]

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Write what happens inside at once or not at all: much faster for a batch."""
        if self._database.in_transaction:
            yield
            return
        self._database.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def append(
        self, kind: str, body: Any, *, at: float | None = None, delay: float = 0, key: str | None = None
    ) -> bool:
        """Keep an event that happened `at` (epoch seconds, default now), visible `delay` seconds from now.

        With a `key`, a second event of the same kind and key is dropped and False returned (deduplication).
        """
        if LOSING.get():
            return True
        now = time.time()
        wrote = self._database.execute(
            "INSERT OR IGNORE INTO events (kind, key, at, visible, body) VALUES (?, ?, ?, ?, ?)",
            (kind, key, now if at is None else at, now + delay, json.dumps(body, ensure_ascii=False)),
        )
        self._appended += 1
        if self._appended % 10_000 == 0:
            self._forget(kind)
        return wrote.rowcount > 0

    def replace_event(self, kind: str, body: Any, *, key: str, at: float, delay: float) -> None:
        """Keep the newest version of an event; one that is visible stays so, with what it said last."""
        if LOSING.get():
            return
        self._database.execute(
            "INSERT INTO events (kind, key, at, visible, body) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body, at = excluded.at",
            (kind, key, at, time.time() + delay, json.dumps(body, ensure_ascii=False)),
        )

    def events(
        self,
        kind: str,
        *,
        since: float = 0,
        until: float = float("inf"),
        containing: tuple[str, ...] = (),
        limit: int | None = None,
        newest_first: bool = True,
    ) -> list[tuple[int, float, Any]]:
        """Return visible events as (sequence, epoch seconds, body) of `since` <= time <= `until`.

        `containing` narrows cheaply to bodies that hold each text somewhere; the caller still judges.
        """
        order = "DESC" if newest_first else "ASC"
        narrowing = " AND instr(body, ?) > 0" * len(containing)
        rows = self._database.execute(
            "SELECT seq, at, body FROM events WHERE kind = ? AND visible <= ? AND at BETWEEN ? AND ?"  # noqa: S608
            f"{narrowing} ORDER BY at {order}, seq {order} LIMIT ?",
            (
                kind,
                time.time(),
                since,
                min(until, 1e15),
                *containing,
                -1 if limit is None else limit,
            ),
        )
        return [(seq, at, json.loads(body)) for seq, at, body in rows]

    def forget_events(self, kind: str, sequences: list[int]) -> None:
        """Remove events for good (deletion requests)."""
        self._database.executemany(
            "DELETE FROM events WHERE kind = ? AND seq = ?", [(kind, seq) for seq in sequences]
        )

    def counts(self) -> dict[str, int]:
        """Return how many documents and events (visible or not) there are of each kind."""
        rows = self._database.execute(
            "SELECT kind, count(*) FROM events GROUP BY kind "
            "UNION ALL SELECT kind, count(*) FROM documents GROUP BY kind"
        )
        return dict(rows.fetchall())

    def _forget(self, kind: str) -> None:
        self._database.execute(
            "DELETE FROM events WHERE kind = ? AND seq <= (SELECT max(seq) FROM events WHERE kind = ?) - ?",
            (kind, kind, EVENTS_KEPT),
        )
