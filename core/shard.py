"""One of several parts of a run that are done apart, on as many machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from core.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """The `number`-th of `of` parts, counted from 1."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard | None:
        """What `K/N` says, such as `2/4`; None for nothing. Raises ConfigError for what is no part."""
        if not text:
            return None
        number, _, of = text.partition("/")
        if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
            raise ConfigError(f"--shard {text} is no part; write K/N, such as 2/4.")
        return cls(int(number), int(of))

    def pick(self, things: Sequence[T]) -> list[T]:
        """Every `of`-th of the things, so that neighbours go to different shards."""
        return list(things)[self.number - 1 :: self.of]

    def __str__(self) -> str:
        return f"{self.number} of {self.of}"
