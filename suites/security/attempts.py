"""What an attack tried, and what got through: all of it is told, not the first alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clients.services.platform import Platform
from core.expect import expect
from core.port import Answer

REFUSED = (
    400,
    401,
    403,
    404,
    405,
    406,
    409,
    410,
    411,
    412,
    413,
    414,
    415,
    416,
    417,
    421,
    422,
    426,
    428,
    429,
    431,
)
"""Statuses by which a request is refused."""
FAILED = frozenset({500, 502, 503})
REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True)
class HostilePort:
    """The platform's port for what is meant to hurt: a 5xx that comes twice is an answer then, and its own fault.

    Who uses it makes sure afterwards that something harmless still works: else a service is away.
    """

    port: Platform

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """As a port does."""
        for _ in range(2):
            answer = self.port.request(method, url, headers=headers, body=body, allow=FAILED | REDIRECTS)
            if answer.status not in FAILED:
                break
        return answer


def said(answer: Answer) -> str:
    """Status and the start of the body, for a message; who writes evidence masks what is secret in it."""
    return f"{answer.status} {answer.text[:200]}".strip()


class Attempts:
    """The attempts of one attack on one service. `judge` says, in one sentence, which of them got through."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.tried = 0
        self.through: list[str] = []

    def must_fail(self, what: str, failed: bool, saw: object = "") -> None:
        """One attempt; `failed` is true when it came to nothing, `saw` is what was seen where it did not."""
        self.tried += 1
        if not failed:
            self.through.append(f"{what} ({str(saw)[:40]})" if saw else what)

    def must_be_refused(self, what: str, answer: Answer, *secrets: str) -> None:
        """One request that must be refused by its status, and whose answer must hold none of `secrets`."""
        stated = [secret for secret in secrets if secret and secret in answer.text]
        self.must_fail(what, answer.status in REFUSED and not stated, said(answer))

    def judge(self, claim: str, expected: object = "every attempt refused") -> int:
        """Missed with everything that got through; gives the number of attempts. None tried is no proof."""
        expect(self.tried, f"{claim}: something was tried", service=self.service)
        expect(
            not self.through,
            claim,
            expected=expected,
            saw=f"{len(self.through)} of {self.tried} got through: " + "; ".join(self.through[:60]),
            service=self.service,
        )
        return self.tried
