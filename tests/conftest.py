"""What every test of the harness needs of its own process."""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, settings

from tests import spent

# A busy machine is slow to draw an example and slow to try it: neither says anything about what is tested. The same
# examples each time: `--hypothesis-profile explore` looks for new ones.
STEADY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
settings.register_profile("tests", STEADY, derandomize=True)
settings.register_profile("explore", STEADY, max_examples=1000)
settings.load_profile("tests")

# A shell starts what it runs in the background with Ctrl-C ignored, and children inherit that: a test that
# interrupts a child would then wait for nothing. A caught signal falls back to its default in the child.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Measures what each file costs; a process of pytest that a test starts has a configuration of its own."""
    config.pluginmanager.register(spent.Measured(), "spent")
