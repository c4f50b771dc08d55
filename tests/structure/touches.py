"""Which services a check touches, read from its source: its own code, the fixtures it takes, and the helpers it calls.

Static, so a check is traced whether or not it runs. Followed are functions and classes of `suites/` and `scenarios/`;
a client is known by its place on `services`, a journey by its module, a page by its name on a person's browser.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from core.outcome import in_expecting_room
from tests.structure.tree import ROOT

STORES = "storage.supabase or storage.r2"
"""A file goes through the platform to the one store or the other, by its size."""
CLIENTS = {
    "auth": "auth.email",
    "builder": "content.api",
    "database": "database.rest",
    "datadog": "telemetry.datadog",
    "ga4": "telemetry.ga4",
    "kv": "cache.kv",
    "mixpanel": "telemetry.mixpanel",
    "platform": "platform.api",
    "r2": "storage.r2",
    "rooms": "rooms.websocket",
    "sentry": "telemetry.sentry",
    "storage": "storage.supabase",
}
MEMBERS = {
    ("database", "demand_sql"): "database.sql",
    ("auth", "domain"): "",
    ("auth", "mailbox"): "",
    ("auth", "public_key"): "",
    ("auth", "url"): "",
    ("database", "channel"): "",
    ("database", "sql"): "",
    ("platform", "url"): "",
}
"""Members of a client that ask for another capability than the client itself; "" for none."""
JOURNEYS = {
    "stack.platform.assay.posts.journeys": "database.rest",
}
OF_THE_PLATFORM: tuple[str, ...] = ()
PAGES = {
    "account": "auth.email",
    "content": "content.api",
    "file": STORES,
    "post": "database.rest",
    "room": "rooms.websocket",
}
"""Page objects by their name on a person's browser (scenarios/browser/pages)."""
ADAPTER = {
    "sign_in": "auth.email",
    "refresh": "auth.email",
    "upload": STORES,
    "start_upload": STORES,
    "put_part": STORES,
    "complete_upload": STORES,
    "abort_upload": STORES,
    "read_file": STORES,
    "remove_file": STORES,
    "page": "content.api",
    "room_wire": "rooms.websocket",
}
"""Methods of the adapter that ask for more than the platform's own API."""
IDENTITIES = {"make_actor": "auth.email", "SharedIdentities": "auth.email", "sign_in": "auth.email"}


@dataclass
class Module:
    """One file: what it defines at its top level, and what its imported names stand for."""

    name: str
    defined: dict[str, ast.stmt] = field(default_factory=dict)
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)


@cache
def module(name: str) -> Module | None:
    """A module of the two rooms by its dotted name; None for anything else."""
    if not in_expecting_room(name):
        return None
    path = ROOT / Path(*name.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not path.is_file():
        return None
    found = Module(name)
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.defined[node.name] = node
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.defined[node.targets[0].id] = node
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                found.imported[alias.asname or alias.name] = (node.module, alias.name)
    return found


def checks() -> Iterator[tuple[str, Module, ast.FunctionDef]]:
    """Every check: its id, its module and its function."""
    for room in ("suites", "scenarios", "stack/platform/assay/checks", "stack/platform/assay/flows"):
        for path in sorted((ROOT / room).rglob("test_*.py")):
            found = module(".".join(path.relative_to(ROOT).with_suffix("").parts))
            assert found is not None
            for node in found.defined.values():
                for decorator in getattr(node, "decorator_list", ()):
                    if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "check":
                        assert isinstance(node, ast.FunctionDef)
                        yield ast.literal_eval(decorator.args[0]), found, node


def touches(where: Module, check: ast.FunctionDef) -> set[str]:
    """The capabilities that a check uses."""
    return _Trace().of(where, check)


class _Trace:
    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()
        self._found: set[str] = set()

    def of(self, where: Module, node: ast.stmt) -> set[str]:
        body = node.body if isinstance(node, ast.FunctionDef) else [node]
        own = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        for inner in (n for part in body for n in _reached(part)):
            if isinstance(inner, ast.Attribute):
                self._attribute(where, inner)
            elif isinstance(inner, ast.Name) and inner.id not in own:
                self._name(where, inner.id)
        if isinstance(node, ast.FunctionDef):
            for argument in node.args.args:
                self._fixture(where, argument.arg)
        return self._found

    def _attribute(self, where: Module, node: ast.Attribute) -> None:
        inner = node.value
        if getattr(inner, "id", getattr(inner, "attr", "")).lstrip("_") == "adapter":
            self._found.add(ADAPTER.get(node.attr, "platform.api"))
            self._found |= (
                {"platform.api"} if node.attr in ADAPTER and ADAPTER[node.attr] != "auth.email" else set()
            )
        if not isinstance(inner, ast.Attribute):
            return
        if _is_services(inner.value) and inner.attr in CLIENTS:
            self._found.add(MEMBERS.get((inner.attr, node.attr), CLIENTS[inner.attr]))
            self._found.discard("")
        elif where.name.startswith(
            ("scenarios.browser.test_", "stack.platform.assay.flows.test_")
        ) and _is_person(inner.value):
            self._found |= {PAGES[inner.attr]} if inner.attr in PAGES else set()

    def _name(self, where: Module, name: str) -> None:
        if name in where.defined:
            self._follow(where, name)
        elif name in where.imported:
            origin, original = where.imported[name]
            journey = origin if origin in JOURNEYS else f"{origin}.{original}"
            if journey in JOURNEYS:
                self._found.add(JOURNEYS[journey])
                self._found |= {"platform.api"} if journey in OF_THE_PLATFORM else set()
            elif original in IDENTITIES:
                self._found.add(IDENTITIES[original])
            elif (other := module(origin)) and ".pages" not in origin and origin != "scenarios.adapter":
                self._follow(other, original)

    def _fixture(self, where: Module, name: str) -> None:
        if name == "flow":
            self._found.add("platform.web")
        parts = where.name.split(".")
        for end in range(len(parts) - 1, 0, -1):
            conftest = module(".".join([*parts[:end], "conftest"]))
            if conftest and "*" in conftest.imported:  # a project's own rooms share what the shipped ones do
                conftest = module(conftest.imported["*"][0])
            if conftest and name in conftest.defined:
                self._follow(conftest, name)
                return

    def _follow(self, where: Module, name: str) -> None:
        if (where.name, name) not in self._seen and name in where.defined:
            self._seen.add((where.name, name))
            self.of(where, where.defined[name])


def _reached(node: ast.AST) -> Iterator[ast.AST]:
    """Every node that runs on a target that lacks something: not what is guarded by `has(...)` or `embedded`."""
    if isinstance(node, ast.If | ast.IfExp) and _asks_the_target(node.test):
        rest: Iterable[ast.AST] = node.orelse if isinstance(node, ast.If) else [node.orelse]
    else:
        yield node
        rest = ast.iter_child_nodes(node)
    for inner in rest:
        yield from _reached(inner)


def _asks_the_target(test: ast.expr) -> bool:
    return any(
        (isinstance(n, ast.Attribute) and n.attr in ("has", "embedded"))
        or (isinstance(n, ast.Name) and n.id in ("has", "watched"))
        for n in ast.walk(test)
    )


def _is_person(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id not in ("answer", "response", "seen")


def _is_services(node: ast.expr) -> bool:
    return (isinstance(node, ast.Name) and node.id == "services") or (
        isinstance(node, ast.Attribute) and node.attr in ("services", "_services")
    )
