"""What the shipped browser flows share, for the reference platform's own flows."""

from scenarios.browser.conftest import *  # noqa: F403
