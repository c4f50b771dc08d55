"""How the vendor stand-ins (Builder.io, DataDog, GA4, Mixpanel) are started."""

from __future__ import annotations

import sys

from stack.supervisor.component import Component, ComponentPaths, Engine, StackConfig
from stack.vendors.variables import variables


def generate(site: ComponentPaths, stack_config: StackConfig) -> None:
    """Add the vendors' addresses and keys."""
    stack_config.variables.update(variables(site.ports["vendors"], stack_config.secrets))


COMPONENT = Component(
    name="vendors",
    ports=("vendors",),
    argv=lambda site: [sys.executable, "-m", "stack.vendors", str(site.config)],
    generate=generate,
    engines=lambda site: {
        service: Engine("stand-in", "stack/vendors") for service in ("builder", "datadog", "ga4", "mixpanel")
    },
)
