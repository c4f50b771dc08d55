"""`assay drill`: seeded faults, each of which the checks must catch."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import ConfigError


def run_drill(words: Sequence[str]) -> int:
    """Refuses, since the catalogue of faults is not in this version."""
    raise ConfigError("the drill has no catalogue of faults yet; it comes with defects/ in a later version.")
