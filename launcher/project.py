"""The checkout: where things are, the environment variables for installers, and the lock that setups share."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from launcher.console import SetupError, from_os, say

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Project:
    """One checkout of the project."""

    root: Path

    @property
    def state(self) -> Path:
        """Everything that the launcher makes, node_modules apart (npm wants it at the root)."""
        return self.root / ".assay"

    @property
    def venv(self) -> Path:
        """The project's Python environment."""
        return self.state / "venv"

    @property
    def python(self) -> Path:
        """The Python of that environment."""
        return self.venv / "bin" / "python"

    @property
    def logs(self) -> Path:
        """What the installers said, one file a step, overwritten by the next setup."""
        return self.state / "logs"

    @property
    def lock_file(self) -> Path:
        """Held by whoever changes the environment; locks/update takes the same one."""
        return self.state / "update.lock"

    def site_packages(self, venv: Path) -> Path | None:
        """The folder of an environment's packages, or None when the environment is no environment."""
        found = sorted((venv / "lib").glob("python3*/site-packages"))
        return found[-1] if len(found) == 1 else None


def installer_env(project: Project, environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` made fit for programs that expect a home and a search path.

    With no usable HOME, home and caches lie in .assay, so that nothing is written elsewhere.
    """
    env = dict(environ)
    env.pop("PYTHONHOME", None)  # it would lead the environment's Python to another standard library
    env.pop("__PYVENV_LAUNCHER__", None)
    if not env.get("PATH"):
        env["PATH"] = _PATH
    home = env.get("HOME", "")
    if not (home and Path(home).is_absolute() and os.access(home, os.R_OK | os.W_OK | os.X_OK)):
        fallback = project.state / "home"
        with contextlib.suppress(OSError):
            fallback.mkdir(parents=True, exist_ok=True)
        env["HOME"] = str(fallback)
        cache = project.state / "cache"
        env.setdefault("PIP_CACHE_DIR", str(cache / "pip"))
        env.setdefault("UV_CACHE_DIR", str(cache / "uv"))
        env.setdefault("npm_config_cache", str(cache / "npm"))
    return env


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all. Raises SetupError."""
    making = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        making.write_text(text, encoding="utf-8")
        making.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            making.unlink()
        raise from_os(error, f"writing {path}") from error


@contextlib.contextmanager
def locked(project: Project) -> Iterator[int]:
    """Hold the setup lock; wait, and say so, while another setup has it. Yields the lock's descriptor."""
    try:
        project.state.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(project.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise from_os(error, f"making {project.state}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN):
                raise SetupError(
                    f"The folder {project.state} cannot be locked ({error.strerror}): "
                    "put the checkout on a file system that has locks."
                ) from error
            say("another setup is at work in this checkout: waiting for it …")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def interpreter() -> str:
    """The Python that runs the launcher, as a path (it does not know its own path when PATH is unset)."""
    if sys.executable:
        return sys.executable
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    return shutil.which(name, path=_PATH) or shutil.which("python3", path=_PATH) or name
