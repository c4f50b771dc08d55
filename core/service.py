"""What a service is to Assay: its variables, what its witness needs, and its capabilities.

The services themselves are declared one module each in `clients/services/`, found by listing that folder.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Variable:
    """One environment variable.

    `aliases` are other names for the same value, tried in order. `local` is its name in what a local tool prints
    for a whole project (`supabase status -o env`): such names are common words, so they count only together.
    `secret` values are masked everywhere. `default` is the vendor's public address, in which `{NAME}` stands for
    another variable; one without it must be set where its service is used, `unless` these others are set.
    `witness` marks a variable that only the witness needs: `right` is the least right it must carry and
    `lost` what can then no longer be shown.
    """

    name: str
    secret: bool = False
    aliases: tuple[str, ...] = ()
    local: str = ""
    default: str | None = None
    unless: tuple[str, ...] = ()
    url: bool = False
    witness: bool = False
    optional: bool = False
    right: str = ""
    lost: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Every name under which it may stand in the environment."""
        return (self.name, *self.aliases, *([self.local] if self.local else []))


@dataclass(frozen=True)
class Service:
    """One dependency of the platform.

    `capabilities` maps each capability's identifier to one line on what it means; on a live target every
    one is declared `required` or `absent`.
    """

    id: str
    title: str
    variables: tuple[Variable, ...]
    capabilities: dict[str, str]
    guide: str = ""
    identity: tuple[str, ...] = ()
    """Variables, none of them secret, whose values tell which account and project it is, in which things are created."""

    def __post_init__(self) -> None:
        for variable in self.variables:
            if variable.witness and not (variable.right and variable.lost):
                raise ValueError(
                    f"{self.id}: {variable.name} is a witness's; say the right it needs and what is lost"
                )
