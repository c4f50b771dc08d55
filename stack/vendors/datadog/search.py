"""DataDog's search syntax over events: what RUM and log searches, and the monitors on them, are written in.

Source: DataDog, "RUM search syntax" and "Log search syntax": terms joined by AND (implied), OR, NOT or `-`;
parentheses; `@path:value` for attributes and `key:value` for reserved attributes and tags; `*` and `?`
wildcards; quotes; `[a TO b]`, `>`, `>=`, `<`, `<=` for numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Event = dict[str, Any]
"""An event as the API shows it: {"attributes": {...}, "service": ..., "tags": [...], "message": ...}."""

Predicate = Callable[[Event], bool]

RESERVED = ("service", "host", "status", "message", "source", "env", "version")
TOKEN = re.compile(
    r"""\s*(?:
      (?P<open>\() | (?P<close>\)) | (?P<negation>-(?=[@\w"(*])) |
      (?P<word>(?:[@\w.\-/$*?\\]+:)?(?:"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[<>]=?\s*-?[\d.]+|[^\s()"]+))
    )""",
    re.VERBOSE,
)


class BadSearch(ValueError):
    """The text is not a search query."""


@dataclass
class Search:
    """A parsed query: a predicate, and texts that every match must hold somewhere (to narrow by)."""

    predicate: Predicate
    needles: tuple[str, ...]


def values_at(attributes: Any, path: str) -> list[Any]:
    """Return every value at a dotted path, through lists; names with dots in them are found too."""
    if path == "":
        return list(attributes) if isinstance(attributes, list) else [attributes]
    if isinstance(attributes, list):
        return [value for item in attributes for value in values_at(item, path)]
    if not isinstance(attributes, dict):
        return []
    found: list[Any] = []
    parts = path.split(".")
    for count in range(1, len(parts) + 1):
        name = ".".join(parts[:count])
        if name in attributes:
            found += values_at(attributes[name], ".".join(parts[count:]))
    return found


def parse(text: str) -> Search:
    """Return the search that `text` means; an empty text or `*` matches everything. Raises BadSearch."""
    if text.strip() in ("", "*"):
        return Search(lambda _event: True, ())
    tokens = _tokens(text)
    predicate, rest = _alternatives(tokens)
    if rest:
        raise BadSearch(f"unexpected {rest[0][1]!r}")
    plain = {kind for kind, _ in tokens} == {"word"} and not {"OR", "NOT"} & {word for _, word in tokens}
    needles = tuple(needle for _, word in tokens if (needle := _needle(word))) if plain else ()
    return Search(predicate, needles)


def _needle(word: str) -> str:
    """Return a text that JSON of any match holds, or nothing where that is not sure."""
    if word == "AND" or '"' in word or "[" in word or re.search(r":[<>]", word):
        return ""
    value = word.rpartition(":")[2]
    pieces = re.findall(r"[A-Za-z0-9_.\-]+", value)
    longest = str(max(pieces, key=len)) if pieces else ""
    return longest if len(longest) >= 8 and re.search(r"[-_0-9]", longest) else ""


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, position = [], 0
    while position < len(text.rstrip()):
        match = TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise BadSearch(f"cannot read the query from {text[position : position + 20]!r}")
        tokens.append((match.lastgroup, match.group(match.lastgroup)))
        position = match.end()
    return tokens


Tokens = list[tuple[str, str]]


def _alternatives(tokens: Tokens) -> tuple[Predicate, Tokens]:
    left, tokens = _conjunction(tokens)
    options = [left]
    while tokens and tokens[0] == ("word", "OR"):
        right, tokens = _conjunction(tokens[1:])
        options.append(right)
    return (lambda event: any(option(event) for option in options)), tokens


def _conjunction(tokens: Tokens) -> tuple[Predicate, Tokens]:
    parts: list[Predicate] = []
    while tokens and tokens[0][0] != "close" and tokens[0] != ("word", "OR"):
        if tokens[0] == ("word", "AND"):
            tokens = tokens[1:]
            continue
        part, tokens = _term(tokens)
        parts.append(part)
    if not parts:
        raise BadSearch("a part of the query is empty")
    return (lambda event: all(part(event) for part in parts)), tokens


def _term(tokens: Tokens) -> tuple[Predicate, Tokens]:
    kind, word = tokens[0]
    if kind == "negation" or word == "NOT":
        if len(tokens) == 1:
            raise BadSearch("nothing follows a negation")
        inner, rest = _term(tokens[1:])
        return (lambda event: not inner(event)), rest
    if kind == "open":
        inner, rest = _alternatives(tokens[1:])
        if not rest or rest[0][0] != "close":
            raise BadSearch("a parenthesis is not closed")
        return inner, rest[1:]
    return _leaf(word), tokens[1:]


def _leaf(word: str) -> Predicate:
    match = re.match(r"^(?P<key>[@\w.\-/$*?]+):(?P<value>.+)$", word, re.DOTALL)
    if match is None or word.startswith('"'):
        accepts = _acceptor(word if word.startswith('"') else f"*{word}*")
        return lambda event: any(accepts(text) for text in _texts(event))
    key, accepts = match["key"], _acceptor(match["value"])
    if key.startswith("@"):
        return lambda event: any(accepts(value) for value in values_at(event.get("attributes"), key[1:]))
    if key == "_exists_":
        path = match["value"].removeprefix("@")
        return lambda event: bool(values_at(event.get("attributes"), path))

    def tagged(event: Event) -> bool:
        if key in RESERVED and key in event and accepts(event[key]):
            return True
        tags = [tag.partition(":")[2] for tag in event.get("tags", []) if tag.partition(":")[0] == key]
        return any(accepts(value) for value in tags)

    return tagged


def _texts(event: Event) -> list[str]:
    if "message" in event:
        return [str(event["message"])]
    found: list[str] = []
    waiting: list[Any] = [event.get("attributes")]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str):
            found.append(value)
    return found


def _acceptor(pattern: str) -> Callable[[Any], bool]:
    """Return the judge of one value against the text after the colon."""
    bounds = re.fullmatch(r"\[\s*(\S+)\s+TO\s+(\S+)\s*\]", pattern)
    if bounds:
        low = float("-inf") if bounds[1] == "*" else float(bounds[1])
        high = float("inf") if bounds[2] == "*" else float(bounds[2])
        return lambda value: (number := _number(value)) is not None and low <= number <= high
    compared = re.fullmatch(r"([<>]=?)\s*(-?[\d.]+)", pattern)
    if compared:
        limit = float(compared[2])
        judges: dict[str, Callable[[float], bool]] = {
            ">": lambda number: number > limit,
            ">=": lambda number: number >= limit,
            "<": lambda number: number < limit,
            "<=": lambda number: number <= limit,
        }
        judge = judges[compared[1]]
        return lambda value: (number := _number(value)) is not None and judge(number)
    if len(pattern) >= 2 and pattern.startswith('"') and pattern.endswith('"'):
        exact = re.sub(r"\\(.)", r"\1", pattern[1:-1])
        return lambda value: _text(value) == exact or (isinstance(value, str) and exact in value)
    unescaped = re.sub(r"\\([^*?])", r"\1", pattern)
    if re.search(r"(?<!\\)[*?]", unescaped):
        shape = re.escape(unescaped).replace(r"\*", ".*").replace(r"\?", ".")
        matcher = re.compile(shape, re.DOTALL | re.IGNORECASE)
        return lambda value: matcher.fullmatch(_text(value)) is not None
    return lambda value: _text(value) == unescaped


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
