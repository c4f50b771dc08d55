"""What the terminal shows of made runs, as `recorded/` keeps it.

python -m tests.reports.recorded_terminal     writes it anew, after the terminal's words have changed
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console

import reports
from core.events import ComponentDied
from reports.judging.judge import judge
from reports.judging.model import RunVerdict, Waiver
from reports.judging.mutes import Mute
from reports.rendering.columns import reflowed
from tests.reports.made import Made

FOLDER = Path(__file__).parent / "recorded"
WIDTHS = (80, 40)
KINDS: dict[str, dict[str, Any]] = {
    "passing": {},
    "missed": {
        "outcomes": {
            "storage.large-file": {
                "outcome": "missed",
                "message": "no object in R2 under the key that the answer names",
                "expected": "6 MB object in bucket files",
                "saw": "404",
            }
        }
    },
    "known": {
        "outcomes": {
            "storage.large-file": {"outcome": "missed", "message": "no object in R2"},
            "kv.hit-and-miss": {"outcome": "missed", "message": "the second answer is a miss again"},
            "ga4.event": {"outcome": "missed", "message": "the event did not arrive"},
        }
    },
    "broken": {"extra": [ComponentDied("postgres", -9, "logs/stack/postgres.log")]},
    "unknown": {"samples": {"perf.database": 3000, "perf.upload": 8, "perf.rooms": 90}},
}


WAIVERS = [
    Waiver("storage.large-file", "the bucket moves", "ada", "OPS-7", "2020-01-31", expired=True),
    Waiver("kv.hit-and-miss", "KV is slow in one region", "bo", "OPS-8", "2099-12-31"),
]
MUTES = [
    Mute(
        key="storage.*", owner="ada", reason="the bucket moves", until=dt.date(2099, 12, 31), ticket="OPS-7"
    ),
    Mute(key="ga4.event", owner="cy", reason="Google was ill", until=dt.date(2020, 1, 31)),
]
"""Of what is known of the failing checks: in force and ended ones."""


def texts(folder: Path) -> Iterator[tuple[str, str]]:
    """The screen of each kind of run at each width, and the gate's, by the name of its file."""
    for kind, changes in KINDS.items():
        waivers, mutes = (WAIVERS, MUTES) if kind == "known" else ([], [])
        verdict = judge(Made(folder / kind, **changes).write(), waivers=waivers, mutes=mutes)
        verdict.seconds = 166.0
        for width in WIDTHS:
            yield f"{kind}-{width}.txt", screen(verdict, width)
            yield (
                f"{kind}-gate-{width}.txt",
                reflowed(reports.gate(verdict, width=width)[0], width, 13) + "\n",
            )


def screen(verdict: RunVerdict, width: int) -> str:
    """What a pipe or a dumb terminal of this width gets."""
    out = StringIO()
    reports.show(verdict, Console(file=out, width=width, highlight=False))
    return out.getvalue()


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for name, text in texts(Path(scratch)):
            (FOLDER / name).write_text(text, encoding="utf-8")
