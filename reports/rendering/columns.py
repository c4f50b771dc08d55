"""Tables of plain text for terminals of any width: columns leave whole, numbers are never cut."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from core.console import width as width_of

GAP = "  "


@dataclass(frozen=True)
class Column:
    """One column. `leaves` orders what goes first where the terminal is narrow; 0 stays. One that `wraps` may
    become as narrow as that many characters, its text on several lines; then other columns leave."""

    head: str
    right: bool = False
    leaves: int = 0
    wraps: int = 0


def laid_out(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    """The header and each row as lines of text, none longer than `width` unless a single word or number is."""
    table = [[column.head for column in columns], *rows]
    shown = list(range(len(columns)))
    natural = [max(len(row[i]) for row in table) for i in shown]
    least = [min(n, columns[i].wraps) or n for i, n in enumerate(natural)]
    for leaving in sorted((i for i in shown if columns[i].leaves), key=lambda i: columns[i].leaves):
        if _total([least[i] for i in shown]) <= width:
            break
        shown.remove(leaving)
    sizes = _sizes([natural[i] for i in shown], [least[i] for i in shown], width)
    return [_lines([row[i] for i in shown], [columns[i] for i in shown], sizes) for row in table]


def _total(sizes: Sequence[int]) -> int:
    return sum(sizes) + len(GAP) * (len(sizes) - 1)


def _sizes(natural: Sequence[int], least: Sequence[int], width: int) -> list[int]:
    """As wide as the text is; the widest of those that wrap gives way until all fit."""
    sizes = list(natural)
    while _total(sizes) > width:
        room = [at for at, size in enumerate(sizes) if size > least[at]]
        if not room:
            break
        sizes[max(room, key=lambda at: sizes[at])] -= 1
    return sizes


def _lines(cells: Sequence[str], columns: Sequence[Column], sizes: Sequence[int]) -> list[str]:
    wrapped = [
        textwrap.wrap(cell, size, break_long_words=True) or [""] if column.wraps else [cell]
        for cell, column, size in zip(cells, columns, sizes, strict=True)
    ]
    lines = []
    for number in range(max(map(len, wrapped), default=0)):
        parts = [
            f"{cell[number] if number < len(cell) else '':{'>' if column.right else '<'}{size}}"
            for cell, column, size in zip(wrapped, columns, sizes, strict=True)
        ]
        lines.append(GAP.join(parts).rstrip())
    return lines


def reflowed(text: str, width: int, hanging: int) -> str:
    """`text` with each line wrapped; what follows a wrapped line's first is indented by so many columns."""
    lines: list[str] = []
    for line in text.splitlines():
        first = line[:hanging]
        body = textwrap.wrap(
            line, width, subsequent_indent=" " * (hanging if width >= 60 else 2), drop_whitespace=True
        )
        lines += body if len(line) > width and first else [line]
    return "\n".join(lines)


def paragraph(text: str, width: int, first: str = "", hanging: int = 2) -> list[str]:
    """`text` behind `first` as lines no wider than `width`, unless a single word is; all but the first are indented."""
    return textwrap.wrap(
        first + " ".join(text.split()),
        width,
        subsequent_indent=" " * (hanging if width >= 60 else min(hanging, 2)),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first.rstrip()]


def print_paragraph(text: str, first: str = "", hanging: int = 2) -> None:
    """A paragraph on standard output, as wide as the terminal is."""
    print("\n".join(paragraph(text, width_of(terminal=sys.stdout.isatty()), first, hanging)), flush=True)


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """A table on standard output, as wide as the terminal is."""
    for lines in laid_out(columns, rows, width_of(terminal=sys.stdout.isatty())):
        print("\n".join(lines))
