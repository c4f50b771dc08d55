"""What may be done to a target, and which hosts may be contacted. Everything not allowed is refused.

Every client asks here before it contacts a host; every fixture that acts asks here before it acts.
"""

from __future__ import annotations

import fnmatch
import ipaddress
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from urllib.parse import urlsplit

from core.errors import PermitError
from core.reading import is_admin, only_reads


class Action(StrEnum):
    """Kinds of doing, from harmless to drastic. A passport names those that its check needs."""

    READ = "read"
    WRITE = "write"  # tagged test data of our own, undone by the ledger
    ADMIN = "admin"  # test identities through a service's admin API
    RATE_LIMIT = "rate_limit"  # uses up a limit that real users share
    DESTRUCTIVE = "destructive"  # touches what Assay did not create
    LOAD = "load"
    OUTAGE = "outage"  # takes a service away; through the control address of the embedded target alone


PRODUCTION_SAFE = frozenset({Action.READ, Action.WRITE, Action.ADMIN})
EVERYTHING = frozenset(Action)
THIS_MACHINE = frozenset({"localhost", "127.*", "::1"})
"""Hosts of a load that belongs to no run: nobody named a target for it."""


_SAME = {"ws": "http", "wss": "https", "postgres": "postgresql"}
_PORTS = {"http": 80, "https": 443, "postgresql": 5432}


@dataclass(frozen=True)
class Origin:
    """A host with its port and scheme; what is not named (empty, None) is any. `*` in a host stands for any text."""

    scheme: str
    host: str
    port: int | None

    @staticmethod
    @lru_cache(maxsize=4096)
    def of(address: str) -> Origin:
        """The origin of a URL, `host:port` or `host`; a WebSocket's scheme is that of its HTTP."""
        parts = urlsplit(address if "://" in address else f"//{address}")
        scheme = _SAME.get(parts.scheme, parts.scheme)
        try:
            port = parts.port or _PORTS.get(scheme)
        except ValueError:
            port = 0  # no port that anything has: nothing covers it
        return Origin(scheme, (parts.hostname or "").lower(), port)

    def covers(self, other: Origin) -> bool:
        """Whether `other` is one of those that this one, as a pattern, stands for."""
        return (
            fnmatch.fnmatchcase(other.host, self.host)
            and (self.port is None or other.port is None or self.port == other.port)
            and (not self.scheme or not other.scheme or self.scheme == other.scheme)
        )

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port is not None else ""
        return f"{self.scheme}://{host}{port}" if self.scheme else f"{host}{port}"


@dataclass(frozen=True)
class Permit:
    """Allowed actions, and patterns of what may be contacted: `scheme://host:port`, `host:port` or `*.host`."""

    actions: frozenset[Action]
    hosts: frozenset[str]

    def allows(self, action: Action) -> bool:
        """Whether this kind of doing is allowed."""
        return action in self.actions

    def demand(self, action: Action, what: str) -> None:
        """Raises PermitError, before anything is done, unless the action is allowed."""
        if action not in self.actions:
            raise PermitError(
                f"{what} needs the permit '{action}', which this target does not give; "
                f"add it to [permit] actions in target.toml if that is really meant."
            )

    def contact(self, address: str) -> str:
        """Returns `address` (a URL, or host[:port]) unless its origin may not be contacted (PermitError)."""
        if not self.names(address):
            raise PermitError(
                f"the host '{Origin.of(address)}' is not one of this target's; add it to [permit] hosts in "
                "target.toml if the target really uses it."
            )
        return address

    def send(self, method: str, address: str) -> str:
        """Returns `address` unless a request of this method may not go there (PermitError)."""
        self.contact(address)
        self.demand_method(method, address)
        return address

    def demand_method(self, method: str, address: str) -> None:
        """Raises PermitError for a request that writes where only reading is permitted; `address` is a URL or a path."""
        if only_reads(method, address):
            action = Action.READ
        elif is_admin(address):
            action = Action.ADMIN
        else:
            action = Action.WRITE
        if action not in self.actions:
            self.demand(action, f"{method} {urlsplit(address).path or '/'}")

    @property
    def any_method(self) -> bool:
        """Whether a request of every method may be sent."""
        return self.actions >= PRODUCTION_SAFE

    def names(self, address: str) -> bool:
        """Whether the target names this address's host, with its port and scheme where it names those."""
        asked = Origin.of(address)
        return bool(asked.host) and any(Origin.of(pattern).covers(asked) for pattern in self.hosts)


def host_of(address: str) -> str:
    """The lower-case host name of a URL or `host[:port]`; empty when there is none."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    return (parts.hostname or "").lower()


def is_loopback(address: str) -> bool:
    """True for localhost and the loopback ranges of IPv4 and IPv6."""
    host = host_of(address)
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
