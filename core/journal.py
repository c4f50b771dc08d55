"""The append-only journal of a run: typed events as JSON lines, samples as CRC-framed binary blocks.

One pair of files a process, `journal/<role>-<pid>.jsonl` and `.samples`, opened by the first write after
any fork. Everything is handed to the kernel at least every 0.25 s, so a process killed with SIGKILL loses
at most what it recorded in its last quarter second (`durable=True` events: nothing). A machine that loses
power may lose what the kernel had not written yet. Readable while written: readers stop at the last whole
line and frame. Its writer holds a lock on the file of events; the kernel gives it back when the writer dies.

Frame of a `.samples` file: header `<4sB3xII` = magic `ASF1`, kind, payload bytes, CRC-32 of the payload;
kind `N` is a JSON object {series id: {metric, unit, labels}}, kind `S` an array of SAMPLE records.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import platform
import struct
import threading
import time
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from core.clock import now_ns
from core.errors import JournalError
from core.event import Event
from core.event_lines import FORMAT, to_line
from core.events import JournalClosed, JournalOpened
from core.outcome import Phase, SampleOutcome
from core.secret import Redactor

FLUSH_EVERY = 0.25
MAGIC = b"ASF1"
FRAME = struct.Struct("<4sB3xII")
KIND_SERIES = ord("N")
KIND_SAMPLES = ord("S")
BLOCK = 4096

SAMPLE = np.dtype(
    [
        ("series", "<u4"),
        ("outcome", "u1"),
        ("phase", "u1"),
        ("flags", "<u2"),
        ("intended", "<i8"),
        ("sent", "<i8"),
        ("done", "<i8"),
    ]
)
"""One measurement, 32 bytes; times in monotonic nanoseconds of the recording host."""


class Journal:
    """Where a process records. Thread-safe; safe to hold across a fork (the child opens its own files).

    `directory` is the run's folder; nothing is written but through `redactor`. With `background=False` nobody
    flushes but the caller and full blocks.
    """

    def __init__(self, directory: Path, role: str, redactor: Redactor, *, background: bool = True) -> None:
        self.directory = Path(directory)
        self.role = role
        self.redactor = redactor
        self._background = background
        self._lock = threading.RLock()
        self._pid = 0
        self._closed = False
        self._series: dict[str, int] = {}
        self._failed: str | None = None
        atexit.register(self.close)

    # -- recording -----------------------------------------------------------------------------------------

    def write(self, event: Event, *, durable: bool = False) -> None:
        """Records one event. `durable` hands it to the kernel before returning."""
        with self._lock:
            self._open()
            self._lines.append(to_line(event, now_ns(), self.redactor))
            if durable:
                self._flush()

    def series(self, metric: str, labels: Mapping[str, str] | None = None, unit: str = "ms") -> int:
        """The number under which samples of this metric and these labels are stored. No free text here."""
        key = json.dumps([metric, dict(sorted((labels or {}).items())), unit], ensure_ascii=False)
        with self._lock:
            self._open()
            number = self._series.get(key)
            if number is None:
                number = self._series[key] = len(self._series)
                self._named[number] = key
            return number

    def sample(
        self,
        series: int,
        *,
        intended: int,
        sent: int,
        done: int,
        outcome: SampleOutcome = SampleOutcome.OK,
        phase: Phase = Phase.STEADY,
        flags: int = 0,
    ) -> None:
        """Records one measurement; times in monotonic nanoseconds."""
        with self._lock:
            self._open()
            self._block[self._filled] = (series, outcome, phase, flags, intended, sent, done)
            self._filled += 1
            if self._filled == BLOCK:
                self._flush()

    def write_samples(self, samples: np.ndarray[Any, Any]) -> None:
        """Records a whole array of SAMPLE records; for load, which measures by the million."""
        if samples.dtype != SAMPLE:
            raise TypeError("write_samples takes an array of core.journal.SAMPLE records")
        if not len(samples):
            return
        with self._lock:
            self._open()
            self._frames.append(_frame(KIND_SAMPLES, samples.tobytes()))
            if len(self._frames) > 64:
                self._flush()

    def flush(self) -> None:
        """Hands everything recorded so far to the kernel. Raises JournalError when the disk refuses."""
        with self._lock:
            if self._pid == os.getpid() and not self._closed:
                self._flush()

    def close(self) -> None:
        """Flushes and marks the journal as closed by its writer, which a killed process cannot."""
        with self._lock:
            if self._closed or self._pid != os.getpid():
                return
            try:
                self._lines.append(to_line(JournalClosed(), now_ns(), self.redactor))
                self._flush()
            except JournalError:
                pass  # reported at the write that failed first
            finally:
                self._closed = True
                for file in (self._events_fd, self._samples_fd):
                    os.close(file)

    @property
    def failed(self) -> str | None:
        """Why evidence could no longer be written, or None."""
        return self._failed

    # -- files ---------------------------------------------------------------------------------------------

    def _open(self) -> None:
        if self._closed:
            raise JournalError("this journal is closed; record before closing it.")
        if self._failed:
            raise JournalError(self._failed)
        if self._pid == os.getpid():
            return
        pid = os.getpid()
        self._lines: list[bytes] = []
        self._frames: list[bytes] = []
        self._named: dict[int, str] = dict(enumerate(self._series))
        self._block = np.zeros(BLOCK, SAMPLE)
        self._filled = 0
        folder = self.directory / "journal"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._events_fd, self._samples_fd = _create_pair(folder, f"{self.role}-{pid}")
        except OSError as error:
            self._failed = (
                f"no journal can be opened in {folder}: {error.strerror}; free or choose another folder."
            )
            raise JournalError(self._failed) from error
        self._pid = pid
        self._lines.append(to_line(_header(self.role), now_ns(), self.redactor))
        self._flush()
        if self._background:
            threading.Thread(
                target=self._keep_flushing, args=(self._pid,), name="journal", daemon=True
            ).start()

    def _keep_flushing(self, pid: int) -> None:
        while not self._closed and self._pid == pid and not self._failed:
            time.sleep(FLUSH_EVERY * 0.8)
            try:
                self.flush()
            except JournalError:
                return  # kept in `failed`; the next record raises it

    def _flush(self) -> None:
        if self._filled:
            self._frames.append(_frame(KIND_SAMPLES, self._block[: self._filled].tobytes()))
            self._filled = 0
        if self._named:
            names = {number: _series_entry(key) for number, key in self._named.items()}
            self._frames.insert(0, _frame(KIND_SERIES, json.dumps(names).encode()))
            self._named = {}
        lines, self._lines = self._lines, []
        frames, self._frames = self._frames, []
        try:
            _append(self._samples_fd, b"".join(frames))
            _append(self._events_fd, b"".join(lines))
        except OSError as error:
            self._failed = (
                f"evidence could not be written to {self.directory / 'journal'} ({error.strerror}); "
                "what was written before is kept; free space and run again."
            )
            raise JournalError(self._failed) from error


def written_now(directory: Path) -> bool:
    """Whether a process that takes part in the run of this folder still writes its journal: a lock says so, no guess."""
    for path in (directory / "journal").glob("*.jsonl"):
        with suppress(FileNotFoundError), path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    return False


def _create_pair(folder: Path, stem: str) -> tuple[int, int]:
    """New files of that stem; a process number that came round again gets a suffix."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
    for number in range(1000):
        name = stem if not number else f"{stem}.{number}"
        try:
            events = os.open(folder / f"{name}.jsonl", flags, 0o644)
        except FileExistsError:
            continue
        with suppress(OSError):  # a file system without locks
            fcntl.flock(events, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return events, os.open(folder / f"{name}.samples", flags, 0o644)
    raise FileExistsError(17, "too many journals of one process number")


def _append(file: int, data: bytes) -> None:
    """Writes all of `data` or cuts the file back to where it was, so that no half frame is left behind."""
    if not data:
        return
    start = os.lseek(file, 0, os.SEEK_END)
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(file, view) :]
    except OSError:
        os.ftruncate(file, start)
        raise


def _frame(kind: int, payload: bytes) -> bytes:
    return FRAME.pack(MAGIC, kind, len(payload), zlib.crc32(payload)) + payload


def _series_entry(key: str) -> dict[str, Any]:
    metric, labels, unit = json.loads(key)
    return {"metric": metric, "labels": labels, "unit": unit}


def _header(role: str) -> JournalOpened:
    """The first line: ties this process's monotonic clock to the wall clock and names host and boot."""
    before = time.monotonic_ns()
    wall = time.time_ns()
    after = time.monotonic_ns()
    return JournalOpened(FORMAT, role, os.getpid(), platform.node(), _boot_id(), (before + after) // 2, wall)


def _boot_id() -> str:
    """Monotonic clocks compare only within one host and boot."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return platform.node()
