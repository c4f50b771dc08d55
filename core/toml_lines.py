"""On which line each key and list element of a TOML text stands; the standard parser does not keep that.

For text that `tomllib` has taken: this finds places, it judges nothing.
"""

from __future__ import annotations

import re
import tomllib

Location = tuple[str | int, ...]
"""Keys and list positions from the document's root: `("profiles", 0, "users")`."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_KEY = re.compile(r'"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|[A-Za-z0-9_-]+')
_STRING = re.compile(
    r'"""(?:\\.|(?!""")[^\\])*"{3,5}|'
    + r"'''(?:(?!''')[\s\S])*'{3,5}|"
    + r'"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'',
    re.DOTALL,
)
_BARE = re.compile(r"[^,\]\}\n#]+")


def lines_of(text: str) -> dict[Location, int]:
    """The line, from 1, of each key, table and list element by its location.

    A table that several lines speak of has the line of the first.
    """
    return _Scanner(text).document()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n")
        self._at = 0
        self._found: dict[Location, int] = {}
        self._elements: dict[Location, int] = {}  # how many tables each [[name]] has by now

    def document(self) -> dict[Location, int]:
        table: Location = ()
        while True:
            self._skip(_BLANK)
            if self._at >= len(self._text):
                return self._found
            if self._ahead("[["):
                table = self._header(2)
            elif self._ahead("["):
                table = self._header(1)
            else:
                self._pair(table)

    def _header(self, brackets: int) -> Location:
        line = self._line()
        self._at += brackets
        keys = self._keys()
        self._at += brackets
        table: Location = ()
        for key in keys[:-1]:
            table = self._newest((*table, key))
            self._found.setdefault(table, line)
        table = (*table, keys[-1])
        self._found.setdefault(table, line)
        if brackets == 2:
            number = self._elements.get(table, 0)
            self._elements[table] = number + 1
            table = (*table, number)
            self._found[table] = line
        return table

    def _newest(self, table: Location) -> Location:
        """A header below `[[name]]` speaks of the newest element."""
        number = self._elements.get(table)
        return table if number is None else (*table, number - 1)

    def _pair(self, table: Location) -> None:
        line = self._line()
        for key in self._keys():
            table = (*table, key)
            self._found.setdefault(table, line)
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(table)

    def _value(self, location: Location) -> None:
        if self._ahead("["):
            self._list(location)
        elif self._ahead("{"):
            self._inline_table(location)
        elif not self._skip(_STRING):
            self._skip(_BARE)

    def _list(self, location: Location) -> None:
        self._at += 1
        number = 0
        while self._more("]"):
            self._found[(*location, number)] = self._line()
            self._value((*location, number))
            number += 1

    def _inline_table(self, location: Location) -> None:
        self._at += 1
        while self._more("}"):
            self._pair(location)

    def _more(self, closing: str) -> bool:
        """Steps over blanks and commas; False, and past it, at the closing bracket."""
        self._skip(_BLANK)
        while self._ahead(","):
            self._at += 1
            self._skip(_BLANK)
        if self._ahead(closing) or self._at >= len(self._text):
            self._at += 1
            return False
        return True

    def _keys(self) -> list[str]:
        keys = []
        while True:
            self._skip(_SPACE)
            match = _KEY.match(self._text, self._at)
            if match is None:
                raise ValueError(f"no key on line {self._line()}")
            self._at = match.end()
            keys.append(_plain(match.group()))
            self._skip(_SPACE)
            if not self._ahead("."):
                return keys
            self._at += 1

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        match = pattern.match(self._text, self._at)
        if match is None:
            return False
        self._at = match.end()
        return True

    def _ahead(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _line(self) -> int:
        return self._text.count("\n", 0, self._at) + 1


def _plain(key: str) -> str:
    return str(tomllib.loads(f"key = {key}")["key"]) if key[0] in "\"'" else key
