"""The one error that the supervisor shows to people."""

from __future__ import annotations

USAGE = 2
BROKEN = 3


class StackError(Exception):
    """What happened, why, and what to do, in words for people; `code` is the exit code.

    2: the command or its surroundings cannot be used as given. 3: the stack or the machine failed.
    """

    def __init__(self, message: str, code: int = BROKEN) -> None:
        super().__init__(message)
        self.code = code


def name_error(error: OSError, doing: str) -> StackError:
    """Turn an operating system's refusal into one sentence; `doing` completes "Cannot ..."."""
    where = f" ({error.filename})" if error.filename else ""
    return StackError(f"Cannot {doing}: {error.strerror or error}{where}.", BROKEN)
