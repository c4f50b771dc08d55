"""An answer as a mutation sees it, and what it sends instead."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Sent = bytes | float
"""What goes to the client: bytes as they are, or so many seconds of silence."""
Mutate = Callable[["Answer"], Iterator[Sent]]


@dataclass(frozen=True)
class Answer:
    """One whole answer of the real server. `seed` makes what is random the same in every run of a case."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    method: str = "GET"
    seed: int = 0
    earlier: bytes = b""
    """The body of the answer before this one."""
    random: random.Random = field(default_factory=random.Random, compare=False)

    @property
    def is_json(self) -> bool:
        """Whether it says that it is JSON."""
        return any(name.lower() == "content-type" and "json" in value for name, value in self.headers)

    def head(
        self, length: int | None, *, status: int = 0, drop: tuple[str, ...] = (), more: bytes = b""
    ) -> bytes:
        """Status line and headers, with a Content-Length where one is given; the connection ends after it."""
        left_out = {"content-length", "transfer-encoding", "connection", *drop}
        lines = [f"HTTP/1.1 {status or self.status} {self.reason}".encode("latin-1")]
        lines += [
            f"{name}: {value}".encode("latin-1", "replace")
            for name, value in self.headers
            if name.lower() not in left_out
        ]
        lines += [b"Connection: close"] + ([b"Content-Length: %d" % length] if length is not None else [])
        return b"\r\n".join(lines) + b"\r\n" + more + b"\r\n"

    def whole(self, body: bytes, *, status: int = 0, kind: str = "", more: bytes = b"") -> Iterator[Sent]:
        """The answer with another body, as a server would send it; nothing of the body to HEAD."""
        drop = ("content-encoding", "etag", *(["content-type"] if kind else []))
        typed = f"Content-Type: {kind}\r\n".encode() if kind else b""
        yield self.head(len(body), status=status, drop=drop, more=typed + more)
        if self.method != "HEAD":
            yield body
