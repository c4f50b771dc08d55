"""What a terminal can show: how wide it is, and whether it takes more than ASCII.

`adapt` makes a stream write what the terminal can show: where the locale's character set is not UTF-8 (`LC_ALL=C`), every
sign of ours becomes ASCII. Colour is Rich's business, which knows NO_COLOR, dumb terminals and pipes.
"""

from __future__ import annotations

import codecs
import locale
import shutil
from io import TextIOWrapper

PIPED = 100
"""Columns of an output that is no terminal, unless COLUMNS says otherwise."""
_ASCII = {
    "✓": "+", "✗": "x", "○": "o", "·": "-", "…": "...", "∞": "inf", "≥": ">=", "≤": "<=", "→": "->",
    "\u00d7": "x", "\u2013": "-", "\u2014": "-", "\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"',
}  # fmt: skip


def to_ascii(text: str) -> str:
    """`text` in ASCII: our own signs by what they mean, everything else as a backslash escape."""
    if text.isascii():
        return text
    return "".join(c if c.isascii() else _ASCII.get(c) or _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode("ascii")


def _replace(error: UnicodeError) -> tuple[str, int]:
    """The error handler of streams: what cannot be encoded is written in ASCII."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return to_ascii(error.object[error.start : error.end]), error.end


codecs.register_error("assay.ascii", _replace)


def only_ascii() -> bool:
    """Whether the locale names a character set that is not UTF-8."""
    return locale.nl_langinfo(locale.CODESET).upper().replace("-", "") != "UTF8"


def adapt(*streams: object) -> None:
    """Makes text streams write what the terminal can show; nothing that is printed ends in an error."""
    for stream in streams:
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="assay.ascii", encoding="ascii" if only_ascii() else stream.encoding)


def width(*, terminal: bool) -> int:
    """Columns to write for: the terminal's own, or PIPED; COLUMNS in the environment counts for both."""
    return (
        shutil.get_terminal_size((PIPED, 24)).columns if not terminal else shutil.get_terminal_size().columns
    )
