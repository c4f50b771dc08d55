"""All service clients of a run, by attribute, each built when it is first used."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from clients.services import modules
from core.errors import BrokenError
from core.run import Run


class Services:
    """`services.auth`, `services.r2`, … : a module's ATTRIBUTE names its Client here."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._makers = {m.ATTRIBUTE: m.Client for m in modules() if hasattr(m, "ATTRIBUTE")}
        self._made: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._made:
            if name not in self._makers:
                raise BrokenError(
                    f"there is no service '{name}'; known are {', '.join(sorted(self._makers))}."
                )
            self._made[name] = self._makers[name](self.run)
        return self._made[name]

    def close(self) -> None:
        """Closes every client that can be closed."""
        for made in self._made.values():
            if close := getattr(made, "close", None):
                close()
        self._made.clear()

    def __enter__(self) -> Services:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()
