"""Takes an SQL script apart into its statements, so that a failure can name the one that failed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# What may hold a semicolon that ends nothing, and what begins or ends such a part (PostgreSQL docs, "Lexical Structure").
TOKEN = re.compile(
    r"""--[^\n]*|/\*|(?<![\w$])[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|"""
    r"""(?<![\w$])\$((?:[A-Za-z_]\w*)?)\$.*?\$\1\$|(?P<mark>[();])|\b(?P<word>begin\s+atomic|case|end)\b""",
    re.S | re.I,
)
COMMENT = re.compile(r"/\*|\*/")
PSQL = re.compile(r"^\\(?:un)?restrict\b[^\n]*", re.M)  # pg_dump writes these for psql
EXTENSION = re.compile(r'\s*create\s+extension\s+(?:if\s+not\s+exists\s+)?"?([\w-]+)"?', re.I)
BLANK = re.compile(r"(?:\s+|--[^\n]*(?:\n|$))*")


@dataclass(frozen=True)
class Statement:
    """One statement and the line of the script that it begins on."""

    text: str
    line: int

    @property
    def extension(self) -> str | None:
        """The extension that it creates, if it does."""
        found = EXTENSION.match(self.text)
        return found[1] if found else None


def split(script: str) -> Iterator[Statement]:
    """The statements of ``script`` in order; what is no more than a comment is passed over."""
    script = PSQL.sub(lambda found: " " * len(found[0]), script)
    start, at, nested, body = 0, 0, 0, 0
    while token := TOKEN.search(script, at):
        at = token.end()
        word = re.sub(r"\s+", " ", (token["word"] or "").lower())
        if token[0] == "/*":
            at = _comment_end(script, at)
        elif word == "begin atomic" or (body and word == "case"):
            body += 1
        elif body and word == "end":
            body -= 1
        elif token["mark"] in ("(", ")"):
            nested = max(nested + (1 if token["mark"] == "(" else -1), 0)
        elif token["mark"] == ";" and not nested and not body:
            yield from _statement(script, start, at)
            start = at
    yield from _statement(script, start, len(script))


def _comment_end(script: str, at: int) -> int:
    """Where a comment ends whose inside begins at ``at``; comments nest."""
    depth = 1
    while depth and (mark := COMMENT.search(script, at)):
        depth += 1 if mark[0] == "/*" else -1
        at = mark.end()
    return at if not depth else len(script)


def _blank_end(script: str, at: int) -> int:
    found = BLANK.match(script, at)
    return found.end() if found else at


def _statement(script: str, start: int, end: int) -> Iterator[Statement]:
    begin = _blank_end(script, start)
    while script.startswith("/*", begin):
        begin = _blank_end(script, _comment_end(script, begin + 2))
    text = script[begin:end].strip()
    if text.strip("; \n\t\r"):
        yield Statement(text, script.count("\n", 0, begin) + 1)
