"""How Sentry's pair (Bugsink, with the envelope recorder in front) is started."""

from __future__ import annotations

import sys

from stack.sentry.variables import variables
from stack.supervisor.component import Component, ComponentPaths, Engine, StackConfig


def generate(site: ComponentPaths, stack_config: StackConfig) -> None:
    """Add the data source name, the read API's address and its token."""
    stack_config.variables.update(variables(site.ports["sentry"], stack_config.secrets))


COMPONENT = Component(
    name="sentry",
    ports=("sentry", "bugsink"),
    argv=lambda site: [sys.executable, "-m", "stack.sentry", str(site.config)],
    generate=generate,
    engines=lambda site: {"sentry": Engine("engine", "Bugsink 2.6.1, with a recorder in front")},
    start_s=300,
)
