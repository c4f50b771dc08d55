"""What every kind of event has in common, and the table of all kinds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, TypeVar, dataclass_transform

from pydantic import ConfigDict


@dataclass(frozen=True, slots=True)
class Event:
    """What all kinds have in common: `type`, the name under which the kind is stored."""

    type: ClassVar[str]
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


KINDS: dict[str, type[Event]] = {}
"""Every kind by its name."""

E = TypeVar("E", bound=Event)


@dataclass_transform(frozen_default=True)
def kind(name: str) -> Callable[[type[E]], type[E]]:
    """Makes a class the kind of event that is stored under this name."""

    def make(cls: type[E]) -> type[E]:
        made = dataclass(frozen=True, slots=True)(cls)
        made.type = name
        if KINDS.setdefault(name, made) is not made:
            raise TypeError(f"two kinds of event are called '{name}'")
        return made

    return make
