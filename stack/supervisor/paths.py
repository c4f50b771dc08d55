"""The files of a stack's folder, and the operations on them that must be atomic."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from stack.supervisor.errors import USAGE, StackError, name_error

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_STATE = ROOT / ".assay" / "stack"
FOLDER_READY = b"\0here\n"
"""What a new supervisor says on standard error when others may look at its folder; then it says no more there."""
KEPT_LOGS = 5
LEAST_FREE_BYTES = 600 * 2**20


class Paths:
    """Names of everything in a stack's folder."""

    def __init__(self, state: Path | None = None) -> None:
        self.state = (state or DEFAULT_STATE).expanduser().resolve()
        self.lease = self.state / "lease"
        """Every holder has a shared lock on it; the supervisor ends when it can lock it alone."""
        self.alive = self.state / "supervisor.lock"
        """Locked by the living supervisor from its first to its last moment."""
        self.start = self.state / "start.lock"
        """Locked by whoever looks whether there is a supervisor and starts one."""
        self.supervisor = self.state / "supervisor.json"
        """Who the supervisor is and in which phase: starting, ready, stopping."""
        self.stack = self.state / "stack.json"
        """What `env` and a second `up` answer from; private."""
        self.config = self.state / "CONFIG.json"
        """What the components read; private."""
        self.events = self.state / "events.jsonl"
        self.logs = self.state / "logs"
        self.data = self.state / "data"
        self.cache = ROOT / ".assay" / "cache"

    def make(self) -> None:
        """Make the stack's folder, private to us. Raises StackError when it cannot be written."""
        try:
            self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
            # A file without a shared name: of two who join at once, neither may take the other's away.
            tempfile.TemporaryFile(dir=self.state).close()
        except OSError as error:
            raise StackError(
                f"The stack's folder {self.state} cannot be written: {error.strerror}; "
                "give another one with --state.",
                USAGE,
            ) from error

    def begin(self) -> None:
        """Make room for a new life: earlier logs are moved aside (the last five are kept), data is emptied.

        Raises StackError when the disk is nearly full or the folder resists.
        """
        free = shutil.disk_usage(self.state).free
        if free < LEAST_FREE_BYTES:
            raise StackError(
                f"Only {free // 2**20} MB are free at {self.state}; a stack needs {LEAST_FREE_BYTES // 2**20} MB: "
                "free some, or give a folder on another disk with --state."
            )
        try:
            for name in (self.stack, self.config, self.events, self.supervisor):
                name.unlink(missing_ok=True)
            shutil.rmtree(self.data, ignore_errors=True)
            self._rotate_logs()
            for folder in (self.data, self.logs):
                folder.mkdir(mode=0o700)
            self.cache.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise name_error(error, f"prepare {self.state}") from error

    def _rotate_logs(self) -> None:
        if not self.logs.exists():
            return
        oldest = self.state / f"logs.{KEPT_LOGS}"
        shutil.rmtree(oldest, ignore_errors=True)
        for number in range(KEPT_LOGS - 1, 0, -1):
            older = self.state / f"logs.{number}"
            if older.exists():
                older.rename(self.state / f"logs.{number + 1}")
        self.logs.rename(self.state / "logs.1")


def write_private(path: Path, value: Any) -> None:
    """Write JSON that nobody else may read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(value, file, indent=1)
        temporary.replace(path)
    except OSError as error:
        raise name_error(error, f"write {path}") from error


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None when there is no such file. Raises StackError when it is something else."""
    try:
        value = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        raise StackError(f"{path} is damaged ({error}): end this stack with `assay down`.") from error
    if not isinstance(value, dict):
        raise StackError(f"{path} is damaged (no JSON object): end this stack with `assay down`.")
    return value


def digest(text: str) -> str:
    """Eight hexadecimal digits that belong to a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def sources() -> str:
    """A digest of when the files below `stack/` were changed: a running stack may be older than they are."""
    text = "".join(
        f"{file}{file.stat().st_mtime_ns}"
        for file in sorted((ROOT / "stack").rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    )
    return digest(text)


class Lock:
    """An advisory lock on a file, given back when closed or when the process dies, however it dies."""

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StackError(
                f"The stack's folder {path.parent} cannot be used: {error.strerror}.", USAGE
            ) from error

    def take(self, shared: bool = False) -> bool:
        """Try to lock, at once; True when the lock is ours."""
        try:
            fcntl.flock(self._descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def take_within(self, seconds: float) -> bool:
        """Try to lock, alone, for a while: who merely looks with `is_locked` holds it for a moment."""
        deadline = time.monotonic() + seconds
        while not self.take():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def close(self) -> None:
        """Unlock and close; may be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock of this file alone."""
    if not path.exists():
        return False
    lock = Lock(path)
    try:
        return not lock.take(shared=True)
    finally:
        lock.close()
