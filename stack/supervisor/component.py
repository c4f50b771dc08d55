"""What a component is, and how the components of a stack are found: one module each in a folder.

A component is one process. It reads CONFIG.json, binds 127.0.0.1 at its ports, prints a line
`READY {"name": ..., "url": ...}` on standard output when it truly serves, writes everything else to
standard error, and ends within three seconds of SIGTERM.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from stack.supervisor.errors import USAGE, StackError


@dataclass(frozen=True)
class Engine:
    """What answers for a service: the real program (`engine`) or our own implementation (`stand-in`)."""

    kind: Literal["engine", "stand-in"]
    name: str


@dataclass(frozen=True)
class ComponentPaths:
    """Where one stack lives. `state` is the stack's folder; `data` is emptied at every start.

    `cache` outlives stacks and is shared by those of one checkout. `config` is CONFIG.json's path.
    """

    root: Path
    state: Path
    data: Path
    logs: Path
    cache: Path
    config: Path
    ports: Mapping[str, int]


@dataclass
class StackConfig:
    """What CONFIG.json holds for all components, filled component by component before any starts.

    `variables` are exported as a live target would set them; `secrets` are internal; `options` hold the command line's
    from the start; `notes` are sentences for whoever starts the stack.
    """

    variables: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def _nothing(site: ComponentPaths) -> None:
    """Do nothing."""


def _generate_nothing(site: ComponentPaths, stack_config: StackConfig) -> None:
    """Add nothing."""


@dataclass(frozen=True)
class Component:
    """How one component is started.

    `needs` names the components that must be ready before. `ports` are the names of its ports; the first
    is where its control paths answer. `argv` may not hold a secret. `generate` adds its variables and secrets.
    `clean` removes what it keeps outside the stack's folder, before a start and after the last stop.
    `engines` says what answers for each service; `start_s` is how long a cold start may take.
    """

    name: str
    argv: Callable[[ComponentPaths], list[str]]
    ports: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    generate: Callable[[ComponentPaths, StackConfig], None] = _generate_nothing
    clean: Callable[[ComponentPaths], None] = _nothing
    engines: Callable[[ComponentPaths], Mapping[str, Engine]] = lambda site: {}
    start_s: float = 60.0


def load(folder: Path) -> dict[str, Component]:
    """Every component of `folder`: one module each, holding `COMPONENT`, in the order of their needs.

    Raises StackError when a module has none, two share a name or a port, or needs cannot be met.
    """
    found: dict[str, Component] = {}
    for file in sorted(folder.glob("[!_]*.py")):
        spec = importlib.util.spec_from_file_location(f"stack_component_{file.stem}", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        component = getattr(module, "COMPONENT", None)
        if not isinstance(component, Component):
            raise StackError(f"{file} defines no COMPONENT of type Component.", USAGE)
        if component.name in found:
            raise StackError(f"{file}: another component is already named {component.name!r}.", USAGE)
        found[component.name] = component
    if not found:
        raise StackError(f"{folder} holds no component.", USAGE)
    return _ordered(found)


def chosen(components: dict[str, Component], names: Sequence[str]) -> dict[str, Component]:
    """The named components and those that they need; all, if none is named. Raises StackError for an unknown name."""
    wanted = list(names)
    for name in wanted:  # grows as needs are met
        if name not in components:
            raise StackError(f"There is no component {name!r}: there are {', '.join(components)}.", USAGE)
        wanted += [need for need in components[name].needs if need not in wanted]
    return {name: c for name, c in components.items() if not names or name in wanted}


def _ordered(components: dict[str, Component]) -> dict[str, Component]:
    ordered: dict[str, Component] = {}
    while len(ordered) < len(components):
        ready = [
            c for c in components.values() if c.name not in ordered and all(n in ordered for n in c.needs)
        ]
        if not ready:
            stuck = {n: c.needs for n, c in components.items() if n not in ordered}
            raise StackError(f"The needs of these components cannot be met: {stuck}.", USAGE)
        ordered.update((c.name, c) for c in ready)
    return ordered


def read_config(path: str | Path) -> dict[str, Any]:
    """CONFIG.json as a component written in Python reads it."""
    value: dict[str, Any] = json.loads(Path(path).read_text())
    return value
