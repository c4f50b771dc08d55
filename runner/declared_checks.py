"""Which checks the suites hold, read from their source: what a plan with `checks = "all"` requires.

Read statically, so that neither an import error nor a selection on the command line can shrink it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import ConfigError
from core.run import ROOT


@dataclass(frozen=True)
class Declared:
    """A check as its source declares it."""

    id: str
    requirement: tuple[str, ...]
    gate: bool
    exclusive: bool
    path: Path


def declared(root: Path = ROOT) -> list[Declared]:
    """Every check of `suites/` and `scenarios/`, in the order of files and lines.

    Raises ConfigError for a file that is not Python or a passport whose id is not plain text.
    """
    found: list[Declared] = []
    for room in ("suites", "scenarios"):
        for path in sorted((root / room).rglob("test_*.py")):
            found += _checks_of(path)
    return found


def gating(root: Path = ROOT) -> tuple[str, ...]:
    """Identifiers of every check that decides."""
    return tuple(check.id for check in declared(root) if check.gate)


def _checks_of(path: Path) -> Iterator[Declared]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except SyntaxError as error:
        raise ConfigError(f"{path} line {error.lineno} is not Python: {error.msg}.") from None
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            if not (isinstance(decorator, ast.Call) and _name(decorator.func) == "check"):
                continue
            words = {k.arg: k.value for k in decorator.keywords if k.arg}
            first = decorator.args[0] if decorator.args else words.get("id")
            if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
                raise ConfigError(f"{path} line {decorator.lineno}: write the check's id as plain text.")
            yield Declared(
                first.value,
                _texts(words.get("requirement")),
                _flag(words, "gate", True),
                _flag(words, "exclusive", False),
                path,
            )


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _texts(value: ast.expr | None) -> tuple[str, ...]:
    """One text, or a tuple of them, as written."""
    parts = value.elts if isinstance(value, ast.Tuple | ast.List) else [value] if value else []
    return tuple(
        part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)
    )


def _flag(words: dict[str, ast.expr], name: str, default: bool) -> bool:
    value = words.get(name)
    return bool(value.value) if isinstance(value, ast.Constant) else default
