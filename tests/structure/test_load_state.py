"""What a load counts or remembers belongs to its engine or user: a module keeps no counter, lock, cache or growing table.

Module state would be shared by loads of one process, made at import, and nobody's to end.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.structure.tree import modules

LOADS = ("loadprofiles/", "stack/platform/assay/loads/", "stack/platform/assay/posts/")
GROWING = {
    "count", "cycle", "BoundedSemaphore", "Semaphore", "RLock", "Lock", "Event", "Queue", "Pool", "WeakSet",
    "WeakKeyDictionary", "WeakValueDictionary", "defaultdict", "deque", "dict", "list", "set", "Counter",
}  # fmt: skip
REMEMBERING = {"cache", "lru_cache"}
PURE = {("loadprofiles/oracles/files.py", "_begun")}
"""Functions of plain values alone, whose results may be kept."""


def state(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, name) of what a module, or a class of it, keeps: as it stands there, before anybody made an object."""
    holders = [tree.body, *(node.body for node in tree.body if isinstance(node, ast.ClassDef))]
    for body in holders:
        for node in body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                empty = (
                    isinstance(node.value, ast.Dict | ast.List | ast.Set)
                    and not ast.unparse(node.value)[1:-1]
                )
                called = {
                    ast.unparse(call.func).rpartition(".")[2]
                    for call in ast.walk(node.value)
                    if isinstance(call, ast.Call)
                }
                if empty or called & GROWING:
                    yield node.lineno, ast.unparse(target)
            elif isinstance(node, ast.FunctionDef):
                kept = {ast.unparse(one).partition("(")[0].rpartition(".")[2] for one in node.decorator_list}
                if kept & REMEMBERING:
                    yield node.lineno, node.name


def test_no_load_keeps_state_in_its_module() -> None:
    found = [
        f"{file}:{line} {name}"
        for file, tree in modules()
        if file.startswith(LOADS)
        for line, name in state(tree)
        if (file, name) not in PURE
    ]
    assert found == []


def test_each_kind_of_state_is_seen() -> None:
    text = (
        "_numbers = count(1)\n_pages: dict[str, bytes] = {}\n_lock = gevent.lock.BoundedSemaphore(2)\n"
        "SIZES = (1, 2)\nRELAYS = {s: Measure(s) for s in 'ab'}\n"
        "class A:\n    _all: ClassVar[dict] = WeakKeyDictionary()\n    @staticmethod\n    @cache\n    def of(engine): ...\n"
        "@functools.cache\ndef kept(engine): ...\n"
    )
    assert [name for _, name in state(ast.parse(text))] == [
        "_numbers",
        "_pages",
        "_lock",
        "kept",
        "_all",
        "of",
    ]
