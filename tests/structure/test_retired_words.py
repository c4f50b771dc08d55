"""Words that were replaced by standard terms (docs/glossary.md) do not come back as names."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.structure.tree import modules

RETIRED = {
    "beat": "tick",
    "breath": "pause",
    "conductor": "controller",
    "forgetful": "missing fields",
    "hindsight": "trends",
    "keeper": "guard",
    "lane": "greenlet",
    "liar": "mock",
    "minted": "generated",
    "parcel": "file",
    "pulse": "flush",
    "seat": "member",
    "spoil": "invalidate",
    "strays": "orphans",
    "told": "what it is: answer, body, lines",
}
"""Word -> what is said instead."""


def names(file: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every name that a module gives: its own, of classes, functions, parameters, variables and attributes."""
    yield 1, Path(file).stem
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if not node.name.startswith("test_"):
                yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


def words(name: str) -> set[str]:
    """The words of a name, in small letters: `_PlannedSeat2` has planned and seat."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def test_retired_words_name_nothing() -> None:
    found = [
        f"{file}:{line}: {name}: say {RETIRED[word]}"
        for file, tree in modules()
        for line, name in names(file, tree)
        for word in sorted(words(name) & RETIRED.keys())
    ]
    assert not found, "\n".join(found)
