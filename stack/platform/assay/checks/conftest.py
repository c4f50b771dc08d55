"""What the shipped suites share, for the reference platform's own checks."""

from suites.conftest import *  # noqa: F403
