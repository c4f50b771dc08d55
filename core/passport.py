"""Every check carries a passport: who owns it, what it proves, what it needs, and how it counts."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from core.errors import ConfigError
from core.permit import Action
from core.target import Target

F = TypeVar("F", bound=Callable[..., Any])
ATTRIBUTE = "__passport__"
_ID = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_REQUIREMENT = re.compile(r"[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*")
SLOW = 20.0


@dataclass(frozen=True)
class Passport:
    """A check's passport.

    `id` is stable and never shown alone; `title` is for people. `requirement` holds identifiers of requirements.toml,
    which a project may have of its own. `needs` names everything that the check uses: capabilities, and keys that a
    project describes; where the target lacks one, the check is not applicable. `actions` are the permits it needs; a
    permit that does not give one leaves the check not covered; an outage, which only the embedded target knows, and a
    limit that real people share leave it not applicable.
    `gate` False makes it report-only. `timeout` is in seconds; over 20 s needs `why_slow`. `exclusive`
    checks run afterwards, serially, on a stack of their own. `imported` names the format of another tool's results
    that the check comes from, "" for a check of ours: it has no witness and needs nothing of the target. `description` is
    the docstring of its function. A check that attacks says what an auditor asks for: the `threat` (what somebody gains
    where it is missed), its `references` in published standards (OWASP ASVS 5.0, API Security Top 10 2023), and the `fix`.
    """

    id: str
    title: str
    owner: str
    requirement: tuple[str, ...]
    service: str
    needs: tuple[str, ...]
    actions: tuple[Action, ...] = (Action.READ, Action.WRITE, Action.ADMIN)
    gate: bool = True
    timeout: float = 20.0
    why_slow: str = ""
    exclusive: bool = False
    imported: str = ""
    description: str = ""
    threat: str = ""
    references: tuple[str, ...] = ()
    fix: str = ""

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise ConfigError(
                f"check id '{self.id}' must be lower-case words joined by dots, dashes or underscores."
            )
        for text in ("title", "owner", "service"):
            if not getattr(self, text):
                raise ConfigError(f"check '{self.id}' has no {text}; every check carries a whole passport.")
        if not self.imported and not (self.needs and all(self.needs)):
            raise ConfigError(f"check '{self.id}' says no needs; name each capability that it uses.")
        if not self.imported and not self.requirement:
            raise ConfigError(f"check '{self.id}' names no requirement; requirements.toml lists them.")
        for requirement in self.requirement:
            if not _REQUIREMENT.fullmatch(requirement):
                raise ConfigError(
                    f"check '{self.id}': '{requirement}' is not an identifier of a requirement."
                )
        said = [name for name in ("threat", "references", "fix") if getattr(self, name)]
        if said and len(said) < 3:
            raise ConfigError(
                f"check '{self.id}' says {' and '.join(said)} alone; an attack has a threat, references and a fix."
            )
        if self.timeout > SLOW and not self.why_slow:
            raise ConfigError(f"check '{self.id}' may take over {SLOW:g} s; say why in why_slow.")

    def inapplicable(self, target: Target) -> str:
        """Why the check says nothing about this target, in words; empty when it does.

        Raises ConfigError for a need that nobody knows: misspelt, it would never apply and close nothing.
        """
        if lacking := target.lacking(self.needs, f"check '{self.id}'"):
            return lacking
        if Action.OUTAGE in self.actions and not target.embedded:
            return "taking a service away is proved on the embedded target alone"
        if Action.RATE_LIMIT in self.actions and not target.permit.allows(Action.RATE_LIMIT):
            return (
                "it uses up a limit that real people share, and the target's permit does not give rate_limit"
            )
        return ""

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
    needs: str | Iterable[str],
    owner: str = "platform",
    actions: Iterable[Action] = (Action.READ, Action.WRITE, Action.ADMIN),
    gate: bool = True,
    timeout: float = 20.0,
    why_slow: str = "",
    exclusive: bool = False,
    threat: str = "",
    references: Iterable[str] = (),
    fix: str = "",
) -> Callable[[F], F]:
    """Makes a pytest function a check by giving it a passport. See Passport for the fields."""
    passport = Passport(
        id=id,
        title=title,
        owner=owner,
        requirement=(requirement,) if isinstance(requirement, str) else tuple(requirement),
        service=service,
        needs=(needs,) if isinstance(needs, str) else tuple(needs),
        actions=tuple(actions),
        gate=gate,
        timeout=timeout,
        why_slow=why_slow,
        exclusive=exclusive,
        threat=threat,
        references=tuple(references),
        fix=fix,
    )

    def give(function: F) -> F:
        setattr(function, ATTRIBUTE, replace(passport, description=inspect.getdoc(function) or ""))
        return function

    return give
