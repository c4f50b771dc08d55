"""Writers: each module here makes one thing from a verdict. A new writer is one file; nothing lists them.

A writer module has `write(verdict, run_dir) -> list[Path]` and optionally `ORDER` (default 50, lower first).
It writes into the run's folder only; what leaves the machine is in `reports/notify.py`.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def names() -> list[str]:
    """All writers, in the order in which they write."""
    found = [m.name for m in pkgutil.iter_modules(__path__)]
    return sorted(found, key=lambda name: (getattr(module(name), "ORDER", 50), name))


def module(name: str) -> ModuleType:
    """A writer's module."""
    return importlib.import_module(f"{__name__}.{name}")
