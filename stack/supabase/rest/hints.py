"""The "Perhaps you meant …" of an error: the nearest known name, by the measure that PostgREST's fuzzy search uses.

Names that share letter groups of three, else of two, are compared by edit distance (the FuzzySet algorithm).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from math import sqrt

NAME, ARGUMENTS = 0.75, 0.33  # the least likeness: PostgREST 14, Error.hs, getFuzzyHint
COMPARED = 50
PUNCTUATION = re.compile(r"[^\w ,]+")


def nearest(wanted: str, known: Iterable[str], least: float, same: bool = True) -> str | None:
    """The most alike of ``known``, if it is at least ``least`` (of 1) alike; one that is the same only if ``same``."""
    names = {name.lower(): name for name in known}
    text = wanted.lower()
    if same and text in names:
        return names[text]
    for size in (3, 2):
        grams = _grams(text, size)
        near = sorted(((_cosine(grams, _grams(name, size)), name) for name in names), reverse=True)
        scored = ((_likeness(text, name), name) for cosine, name in near[:COMPARED] if cosine)
        if found := [pair for pair in scored if pair[0] >= least and pair[1] != text]:
            return names[max(found, key=lambda pair: pair[0])[1]]
    return None


def _grams(text: str, size: int) -> Counter[str]:
    padded = f"-{PUNCTUATION.sub('', text)}-"
    return Counter(padded[n : n + size] for n in range(max(len(padded) - size + 1, 1)))


def _cosine(one: Counter[str], other: Counter[str]) -> float:
    def length(grams: Counter[str]) -> float:
        return sqrt(sum(n * n for n in grams.values()))

    return sum(n * other[gram] for gram, n in one.items()) / (length(one) * length(other))


def _likeness(one: str, other: str) -> float:
    """1 less the edit distance as a share of the longer text."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return 1 - row[-1] / max(len(one), len(other), 1)
