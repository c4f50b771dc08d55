"""The output of a process, passed on as text that commands nobody: for a terminal, a CI job's log, a file."""

from __future__ import annotations

import codecs
from collections.abc import Callable

from core.text import LONGEST, for_log, safe


class SafeStream:
    """Takes bytes as they come and gives text that may be shown: whole characters, masked, no escape sequences, no
    workflow commands, at most `most` characters in all.

    What cannot be part of a command is passed on at once, so that a row of progress dots is seen as it grows.
    """

    def __init__(self, mask: Callable[[str], str], most: int = 32 * 1024 * 1024) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._mask = mask
        self._left = most
        self._most = most
        self._held = ""
        self._line_began = False

    def take(self, data: bytes, *, last: bool = False) -> str:
        """What may be shown now; with `last` everything that was held back."""
        text = self._held + self._decode(data, last)
        lines = text.splitlines(keepends=True)
        self._held = ""
        if lines and not last and not lines[-1].endswith(("\n", "\r")) and self._must_wait(lines[-1]):
            self._held = lines.pop()
        return self._within("".join(map(self._line, lines)))

    def _must_wait(self, unfinished: str) -> bool:
        """Whether more of this line could make it a command or a secret; rows of dots and short words are neither."""
        if len(unfinished) > LONGEST:
            return False
        if not self._line_began and unfinished[0].isspace():
            return True
        return bool(unfinished.strip(" .sFExX%[]0123456789\t"))

    def _line(self, line: str) -> str:
        end = "\n" if line.endswith(("\n", "\r")) else ""
        text = safe(self._mask(line.rstrip("\r\n")))
        shown = text if self._line_began else for_log(text)
        self._line_began = not end
        return shown.replace("##[", "# #[") + end

    def _within(self, text: str) -> str:
        if self._left <= 0 or not text:
            return ""
        shown, self._left = text[: self._left], self._left - len(text)
        return (
            shown
            if self._left > 0
            else f"{shown}\n… more than {self._most:,} characters: the rest is left out …\n"
        )
