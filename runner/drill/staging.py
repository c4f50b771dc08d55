"""A team's own staging as a stage: what can be planted there from outside is SQL and commands of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from core.errors import BrokenError, ConfigError
from core.permit import Action
from core.target import Target
from runner.drill.proxy import Proxies
from runner.drill.stage import FINGERPRINT, run_sql

DATABASE = "SUPABASE_DB_URL"


class Staging:
    """A live target. Nothing is started or ended here, and what could not be restored is told, not repaired.

    Raises ConfigError for a target that may not be written to.
    """

    stack = None
    proxies: Proxies | None = None

    def __init__(self, target: Target) -> None:
        if not target.permit.allows(Action.WRITE):
            raise ConfigError(
                "a drill changes its target, whose permit does not give 'write': never drill in production."
            )
        self.target = target

    def sql(self, text: str) -> list[tuple[Any, ...]]:
        """Runs statements as the user of SUPABASE_DB_URL. Raises ConfigError where it is not set."""
        return run_sql(self.target.get(DATABASE), text)

    def fingerprint(self) -> str:
        """A digest of what the database is made of; empty where it cannot be asked."""
        return str(self.sql(FINGERPRINT.read_text())[0][0]) if self.target.find(DATABASE) else ""

    def renew(self) -> None:
        """A staging cannot be made anew. Raises BrokenError."""
        raise BrokenError("the staging is not what it was before the last defect: restore it, then --resume.")

    def front(self, names: set[str]) -> Proxies:
        """No proxy stands before a staging. Raises ConfigError."""
        self._cannot(f"a proxy before {min(names)}")

    def source(self, name: str) -> Path:
        """Its sources are not here. Raises ConfigError."""
        self._cannot(f"a change of {name}")

    def configure(self, path: str, value: Any) -> Any:
        """Its configuration is not here. Raises ConfigError."""
        self._cannot(f"the setting {path}")

    def restart(self, component: str) -> None:
        """Its processes are not ours. Raises ConfigError."""
        self._cannot(f"a restart of {component}")

    def stop(self, component: str, how: str) -> None:
        """Its processes are not ours. Raises ConfigError."""
        self._cannot(f"the {how} of {component}")

    def resume(self, component: str, how: str) -> None:
        """Its processes are not ours. Raises ConfigError."""
        self._cannot(f"the end of a {how} of {component}")

    def close(self) -> None:
        """Nothing to end."""

    def _cannot(self, what: str) -> NoReturn:
        raise ConfigError(
            f"{what} cannot be planted in a target of one's own: use a command and its restore."
        )
