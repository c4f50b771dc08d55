"""Which checks the suites hold, read from their source: what a plan with `checks = "all"` requires.

Read statically, so that neither an import error nor a selection on the command line can shrink it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from core.errors import ConfigError
from core.outcome import OWN_ROOMS
from core.passport import ATTRIBUTE, Passport, check
from core.permit import Action
from core.project import REFERENCE, Project
from core.run import ROOT


@dataclass(frozen=True)
class Declared:
    """A check as its source declares it."""

    id: str
    requirement: tuple[str, ...]
    gate: bool
    exclusive: bool
    path: Path
    root: Path
    """The folder that holds its room: the checkout, or a project of a team's own."""
    title: str = ""
    passport: Passport | None = None
    """Its passport, for a shipped check, as far as the source says all of it in plain values."""

    @property
    def own(self) -> bool:
        """Whether it is a project's own."""
        return self._rooms[0] in OWN_ROOMS

    @property
    def in_browser(self) -> bool:
        """Whether it drives a browser."""
        return bool({"browser", "flows"} & set(self._rooms))

    @property
    def _rooms(self) -> tuple[str, ...]:
        return self.path.relative_to(self.root).parts


def declared(root: Path = ROOT, own: Path | None = None) -> list[Declared]:
    """Every check of `suites/` and `scenarios/`, and of `checks/` and `flows/` of the project, in the order of files and
    lines: a team's `own`, else (or where that extends it) the reference platform's.

    Raises ConfigError for a file that is not Python, a passport whose id is not plain text, or an own check that is
    called like another.
    """
    rooms = ["suites", "scenarios"]
    if own is None or Project(own).extends_reference:
        here = REFERENCE.relative_to(ROOT)
        rooms += [str(here / room) for room in OWN_ROOMS]
    found = [one for room in rooms for one in _room(root, room)]
    places = {one.id: one.path for one in found}
    for mine in (one for room in OWN_ROOMS if own for one in _room(own, room)):
        if mine.id in places:
            raise ConfigError(
                f"{mine.path}: the check '{mine.id}' is there already, in {places[mine.id]}; give yours an id of its own."
            )
        places[mine.id] = mine.path
        found.append(mine)
    return found


def gating(root: Path = ROOT, own: Path | None = None) -> tuple[str, ...]:
    """Identifiers of every check that decides."""
    return tuple(one.id for one in declared(root, own) if one.gate)


def _room(root: Path, room: str) -> Iterator[Declared]:
    for path in sorted((root / room).rglob("test_*.py")):
        yield from _read_once(path, root, path.stat().st_mtime_ns)


@lru_cache(maxsize=4096)
def _read_once(path: Path, root: Path, changed: int) -> tuple[Declared, ...]:
    return tuple(_checks_of(path, root))


def _checks_of(path: Path, root: Path) -> Iterator[Declared]:
    try:
        tree = _tree(path)
    except SyntaxError as error:
        raise ConfigError(f"{path} line {error.lineno} is not Python: {error.msg}.") from None
    except ValueError as error:  # a NUL byte, or bytes that are no UTF-8
        raise ConfigError(f"{path} is not Python: {error}.") from None
    for node in _functions(tree):
        for decorator in node.decorator_list:
            if not (isinstance(decorator, ast.Call) and _name(decorator.func) == "check"):
                continue
            words = {k.arg: k.value for k in decorator.keywords if k.arg}
            first = decorator.args[0] if decorator.args else words.get("id")
            if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
                raise ConfigError(f"{path} line {decorator.lineno}: write the check's id as plain text.")
            title = "".join(_texts(decorator.args[1] if len(decorator.args) > 1 else words.get("title")))
            found = Declared(
                first.value,
                _texts(words.get("requirement")),
                _flag(words, "gate", True),
                _flag(words, "exclusive", False),
                path,
                root,
                title,
            )
            yield found if found.own else replace(found, passport=_passport(path, root, node, decorator))


def _functions(node: ast.AST) -> Iterator[ast.FunctionDef]:
    """The functions of a module, of its classes and of its conditions; no check is made within a function."""
    for part in ("body", "orelse", "handlers", "finalbody"):
        for inner in getattr(node, part, ()):
            if isinstance(inner, ast.FunctionDef):
                yield inner
            else:
                yield from _functions(inner)


def _passport(path: Path, root: Path, function: ast.FunctionDef, decorator: ast.Call) -> Passport | None:
    """The passport that a decorator gives; None where it says something that only running the module would tell."""
    try:
        words = {k.arg: _value(k.value, path, root) for k in decorator.keywords if k.arg}
        first = [_value(one, path, root) for one in decorator.args]
    except (ValueError, KeyError):
        return None

    def documented() -> None: ...

    documented.__doc__ = ast.get_docstring(function)
    try:
        return getattr(check(*first, **words)(documented), ATTRIBUTE)  # type: ignore[no-any-return]
    except (TypeError, ConfigError):  # no passport: importing the module says what is wrong with it
        return None


def _value(node: ast.expr, path: Path, root: Path) -> Any:
    """What an expression of a passport in the module at `path` stands for. Raises ValueError where that is not plain."""
    if isinstance(node, ast.Tuple | ast.List):
        return tuple(_value(one, path, root) for one in node.elts)
    if isinstance(node, ast.Name):
        return _named(node.id, path, root)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Action":
        return Action[node.attr]
    return ast.literal_eval(node)


def _named(name: str, path: Path, root: Path) -> Any:
    """A module's constant, its own or one that it imports from a module of the checkout. Raises ValueError."""
    for node in _tree(path).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == name for t in node.targets
        ):
            return _value(node.value, path, root)
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if (alias.asname or alias.name) == name and (file := _module(node.module, path, root)):
                    return _named(alias.name, file, root)
    raise ValueError(f"{name} is no constant of {path}")


def _module(name: str, path: Path, root: Path) -> Path | None:
    """The file of a module that the file at `path` imports, where the checkout has it."""
    module = Path(*name.split(".")).with_suffix(".py")
    places = (folder / module for folder in (root, *path.parents) if folder.is_relative_to(root))
    return next(filter(Path.is_file, places), None)


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


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
