"""A target's own numbers: `objectives.<target>.toml` beside waivers.toml, single keys or whole objectives."""

from __future__ import annotations

import re
from pathlib import Path

from core.objective import load_objectives

ROOT = Path(__file__).resolve().parents[2]
OBJECTIVES = ROOT / "reports" / "objectives.toml"


def override_of(target: str, root: Path = ROOT) -> Path | None:
    """The file of a target, by its name; None where it has none."""
    if not re.fullmatch(r"[\w.-]+", target):
        return None
    path = root / f"objectives.{target}.toml"
    return path if path.is_file() else None


def check_overrides(root: Path = ROOT) -> None:
    """Reads every target's file. Raises ConfigError with file and line, before any traffic."""
    for path in sorted(root.glob("objectives.*.toml")):
        load_objectives(OBJECTIVES, override=path)
