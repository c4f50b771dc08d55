"""Text from outside, made safe for where it goes: evidence, a terminal, the log of a CI job.

A service, a library or a check's author may say anything: half a surrogate pair, NUL, escape sequences, workflow
commands, twenty megabytes. Nothing of it may break a file, move a cursor, command a runner or fill a disk. What is
replaced stays visible, and what is cut says how much.
"""

from __future__ import annotations

import re
from typing import Any

LONGEST = 64 * 1024
"""Characters of one text that evidence keeps."""
_SURROGATES = re.compile("[\ud800-\udfff]")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_INVISIBLE = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")
"""Marks that reorder or hide what follows (Unicode UAX #9 and #31); joiners stay, since emoji and scripts need them."""
_COMMANDS = re.compile(r"^([^\S\n]*)(:)(?=:)|(?:^|(?<=.))##(?=\[|[a-zA-Z]+\[)", re.MULTILINE)
"""GitHub takes `::name` at the start of a line (blanks before it are skipped) and `##[name` anywhere in it; Azure and
TeamCity read `##vso[` and `##teamcity[`."""


def whole(text: str) -> str:
    """`text` as UTF-8 can hold it: a lone surrogate becomes U+FFFD, as the WHATWG encoding standard has it."""
    return _SURROGATES.sub("\ufffd", text) if not text.isascii() else text


def capped(text: str, limit: int = LONGEST, of: int = 0) -> str:
    """At most `limit` characters, the beginning and the end, with what was cut told between them.

    `of` is how long `text` was before an earlier cut, whose words in its middle go with this one.
    """
    if len(text) <= limit:
        return text
    head = limit * 3 // 4
    tail = limit - head
    of = of or len(text)
    return f"{text[:head]}\n… {of - limit:,} of {of:,} characters left out …\n{text[-tail:]}"


def safe(text: str, limit: int = LONGEST, of: int = 0) -> str:
    """`text` for evidence and everything made from it: whole, capped, control and invisible characters shown.

    Tabs and line feeds stay; a carriage return before a line feed goes.
    """
    text = capped(text, limit, of)
    if text.isascii() and text.isprintable():
        return text
    text = whole(text.replace("\r\n", "\n"))
    text = _CONTROLS.sub(_shown, text)
    return text if text.isascii() else _INVISIBLE.sub(_shown, text)


def safe_value(value: Any, limit: int = LONGEST) -> Any:
    """A JSON-like value with every string in it safe, keys included."""
    if isinstance(value, str):
        return safe(value, limit)
    if isinstance(value, dict):
        return {safe(str(key), limit): safe_value(item, limit) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [safe_value(item, limit) for item in value]
    return value


def for_log(text: str) -> str:
    """`text` for the log of a CI job: no line of it is a command to the runner (GitHub, Azure, TeamCity)."""
    return _COMMANDS.sub(lambda found: (found[1] or "") + (": " if found[2] else "# #"), text)


def on_one_line(text: str, limit: int = 300) -> str:
    """The first line that says something, cut with an ellipsis."""
    line = next((line.strip() for line in safe(text).splitlines() if line.strip()), "")
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _shown(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)  # the control pictures of Unicode
    return "\u2421" if code == 0x7F else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
