"""SIGINT and SIGTERM while a run is recorded and judged: the first one ends the run, none costs its report.

Where nothing is held a signal raises KeyboardInterrupt, as in any program; `main` ends by exit code 3 then.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
STOPPING = b"assay: stopping: what runs is ended, then the report is written\n"


class _Process:
    """The state of this process; the functions below alone change it."""

    ours = False
    """Whether it is a command's, which ends after its run; no test's, which goes on."""
    held = 0
    may_raise = False
    came = False


def let_through() -> None:
    """From here on both signals raise KeyboardInterrupt; those that came while Python started do so now.

    The launcher blocks them before it hands over, since an interpreter that starts cannot answer.
    """
    _Process.ours = True
    for number in SIGNALS:
        signal.signal(number, _take)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def ignore() -> None:
    """From here on the command ends by itself, with the exit code that it has; Python's own end would be by the signal."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def held() -> Iterator[None]:
    """Inside, signals are noted alone, but within `stoppable`. For a run from its beginning to its report."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread is ever interrupted
        yield
        return
    before = [signal.signal(number, _take) for number in SIGNALS]
    _Process.held += 1
    try:
        yield
    finally:
        _Process.held -= 1
        if not _Process.held:
            _Process.came = False
        if _Process.ours and not _Process.held:
            ignore()
        else:
            for number, handler in zip(SIGNALS, before, strict=True):
                signal.signal(number, handler)


@contextmanager
def stoppable() -> Iterator[None]:
    """Inside, the first signal raises KeyboardInterrupt, one that came before at once; what follows it is held."""
    _Process.may_raise = True
    try:
        if _Process.came:
            raise KeyboardInterrupt
        yield
    finally:
        _Process.may_raise = False


def _take(number: int, frame: FrameType | None) -> None:
    if not _Process.held:
        ignore()  # one is enough
        raise KeyboardInterrupt
    if not _Process.came:
        os.write(2, STOPPING)  # not by a stream, in whose middle the signal may have come
    _Process.came = True
    if _Process.may_raise:
        _Process.may_raise = False
        raise KeyboardInterrupt
