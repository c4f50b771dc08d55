"""What a person sees while the environment is made: one line a step, and one sentence when it fails."""

from __future__ import annotations

import contextlib
import errno
import re
import shutil
import sys
import time
from collections.abc import Iterator

USAGE = 2
"""Exit code: something that the person must put right (a full disk, a damaged lock file, no pip)."""
BROKEN = 3
"""Exit code: the surroundings failed (an index out of reach, an installer that crashed)."""

_CREDENTIALS = re.compile(r"(?<=//)[^/@\s]+@")
_TOKENS = re.compile(r"(?i)(_auth\w*|password|token)(\s*[=:]\s*)\S+")


class SetupError(Exception):
    """The environment cannot be made. The message is one whole sentence: what happened and what to do."""

    def __init__(self, message: str, code: int = BROKEN) -> None:
        super().__init__(redact(message))
        self.code = code


def redact(text: str) -> str:
    """`text` without the credentials that addresses and package managers' settings carry."""
    return _TOKENS.sub(r"\1\2***", _CREDENTIALS.sub("***@", text))


def say(text: str) -> None:
    """One line to the person, on stderr: stdout belongs to the command that is handed over to."""
    with contextlib.suppress(OSError, ValueError):
        print(f"assay: {redact(text)}", file=sys.stderr, flush=True)


def from_os(error: OSError, doing: str) -> SetupError:
    """The sentence for a failed system call of ours."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return SetupError(
            f"The disk is full{where} while {doing}: free some space and run this again.", USAGE
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return SetupError(
            f"No permission to write{where} while {doing}: "
            "run as the user who owns this checkout, or give it to this user with chown.",
            USAGE,
        )
    return SetupError(f"{error.strerror or error}{where} while {doing}: mend that and run this again.")


class SetupStep:
    """A step in progress: on a terminal its last line of output is shown; elsewhere a line now and then."""

    def __init__(self, title: str, every: float = 15.0) -> None:
        self.title = title
        self._every = every
        self._terminal = sys.stderr.isatty()
        self._began = time.monotonic()
        self._shown = self._began

    @property
    def seconds(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self._began

    def progress(self, line: str) -> None:
        """The installer said `line` (or nothing lately, when empty)."""
        now = time.monotonic()
        if self._terminal:
            if now - self._shown < 0.1:
                return
            width = shutil.get_terminal_size().columns - 1
            text = redact(f"assay: {self.title}: {self.seconds:.0f} s {line.strip()}")
            with contextlib.suppress(OSError):
                sys.stderr.write("\r\x1b[K" + text[:width])
                sys.stderr.flush()
        elif now - self._shown < self._every:
            return
        else:
            say(f"{self.title}: still at it after {self.seconds:.0f} s")
        self._shown = now

    def clear(self) -> None:
        """Take the passing line off the terminal."""
        if self._terminal:
            with contextlib.suppress(OSError):
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()


@contextlib.contextmanager
def step(title: str) -> Iterator[SetupStep]:
    """Announce a step, and what it took when it is over."""
    say(f"{title} …")
    running = SetupStep(title)
    try:
        yield running
    except BaseException:
        running.clear()
        raise
    running.clear()
    say(f"{title}: done in {running.seconds:.1f} s")
