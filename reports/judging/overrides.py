"""The files that a run is judged by: the shipped ones, or those of a team's own project.

A project's `objectives.toml` changes and adds to the shipped objectives, and a target's `objectives.<target>.toml` to
both; its `waivers.toml`, `requirements.toml` and `alerts.toml` stand in the place of the shipped ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from core.objective import Objective, load_objectives

ROOT = Path(__file__).resolve().parents[2]
OBJECTIVES = ROOT / "reports" / "objectives.toml"
REQUIREMENTS = ROOT / "reports" / "requirements.toml"


@dataclass(frozen=True)
class Sources:
    """The files of a project's folder; of None, those of the checkout."""

    project: Path | None = None

    @classmethod
    def of_run(cls, recorded: str, here: Path | None = None) -> Sources:
        """Those of the project that a run recorded; of the project `here` where that folder is not on this machine."""
        if not recorded:
            return cls()
        return cls(Path(recorded) if Path(recorded).is_dir() else here)

    @property
    def waivers(self) -> Path:
        """Named exceptions; the file need not be there."""
        return (self.project or ROOT) / "waivers.toml"

    @property
    def alerts(self) -> Path:
        """What is muted; the file need not be there."""
        return (self.project or ROOT) / "alerts.toml"

    @property
    def requirements(self) -> Path:
        """The project's own list, else the shipped one."""
        own = (self.project or ROOT) / "requirements.toml"
        return own if own.is_file() else REQUIREMENTS

    def objectives(self, target: str = "", override: Path | None = None) -> dict[str, Objective]:
        """The objectives of a target; `override` stands in the place of the target's own file. Raises ConfigError."""
        last = override or override_of(target, self.project or ROOT)
        return load_objectives(OBJECTIVES, *self._own_objectives(), *([last] if last else []))

    def check(self) -> None:
        """Reads every target's file. Raises ConfigError with file and line, before any traffic."""
        for path in sorted((self.project or ROOT).glob("objectives.*.toml")):
            load_objectives(OBJECTIVES, *self._own_objectives(), path)

    def _own_objectives(self) -> list[Path]:
        path = (self.project or ROOT) / "objectives.toml"
        return [path] if path.is_file() else []


def override_of(target: str, root: Path = ROOT) -> Path | None:
    """The file `objectives.<target>.toml` of a target, by its name; None where it has none."""
    if not re.fullmatch(r"[\w.-]+", target):
        return None
    path = root / f"objectives.{target}.toml"
    return path if path.is_file() else None
