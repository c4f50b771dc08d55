"""Where `assay init` finds variables: a named file, standard input, an `.env`, or the Supabase CLI's own word."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from clients.services.auth import SERVICE as AUTH
from core.errors import ConfigError
from core.project import parse_env, read_env
from core.user_settings import for_child

STATUS = ("status", "-o", "env")
"""What prints the addresses and keys of the local stack (Supabase CLI, `supabase status`)."""
TIMEOUT = 30.0


@dataclass(frozen=True)
class Given:
    """Variables, the environment's first, and the file that runs read the others from, as seen from the project's folder.

    `to_keep` says what a person has to keep in a file, where the variables came by a pipe or from the CLI.
    """

    variables: dict[str, str]
    env_file: str = ""
    to_keep: str = ""


def given_variables(folder: Path, named: str = "") -> Given:
    """The variables for a project's folder. Raises ConfigError for a file that is named and not there.

    `named` is a file, or `-`. Without it counts the `.env` of the folder or of the repository above it; without one, and
    without Supabase's address in the environment, what `supabase status -o env` says of the repository's local stack.
    """
    own, above = for_child({}), folder.resolve().parent
    if named == "-":
        return Given(
            {**parse_env(sys.stdin.read(), "standard input"), **own},
            ".env",
            _kept("what you piped in", folder),
        )
    if named:
        file = Path(named)
        if not file.is_file():
            raise ConfigError(
                f"--env {named} is no file; name one of NAME=value lines, or - for standard input."
            )
        return Given({**read_env(file), **own}, os.path.relpath(file.resolve(), folder.resolve()))
    for place, beside in ((folder, ".env"), (above, "../.env")):
        if (place / ".env").is_file():
            return Given({**read_env(place / ".env"), **own}, beside)
    address = AUTH.variables[0]
    known = any(own.get(name) for name in (address.name, *address.aliases, address.local))
    if not known and (said := _status(above)):
        return Given({**said, **own}, ".env", _kept("`supabase status -o env`", folder))
    return Given(own)


def _kept(what: str, folder: Path) -> str:
    return f"env_files: keep {what} in {folder / '.env'}, from which runs read it; git ignores that file"


def _status(repository: Path) -> dict[str, str]:
    """What the Supabase CLI says of the stack that runs here; nothing where there is no CLI, no configuration, no stack."""
    if not (repository / "supabase" / "config.toml").is_file():
        return {}
    local = repository / "node_modules" / ".bin" / "supabase"
    command = str(local) if local.is_file() else shutil.which("supabase")
    if command is None:
        return {}
    try:
        done = subprocess.run(
            [command, *STATUS], cwd=repository, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return parse_env(done.stdout, "supabase status -o env") if done.returncode == 0 else {}
