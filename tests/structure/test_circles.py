"""No module imports what imports it, not even for its types or within a function."""

from __future__ import annotations

import ast
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter

from tests.structure.tree import modules


def edges() -> dict[str, set[str]]:
    """Module -> modules of ours that it imports, wherever in it."""
    names = {
        file.removesuffix(".py").removesuffix("/__init__").replace("/", "."): tree for file, tree in modules()
    }
    found: dict[str, set[str]] = defaultdict(set)
    for name, tree in names.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found[name] |= {alias.name for alias in node.names} & names.keys()
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    found[name] |= {whole if whole in names else node.module} & names.keys()
    return found


def test_there_is_no_circle() -> None:
    try:
        TopologicalSorter(edges()).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None
