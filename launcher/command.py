"""Installers as subprocesses: watched, logged, and their failure put into one sentence."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from launcher.console import BROKEN, USAGE, SetupError, SetupStep, redact

_KEPT = 400
_FULL = re.compile(r"No space left on device|ENOSPC|EDQUOT|Disk quota exceeded|File too large|EFBIG")
_HASH = re.compile(r"DO NOT MATCH THE HASHES|[Hh]ash mismatch|EINTEGRITY|integrity checksum failed")
_DENIED = re.compile(r"Permission denied|EACCES|Read-only file system|EROFS")
_AWAY = re.compile(
    r"Temporary failure in name resolution|Name or service not known|[Mm]ax retries exceeded"
    r"|NewConnectionError|ConnectTimeout|ReadTimeout|EAI_AGAIN|ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT"
    r"|ENETUNREACH|ENOTCACHED|network connectivity|error sending request|CERTIFICATE_VERIFY_FAILED"
    r"|unable to get local issuer|self.signed certificate|Could not resolve|Failed to fetch|disabled by --offline"
)
_ABSENT = re.compile(
    r"No matching distribution found for (\S+)|because (\S+) was not found|notarget.* for (\S+)|E404.*'(\S+)'"
)
_LOUD = re.compile(r"(?i)^\s*(npm )?(error|\u00d7|e:|fatal)\b")


class CommandError(SetupError):
    """A command exited with something else than 0. `output` is its last lines, without credentials."""

    def __init__(self, message: str, output: str, code: int) -> None:
        super().__init__(message, code)
        self.output = output


def run(
    argv: Sequence[str | Path],
    *,
    step: SetupStep,
    env: Mapping[str, str],
    cwd: Path,
    log: Path,
    what: str,
    lock: str,
    keep: Sequence[int] = (),
    timeout: float = 1800.0,
) -> str:
    """Run an installer and return its output (the last lines).

    `what` names it in errors, `lock` the file that pins what it installs. `keep` are descriptors that it
    inherits: the setup lock, so that an installer which outlives a killed launcher still holds others off.
    `timeout` is in seconds. Raises CommandError, worded for a person.
    """
    lines: list[str] = []
    try:
        child = subprocess.Popen(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(env),
            cwd=cwd,
            pass_fds=tuple(keep),
            start_new_session=True,
        )
    except OSError as error:
        raise CommandError(
            f"{what} could not be started: {error.strerror} ({argv[0]}).", "", BROKEN
        ) from error
    with child, _log(log) as record:
        try:
            code = _follow(child, step, lines, record, timeout)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGTERM)
            raise
    output = "\n".join(lines[-_KEPT:])
    if code == 0:
        return output
    raise explain(output, code, what, lock, log)


def explain(output: str, code: int | None, what: str, lock: str, log: Path) -> CommandError:
    """The sentence for an installer that failed (`code` None: it took too long)."""
    see = f" (all it said: {log})"
    if _FULL.search(output):
        said = f"The disk is full: {what} could not finish; free some space and run this again{see}."
        return CommandError(said, output, USAGE)
    if _HASH.search(output):
        said = (
            f"A package does not have the hash that {lock} records, so it was not installed: "
            f"restore the lock file (git checkout -- {lock}) or clear the package cache{see}."
        )
        return CommandError(said, output, USAGE)
    if _DENIED.search(output):
        said = f"{what} was not allowed to write: run as the user who owns this checkout{see}."
        return CommandError(said, output, USAGE)
    if _AWAY.search(output):
        said = (
            f"The package index could not be reached: {what} needs the network this once, "
            f"or an index that pip's and npm's settings name{see}."
        )
        return CommandError(said, output, BROKEN)
    absent = _ABSENT.search(output)
    if absent:
        said = (
            f"The package index could not be reached, or it lacks {next(filter(None, absent.groups()))} "
            f"for this Python and machine: {lock} pins it{see}."
        )
        return CommandError(said, output, BROKEN)
    if code is None:
        return CommandError(f"{what} took too long and was ended{see}.", output, BROKEN)
    telling = [line for line in output.splitlines() if _LOUD.match(line)] or output.splitlines()[-1:]
    last = telling[0].strip()[:200] if telling else "it said nothing"
    return CommandError(f"{what} failed with exit code {code}: {last}{see}.", output, BROKEN)


def _follow(
    child: subprocess.Popen[bytes], step: SetupStep, lines: list[str], record: IO[str] | None, timeout: float
) -> int | None:
    """Read the child's output to its end. None when it had to be ended for taking more than `timeout`."""
    pipe = child.stdout
    if pipe is None:  # it was asked for above
        return child.wait()
    ends = time.monotonic() + timeout
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while time.monotonic() < ends:
            if not selector.select(timeout=1.0):
                step.progress("")
                continue
            block = os.read(pipe.fileno(), 65536)
            *whole, rest = (rest + (block or b"\n")).replace(b"\r", b"\n").split(b"\n")
            for raw in whole:
                line = redact(raw.decode("utf-8", "replace").rstrip())
                if line:
                    lines.append(line)
                    del lines[: -2 * _KEPT]
                    if record is not None:
                        with contextlib.suppress(OSError):
                            print(line, file=record, flush=True)
                    step.progress(line)
            if not block:
                return child.wait()
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    return None


@contextlib.contextmanager
def _log(path: Path) -> Iterator[IO[str] | None]:
    """The log file, or None when it cannot be written: a full disk must not hide the installer's own words."""
    record: IO[str] | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        record = path.open("w", encoding="utf-8", errors="replace")
    except OSError:
        record = None
    try:
        yield record
    finally:
        if record is not None:
            with contextlib.suppress(OSError):
                record.close()
