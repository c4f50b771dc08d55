"""How Sentry's pair (Bugsink, with the envelope recorder in front) is started."""

from __future__ import annotations

import sys

from stack.sentry.variables import variables
from stack.supervisor.component import Component, Engine, Minted, Site


def mint(site: Site, minted: Minted) -> None:
    """Add the data source name, the read API's address and its token."""
    minted.variables.update(variables(site.ports["sentry"], minted.secrets))


COMPONENT = Component(
    name="sentry",
    ports=("sentry", "bugsink"),
    argv=lambda site: [sys.executable, "-m", "stack.sentry", str(site.config)],
    mint=mint,
    engines=lambda site: {"sentry": Engine("engine", "Bugsink 2.6.1, with a recorder in front")},
    start_s=300,
)
