"""The project: the folder in which a team describes its platform, and what stands there by which name."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from core.errors import ConfigError
from core.user_settings import setting

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "stack" / "platform" / "assay"
"""The reference platform's own project."""
VARIABLE = "ASSAY_PROJECT"
FILE = "target.toml"
T = TypeVar("T")
_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$")


@dataclass(frozen=True)
class Project:
    """A project's folder. Everything in it but `target.toml` is optional."""

    folder: Path

    @property
    def is_reference(self) -> bool:
        """Whether it is the reference platform's, which the embedded target serves."""
        return self.folder.resolve() == REFERENCE.resolve()

    @property
    def own(self) -> Path | None:
        """The folder of a team's own project; None for the reference platform's, which has the shipped files."""
        return None if self.is_reference else self.folder

    @property
    def described(self) -> bool:
        """Whether somebody wrote a description: a repository of migrations alone is a project, too."""
        return any(self.folder.glob("target*.toml"))

    @property
    def extends_reference(self) -> bool:
        """Whether its description is the reference platform's with differences: a deployed one, for example."""
        try:
            return tomllib.loads(self.target_file().read_text("utf-8")).get("extends") == "reference"
        except (OSError, ValueError):
            return False  # reading the description says what is wrong with it

    def target_file(self, name: str = "") -> Path:
        """The description: `target.toml`, or `target.<name>.toml`."""
        return self.folder / (f"target.{name}.toml" if name else FILE)

    @property
    def targets(self) -> list[str]:
        """Names of its further targets, each a `target.<name>.toml`."""
        return sorted(path.name.split(".")[1] for path in self.folder.glob("target.*.toml"))


class _Process:
    """What this process was told; `enter` alone writes it."""

    project: Project | None = None


def enter(project: Project) -> None:
    """Makes it the project of this process: as its command line says, or the run that it joined."""
    _Process.project = project


def find_project(
    named: str | Path | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    beside: Path | None = None,
) -> Project:
    """The project: the folder that is named, else the one that this process has entered, else ASSAY_PROJECT, else
    `beside` (the caller's folder) or its `assay/` if it holds a target.toml, else the reference platform's.

    Raises ConfigError when a named folder holds no target.toml.
    """
    if _Process.project and not named and environment is None and beside is None:
        return _Process.project
    here = beside or Path.cwd()
    given = named or (setting(VARIABLE) if environment is None else environment.get(VARIABLE, "")).strip()
    if given:
        folder = here / given
        if not folder.is_dir():
            raise ConfigError(f"the project {folder} is no folder; name the one that holds your target.toml.")
        found = Project(folder.resolve())
        if not found.described:
            raise ConfigError(f"the project {folder} holds no target.toml; `assay init {folder}` writes one.")
        return found
    for folder in (here, here / "assay"):
        if (folder / FILE).is_file():
            return Project(folder.resolve())
    return Project(REFERENCE)


def read_env(file: Path) -> dict[str, str]:
    """The variables of an `.env` file: `NAME=value`, quotes and `export` allowed, `#` begins a comment.

    A file that is not there has none. Raises ConfigError, which shows no value, for a line that is neither.
    """
    return parse_env(file.read_text(encoding="utf-8"), str(file)) if file.is_file() else {}


def parse_env(text: str, file: str) -> dict[str, str]:
    """The same from text; `file` is what messages call it."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        entry = _LINE.match(line)
        if entry is None:
            raise ConfigError(f"{file}:{number}: this line is no NAME=value; mend it, or begin it with #.")
        found[entry[1]] = _unquoted(entry[2])
    return found


def _unquoted(text: str) -> str:
    if text[:1] in ("'", '"') and (end := text.find(text[0], 1)) > 0:
        return text[1:end]
    return text.split(" #", 1)[0].rstrip()


def importable(folder: str | Path) -> None:
    """Lets modules of a project be imported; last on the path, so that they hide nothing of ours."""
    if folder and str(folder) not in sys.path:
        sys.path.append(str(folder))


def own_module(name: str, file: Path) -> ModuleType:
    """The module of a project's folder that `file` holds, `name` from that folder on. Raises ConfigError."""
    importable(file.parents[name.count(".")])
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise ConfigError(f"{file} cannot be imported: {type(error).__name__}: {error}.") from error


def own_class(named: str, folder: str | Path, base: type[T], setting: str) -> type[T]:
    """The class `module:Class` that a project names in its settings in the place of `base`.

    The module stands in the project's folder, or anywhere that Python finds. Raises ConfigError when the name leads
    nowhere, or to something that is no subclass.
    """
    importable(folder)
    module, _, name = named.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"target.toml [settings] {setting} names '{named}', which cannot be imported: {error}."
        ) from None
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ConfigError(
            f"target.toml [settings] {setting}: '{named}' is not a subclass of {base.__module__}.{base.__name__}."
        )
    return found
