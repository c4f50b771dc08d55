"""Ports for a stack, kept free for it as long as it lives."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable, Mapping

from stack.supervisor.errors import USAGE, StackError

FIRST, LAST = 15000, 32000
"""Below Linux's ephemeral range (32768 up), where any outgoing connection may take a port for a moment."""
TRIES = 200


class Ports:
    """Ports on 127.0.0.1, each kept by a bound socket that does not listen.

    Linux lets a server bind such a port beside us as long as both set SO_REUSEADDR and only one listens;
    nobody else's "any free port" yields it. So a component that is down for a while finds its port again.
    """

    def __init__(self, names: Iterable[str], wanted: Mapping[str, int] | None = None) -> None:
        """Reserve one port for each name: the wanted one, or any. Raises StackError when it is taken."""
        self.numbers: dict[str, int] = {}
        self._sockets: list[socket.socket] = []
        names = list(names)
        unknown = set(wanted or {}) - set(names)
        if unknown:
            raise StackError(f"No port is named {sorted(unknown)[0]!r}; there are {', '.join(names)}.", USAGE)
        for name in names:
            self.numbers[name] = self._reserve(name, (wanted or {}).get(name))

    def _reserve(self, name: str, wanted: int | None) -> int:
        if wanted is not None:
            if not self._bind(wanted, strictly=False):
                raise StackError(
                    f"Port {wanted}, wanted for {name}, is in use: end what listens there or choose another.",
                    USAGE,
                )
            return wanted
        for _ in range(TRIES):
            port = random.randint(FIRST, LAST)  # noqa: S311 (no secret)
            if self._bind(port):
                return port
        raise StackError(f"No free port was found on 127.0.0.1 between {FIRST} and {LAST}.")

    def _bind(self, port: int, *, strictly: bool = True) -> bool:
        """Keep a port if it is free.

        `strictly`: also not when another stack merely keeps it, or a connection on it ended lately.
        """
        kept = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if strictly:
                probe.bind(("127.0.0.1", port))
                probe.close()
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            kept.bind(("127.0.0.1", port))
        except OSError:
            kept.close()
            return False
        finally:
            probe.close()
        self._sockets.append(kept)
        return True

    def close(self) -> None:
        """Give every port back."""
        for kept in self._sockets:
            kept.close()
