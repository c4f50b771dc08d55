"""Ends processes that were left behind, where the guards could not."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

MARK = "ASSAY_STACK"
"""Set to the stack's folder in the environment of everything we start, so that left-overs can be told."""
MARK_COMPONENT = "ASSAY_COMPONENT"
"""Set beside it to the component's name."""
PATIENCE_S = 10.0


def find(state: Path) -> list[int]:
    """Living processes that carry the mark of the stack at `state`; none can be told off Linux."""
    mark = f"{MARK}={state}".encode()
    return _living(lambda entry, _: mark in (entry / "environ").read_bytes().split(b"\0"))


def end(state: Path) -> int:
    """SIGKILL to every left-over of the stack at `state`, until none is left. Returns how many there were."""
    return _end(lambda: find(state))


def end_component(state: Path, name: str, session: int) -> int:
    """SIGKILL to every process of a session, or marked as this component's, until none is left."""
    marks = {f"{MARK}={state}".encode(), f"{MARK_COMPONENT}={name}".encode()}

    def belongs(entry: Path, fields: list[str]) -> bool:
        return int(fields[3]) == session or marks <= set((entry / "environ").read_bytes().split(b"\0"))

    return _end(lambda: _living(belongs))


def _end(left: Callable[[], list[int]]) -> int:
    ended: set[int] = set()
    deadline = time.monotonic() + PATIENCE_S
    while (pids := left()) and time.monotonic() < deadline:
        for pid in pids:
            ended.add(pid)
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    return len(ended)


def _living(wanted: Callable[[Path, list[str]], bool]) -> list[int]:
    """Every process but ourselves for which `wanted(its /proc folder, its stat fields from the state on)`."""
    found: list[int] = []
    if sys.platform != "linux":
        return found
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if fields[0] not in "ZX" and wanted(entry, fields):
                found.append(int(entry.name))
        except OSError:
            continue
    return found
