"""What was made, and from what: one small file a part, written last, so that a half-made part has none."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from launcher.console import from_os
from launcher.project import Project, write

MADE = "made"
WORKING = "working"


@dataclass
class Stamp:
    """The record of one part.

    `state` is MADE, WORKING (a setup began and did not end: what is there is not to be trusted) or ""
    (never made by us). `entries` are names that must exist in `folder`, so that a damaged part is noticed.
    """

    part: str
    state: str = ""
    key: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    entries: dict[str, list[str]] = field(default_factory=dict)

    def whole(self) -> bool:
        """Every recorded name is still there."""
        for folder, names in self.entries.items():
            try:
                there = {entry.name for entry in Path(folder).iterdir()}
            except OSError:
                return False
            if not there.issuperset(names):
                return False
        return True

    def record(self, *folders: Path) -> None:
        """Remember the names that these folders hold now."""
        for folder in folders:
            with contextlib.suppress(OSError):
                self.entries[str(folder)] = sorted(
                    entry.name for entry in folder.iterdir() if entry.name != "__pycache__"
                )


def _path(project: Project, part: str) -> Path:
    return project.state / "stamps" / f"{part}.json"


def load(project: Project, part: str) -> Stamp:
    """The stamp of a part; one that cannot be read counts as a setup that did not end."""
    try:
        kept = json.loads(_path(project, part).read_bytes())
        return Stamp(part, str(kept["state"]), str(kept["key"]), dict(kept["facts"]), dict(kept["entries"]))
    except FileNotFoundError:
        return Stamp(part)
    except (ValueError, KeyError, TypeError):
        return Stamp(part, WORKING)
    except OSError as error:
        raise from_os(error, f"reading the stamp of {part}") from error


def save(project: Project, stamp: Stamp) -> None:
    """Write the stamp, whole."""
    kept = {"state": stamp.state, "key": stamp.key, "facts": stamp.facts, "entries": stamp.entries}
    write(_path(project, stamp.part), json.dumps(kept, indent=0, sort_keys=True) + "\n")
