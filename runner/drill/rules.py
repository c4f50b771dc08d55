"""Which rule is for which exchange, and what it makes of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from runner.drill.catalogue import Change, Proxy

Headers = list[tuple[bytes, bytes]]


@dataclass
class Message:
    """Headers and body of a request or an answer. Names are compared without case."""

    headers: Headers
    body: bytes = field(default=b"", kw_only=True)

    def get(self, name: str) -> str:
        """A header's value, empty when it is not there."""
        wanted = name.lower().encode()
        return next((v.decode("latin-1") for n, v in self.headers if n.lower() == wanted), "")

    def set(self, name: str, value: str) -> None:
        """Gives a header this one value."""
        self.remove(name)
        self.headers.append((name.lower().encode(), value.encode("latin-1")))

    def remove(self, name: str) -> None:
        """Takes a header away."""
        self.headers[:] = [(n, v) for n, v in self.headers if n.lower() != name.lower().encode()]

    def length(self, bytes_: int | None) -> None:
        """Says how long the body is; None says nothing."""
        if bytes_ is not None:
            self.remove("transfer-encoding")
            self.set("content-length", str(bytes_))

    def change(self, change: Change) -> bool:
        """What a rule makes of it. Returns False where the rule only looks for something that is not there."""
        places = 0
        if change.find:
            self.body, places = re.subn(change.find.encode(), change.replace.encode(), self.body)
            self.length(len(self.body))
        if change.cut:
            self.body = self.body[: -change.cut]
            self.length(len(self.body))
        for name in change.remove:
            self.remove(name)
        for name, value in change.set.items():
            self.set(name, value)
        return places > 0 or change != Change(find=change.find, replace=change.replace)


@dataclass
class Asked(Message):
    """A request on its way."""

    method: str
    target: str
    headers: Headers

    def __init__(self, method: str, target: str, headers: Headers) -> None:
        super().__init__(headers)
        self.method, self.target = method, target

    def change(self, change: Change) -> bool:
        """What a rule makes of it, its address too."""
        done = super().change(change)
        if change.path_find:
            self.target = re.sub(change.path_find, change.path_replace, self.target)
        return done

    def raw(self) -> bytes:
        """Its head as it is sent."""
        lines = b"".join(n + b": " + v + b"\r\n" for n, v in self.headers)
        return f"{self.method} {self.target} HTTP/1.1\r\n".encode("latin-1") + lines + b"\r\n"


@dataclass
class Answer(Message):
    """An answer on its way."""

    status: int
    headers: Headers

    def __init__(self, status: int, headers: Headers, body: bytes = b"") -> None:
        super().__init__(headers, body=body)
        self.status = status

    def change(self, change: Change) -> bool:
        """What a rule makes of it, its status too."""
        self.status = change.status or self.status
        return super().change(change)


class Rules:
    """The rules of one proxy, with how often each was met and which answers are given again."""

    def __init__(self, plants: Sequence[Proxy]) -> None:
        self.plants = list(plants)
        self._met = [0] * len(self.plants)
        self._done = [False] * len(self.plants)
        self._kept: dict[tuple[int, str, str, str], Answer] = {}

    def did(self, plant: Proxy) -> None:
        """A rule changed something."""
        self._done[self._place(plant)] = True

    def idle(self) -> list[Proxy]:
        """Those that changed nothing so far: planted or not, all was as ever."""
        return [plant for plant, done in zip(self.plants, self._done, strict=True) if not done]

    def of(self, asked: Asked) -> list[Proxy]:
        """Those whose pattern fits a request as far as its head tells."""
        return [plant for plant in self.plants if _fits(plant, asked)]

    def counts(self, plant: Proxy, asked: Asked) -> bool:
        """Whether this is one of the exchanges that the rule is for, its body and `every` looked at too."""
        if plant.match.body and not re.search(plant.match.body.encode(), asked.body):
            return False
        place = self._place(plant)
        self._met[place] += 1
        return self._met[place] % plant.match.every == 0

    def matches_answer(self, plant: Proxy, answer: Answer) -> bool:
        """Whether the rule is for an answer of this status."""
        return plant.match.status in (0, answer.status)

    def instead(self, plant: Proxy, asked: Asked) -> Answer | None:
        """The answer that is given without asking the service, if any."""
        if plant.mock:
            body = plant.mock.body.encode()
            made = Answer(plant.mock.status, [], body)
            for name, value in {"content-type": "application/json", **plant.mock.headers}.items():
                made.set(name, value)
            if plant.mock.status not in (204, 304):
                made.length(len(body))
            self.did(plant)
            return made
        kept = self._kept.get(self._key(plant, asked)) if plant.answer and plant.answer.stale else None
        if kept:
            self.did(plant)
        return kept

    def keep(self, plant: Proxy, asked: Asked, answer: Answer) -> None:
        """Remembers the first answer to a request, if it is to be given again."""
        if plant.answer and plant.answer.stale and answer.status < 400:
            self._kept.setdefault(self._key(plant, asked), answer)

    def _place(self, plant: Proxy) -> int:
        return next(i for i, one in enumerate(self.plants) if one is plant)

    def _key(self, plant: Proxy, asked: Asked) -> tuple[int, str, str, str]:
        return self._place(plant), asked.method, asked.target, asked.get("authorization")


def _fits(plant: Proxy, asked: Asked) -> bool:
    match = plant.match
    return (
        match.method in ("", asked.method)
        and bool(re.search(match.path, asked.target))
        and all(re.search(pattern, asked.get(name)) for name, pattern in match.headers.items())
    )
