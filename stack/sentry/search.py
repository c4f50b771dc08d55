"""Sentry's search syntax, as far as one event or issue can be judged by it.

Source: Sentry, "Search" (tokens `key:value`, joined by AND; `!key:value`; quotes; `*` wildcards; `key:>5`;
`has:key`; lists `key:[a, b]`; free text looks at the title).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from typing import Any

TOKEN = re.compile(r'(!?[\w.\-\[\]]+:)?("(?:[^"\\]|\\.)*"|\[[^\]]*\]|\S+)')


class BadSearch(ValueError):
    """The text is not a query."""


class Search:
    """A query, read wholly before anything is judged by it.

    Raises BadSearch for OR and parentheses, which this does not read: better an error than a wrong answer.
    """

    def __init__(self, query: str) -> None:
        self.terms: list[tuple[str, str]] = TOKEN.findall(query.strip())
        if any(not key and (value == "OR" or value.startswith("(")) for key, value in self.terms):
            raise BadSearch("OR and parentheses are not read here")

    def matches(self, fields: Mapping[str, Any], text: str) -> bool:
        """Return whether something with these fields (and this title) is found.

        A field's value may be a list: any of it may match.
        """
        return all(_holds(key, value, fields, text) for key, value in self.terms)


def _holds(key: str, value: str, fields: Mapping[str, Any], text: str) -> bool:
    if not key:
        return value == "AND" or value.strip('"').lower() in text.lower()
    negated, name = key.startswith("!"), key.strip("!:").removeprefix("tags[").removesuffix("]")
    wanted = value[1:-1].replace('\\"', '"') if value.startswith('"') else value
    if name == "has":
        found = fields.get(wanted) not in (None, "", [])
    elif name == "is":
        found = wanted in fields.get("is", ())
    else:
        actual = fields.get(name)
        values = actual if isinstance(actual, list) else [actual]
        found = any(_equal(one, wanted, quoted=value.startswith('"')) for one in values)
    return found != negated


def _equal(actual: Any, wanted: str, *, quoted: bool) -> bool:
    if actual is None:
        return wanted == ""
    if not quoted and wanted.startswith("[") and wanted.endswith("]"):
        choices = [choice.strip().strip('"') for choice in wanted[1:-1].split(",")]
        return str(actual) in choices
    compared = re.fullmatch(r"([<>]=?)(-?[\d.]+)(ms|s)?", wanted)
    if compared and not quoted:
        try:
            number = float(actual)
        except (TypeError, ValueError):
            return False
        limit = float(compared[2]) * (1000 if compared[3] == "s" else 1)
        return {">": number > limit, ">=": number >= limit, "<": number < limit, "<=": number <= limit}[
            compared[1]
        ]
    if "*" in wanted:
        return fnmatch.fnmatch(str(actual).lower(), wanted.lower().replace("[", "[[]"))
    return str(actual).lower() == wanted.lower()
