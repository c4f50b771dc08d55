"""How the vendor stand-ins (Builder.io, DataDog, GA4, Mixpanel) are started."""

from __future__ import annotations

import sys

from stack.supervisor.component import Component, Engine, Minted, Site
from stack.vendors.variables import variables


def mint(site: Site, minted: Minted) -> None:
    """Add the vendors' addresses and keys."""
    minted.variables.update(variables(site.ports["vendors"], minted.secrets))


COMPONENT = Component(
    name="vendors",
    ports=("vendors",),
    argv=lambda site: [sys.executable, "-m", "stack.vendors", str(site.config)],
    mint=mint,
    engines=lambda site: {
        service: Engine("stand-in", "stack/vendors") for service in ("builder", "datadog", "ga4", "mixpanel")
    },
)
