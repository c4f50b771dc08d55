"""The project's files and what its Python files import."""

from __future__ import annotations

import ast
import functools
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = "stack/platform/assay/"
MADE = {".git", ".assay", "node_modules", "runs", "__pycache__", "dist", "allure-results", "allure-report"}
BY_NAME = ("importlib.import_module", "import_module", "__import__")
BINARY = {".png", ".jpg", ".ico", ".woff2", ".gz", ".zip", ".pdf"}


@functools.cache
def files() -> tuple[Path, ...]:
    """Every file that belongs to the project: git's list, or all but what is made here where git is absent."""
    if shutil.which("git") and (ROOT / ".git").exists():
        listed = subprocess.run(
            ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True,
            check=True, timeout=60,
        ).stdout  # fmt: skip
        found = [ROOT / name for name in listed.split("\0") if name]
    else:
        found = [
            path
            for path in ROOT.rglob("*")
            if not MADE.intersection(path.relative_to(ROOT).parts)
            and not any(part.endswith("_cache") or part == ".hypothesis" for part in path.parts)
        ]
    return tuple(sorted(path for path in found if path.is_file() and not path.is_symlink()))


def name(path: Path) -> str:
    """A file as the project calls it."""
    return path.relative_to(ROOT).as_posix()


@functools.cache
def texts() -> tuple[tuple[str, str], ...]:
    """(name, text) of every file that holds text."""
    return tuple((name(path), path.read_text("utf-8")) for path in files() if path.suffix not in BINARY)


@functools.cache
def modules() -> tuple[tuple[str, ast.Module], ...]:
    """(name, syntax tree) of every Python file."""
    return tuple((file, ast.parse(text, filename=file)) for file, text in texts() if file.endswith(".py"))


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything that a module imports, wherever in it, by statement or by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in BY_NAME and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant):
                yield node.lineno, str(first.value)


def room(file: str) -> str:
    """The top-level folder of a file, or its own name at the root; the reference platform's project is one of its own."""
    if file.startswith(REFERENCE):
        return "reference"
    return file.split("/")[0].removesuffix(".py")
