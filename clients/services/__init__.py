"""The services, one module each, found by listing this folder and `services/` of a project of one's own.

A module offers `SERVICE` (what the service is), `ATTRIBUTE` and a client class (its attribute of `ServiceClients`),
`undoers(run)` where it can create something, `probes(run)` for the doctor, and `PROBE_EVERY` (seconds) where a watch must
ask them seldom. `catalogue()` finds them all; adding a
service is adding a module here and one annotation in `clients.service_clients`.
"""

from __future__ import annotations

import atexit
import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from core.errors import ConfigError
from core.project import find_project, own_module
from core.service import Service

if TYPE_CHECKING:
    from core.run import Run

Probe = Callable[[], str]
"""A harmless, read-only question of `assay doctor`: what it learnt in a few words; raises when refused."""

OWN = "services"
"""The folder of a project that holds services of its own."""
C = TypeVar("C")
_undoing: dict[tuple[type, int], tuple[Any, Any]] = {}


def undoing(client: type[C], run: Run) -> C:
    """The process's one client of this class for undoing things in a run; closed when the process ends.

    Undoing happens after each check, and building clients each time would cost more than the undoing.
    """
    key = (client, id(run))
    if key not in _undoing:
        made = client(run)  # type: ignore[call-arg]
        _undoing[key] = (made, run)  # the run is kept so that its id stays its own
        if close := getattr(made, "close", None):
            atexit.register(close)
    found: C = _undoing[key][0]
    return found


def modules() -> tuple[ModuleType, ...]:
    """Every service module by name, a project's own last. Raises ConfigError for one of those that is no service."""
    return _modules(find_project().own)


def own_modules() -> tuple[ModuleType, ...]:
    """The modules of a project's own services. Raises ConfigError as `modules` does."""
    return tuple(module for module in modules() if module.__name__.startswith(f"{OWN}."))


@cache
def _modules(own: Path | None) -> tuple[ModuleType, ...]:
    names = sorted(m.name for m in pkgutil.iter_modules(__path__))
    found = [importlib.import_module(f"{__name__}.{name}") for name in names]
    for file in sorted((own / OWN).glob("[!_]*.py")) if own else ():
        module = own_module(f"{OWN}.{file.stem}", file)
        if not isinstance(getattr(module, "SERVICE", None), Service):
            raise ConfigError(
                f"{file}: a service's module says SERVICE = Service(...); docs/adding.md shows one."
            )
        for what, known in (
            (module.SERVICE.id, [one.SERVICE.id for one in found]),
            (getattr(module, "ATTRIBUTE", ""), [getattr(one, "ATTRIBUTE", "") for one in found]),
            *(
                (name, [c for one in found for c in one.SERVICE.capabilities])
                for name in module.SERVICE.capabilities
            ),
        ):
            if what and what in known:
                raise ConfigError(
                    f"{file}: '{what}' is another service's already; give yours a name of its own."
                )
        found.append(module)
    return tuple(found)


def catalogue() -> tuple[Service, ...]:
    """Every service that Assay knows."""
    return tuple(module.SERVICE for module in modules())


def services_of(kind: str) -> tuple[str, ...]:
    """Which services hold what an entry of this kind (`builder.entry`) stands for; a person owns things in the stores."""
    if kind.startswith("auth."):
        return ("supabase.auth", "supabase.database", "supabase.storage", "r2")
    return tuple(module.SERVICE.id for module in modules() if kind.partition(".")[0] == module.ATTRIBUTE)
