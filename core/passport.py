"""Every check carries a passport: who owns it, what it proves, what it needs, and how it counts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from core.errors import ConfigError
from core.permit import Action

F = TypeVar("F", bound=Callable[..., Any])
ATTRIBUTE = "__passport__"
_ID = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_REQUIREMENT = re.compile(r"(P\d\.\d|KV|D\d+|(perf|prod|risk|done)\.[a-z]+)")
SLOW = 20.0


@dataclass(frozen=True)
class Passport:
    """A check's passport.

    `id` is stable and never shown alone; `title` is for people. `requirement` holds identifiers of the
    seed's requirements. `capability` is what the target must declare, else the check is not covered.
    `actions` are the permits it needs; a target that does not give one leaves the check not covered.
    `gate` False makes it report-only. `timeout` is in seconds; over 20 s needs `why_slow`. `exclusive`
    checks run afterwards, serially, on a stack of their own.
    """

    id: str
    title: str
    owner: str
    requirement: tuple[str, ...]
    service: str
    capability: str
    actions: tuple[Action, ...] = (Action.READ, Action.WRITE, Action.ADMIN)
    gate: bool = True
    timeout: float = 20.0
    why_slow: str = ""
    exclusive: bool = False

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise ConfigError(
                f"check id '{self.id}' must be lower-case words joined by dots, dashes or underscores."
            )
        for text in ("title", "owner", "service", "capability"):
            if not getattr(self, text):
                raise ConfigError(f"check '{self.id}' has no {text}; every check carries a whole passport.")
        if not self.requirement:
            raise ConfigError(f"check '{self.id}' names no requirement of the seed.")
        for requirement in self.requirement:
            if not _REQUIREMENT.fullmatch(requirement):
                raise ConfigError(
                    f"check '{self.id}': '{requirement}' is not an identifier of a requirement."
                )
        if self.timeout > SLOW and not self.why_slow:
            raise ConfigError(f"check '{self.id}' may take over {SLOW:g} s; say why in why_slow.")

    @property
    def production_safe(self) -> bool:
        """Whether a live target allows it without being told to."""
        return not set(self.actions) - {Action.READ, Action.WRITE, Action.ADMIN}

    def as_dict(self) -> dict[str, Any]:
        """For the journal."""
        return {**asdict(self), "production_safe": self.production_safe}


def check(
    id: str,
    title: str,
    *,
    requirement: str | Iterable[str],
    service: str,
    capability: str,
    owner: str = "platform",
    actions: Iterable[Action] = (Action.READ, Action.WRITE, Action.ADMIN),
    gate: bool = True,
    timeout: float = 20.0,
    why_slow: str = "",
    exclusive: bool = False,
) -> Callable[[F], F]:
    """Makes a pytest function a check by giving it a passport. See Passport for the fields."""
    passport = Passport(
        id=id,
        title=title,
        owner=owner,
        requirement=(requirement,) if isinstance(requirement, str) else tuple(requirement),
        service=service,
        capability=capability,
        actions=tuple(actions),
        gate=gate,
        timeout=timeout,
        why_slow=why_slow,
        exclusive=exclusive,
    )

    def give(function: F) -> F:
        setattr(function, ATTRIBUTE, passport)
        return function

    return give
