"""What a lint finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ERROR", "WARN", "INFO"]


@dataclass(frozen=True)
class Finding:
    """One finding: the lint's number (0 for a rule of ours) and name, on what (`public.todos`), and why, in words.

    `level` is Supabase's own. `part` is the policy, column, key or index within `on`.
    """

    number: int
    lint: str
    level: Level
    on: str
    why: str
    part: str = ""

    @property
    def name(self) -> str:
        """`0013_rls_disabled_in_public`, or the name alone of a rule of ours."""
        return f"{self.number:04}_{self.lint}" if self.number else self.lint

    @property
    def of_ours(self) -> bool:
        """Whether it is a rule of ours beside Supabase's lints."""
        return not self.number

    def __str__(self) -> str:
        return f"{self.name}: {self.on}: {self.why}"
