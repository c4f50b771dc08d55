"""Who the users of a load are: one of a pool of signed-in identities, made before the load and undone after it.

Never a login storm: the pool is made once, one sign-in each, a few at a time within the target's login budget,
through the admin API and the ledger (`clients/bulk_identities.py`). The load's processes are handed it with the run;
several users may share one identity when the pool is smaller than the load.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class LoadIdentity:
    """One signed-in identity of the target; tokens and password are secrets."""

    id: str
    username: str
    token: str = field(repr=False)
    email: str = ""
    password: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    expires_at: float = 0.0
    """When the token ends; Unix seconds."""
