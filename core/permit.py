"""What may be done to a target, and which hosts may be contacted. Everything not allowed is refused.

Every client asks here before it contacts a host; every fixture that acts asks here before it acts.
"""

from __future__ import annotations

import fnmatch
import ipaddress
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from core.errors import PermitError


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


@dataclass(frozen=True)
class Permit:
    """Allowed actions and host patterns (`fnmatch`, e.g. `*.supabase.co`)."""

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
        """Returns `address` (a URL, or host[:port]) unless its host may not be contacted (PermitError)."""
        host = host_of(address)
        if not any(fnmatch.fnmatchcase(host, pattern) for pattern in self.hosts):
            raise PermitError(
                f"the host '{host}' is not one of this target's; add it to [permit] hosts in target.toml "
                "if the target really uses it."
            )
        return address


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
