"""Every message that docs/troubleshooting.md explains is one that the code says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.structure.tree import ROOT, modules

GAP = "\x00"


def said(tree: ast.AST) -> Iterator[str]:
    """Every text of a module; what is put in at run time is a gap."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [str(v.value) if isinstance(v, ast.Constant) else GAP for v in node.values]
            yield "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """What the code says anywhere."""
    return [
        text for file, tree in modules() if not file.startswith(("tests/", "bench/")) for text in said(tree)
    ]


ROWS = [
    row.split("|")[1].strip()
    for row in (ROOT / "docs" / "troubleshooting.md").read_text().splitlines()
    if row.startswith("| `")
]


@pytest.mark.parametrize("row", ROWS)
def test_a_message_is_the_codes_own(row: str, texts: list[str]) -> None:
    for message in re.findall(r"`([^`]+)`", row):
        pattern = re.escape(message).replace("…", "[^\x00]*\x00[^\x00]*?")
        assert any(re.search(pattern, text) for text in texts), message
