"""A Python environment from a hash-locked file, made without ensurepip and wheel builds.

pip installs uv from the lock file, and uv the rest: that takes a tenth of the time. Where uv cannot do it
(no uv in the lock, a pip setting that uv has not, an index that it does not read), pip does it all.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from launcher import locks, pipconfig
from launcher.command import CommandError, explain, run
from launcher.console import USAGE, SetupError, SetupStep, from_os, say
from launcher.project import Project, interpreter

_KEPT = {"pip", "setuptools", "wheel"}
_hosts: dict[str, str] = {}  # found once a process: to ask a Python costs a third of a second
_EDITABLE = (
    # After the standard library and before the packages: the rooms' names exist among packages too.
    "import sys; p = {root!r}; p in sys.path or sys.path.insert("
    "next((i for i, e in enumerate(sys.path) if e.endswith('site-packages')), len(sys.path)), p)\n"
)


@dataclass(frozen=True)
class Installation:
    """One environment to bring up to date."""

    project: Project
    folder: Path
    lock: Path
    """The hash-locked file."""
    uv: Path
    """Where uv is, or will be once it has been installed."""
    env: Mapping[str, str]
    step: SetupStep
    descriptor: int
    """The setup lock, which installers inherit."""

    @property
    def python(self) -> Path:
        """The environment's Python."""
        return self.folder / "bin" / "python"

    @property
    def name(self) -> str:
        """How errors call the lock file."""
        return f"{self.lock.parent.name}/{self.lock.name}"

    def run(self, argv: list[str | Path], what: str, log: str, env: Mapping[str, str]) -> str:
        """Run an installer for this environment. Raises CommandError."""
        return run(
            argv,
            step=self.step,
            env=env,
            cwd=self.project.root,
            log=self.project.logs / f"{log}.log",
            what=what,
            lock=self.name,
            keep=[self.descriptor],
        )


def usable(folder: Path) -> str:
    """Which interpreter an environment runs on (real path and version), or "" when it cannot run."""
    python = folder / "bin" / "python"
    try:
        done = subprocess.run(
            [python, "-I", "-c", "import sys; print(sys.prefix, *sys.version_info[:3], sep='\\n')"],
            capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    prefix, *version = done.stdout.split("\n")[:4] if done.returncode == 0 else ("",)
    return f"{python.resolve()} {'.'.join(version)}" if prefix == str(folder) else ""


def bring_up(installation: Installation, *, afresh: bool) -> None:
    """Make the environment hold what the lock file says, no more and no less. Raises SetupError."""
    pins = locks.python_pins(installation.lock)
    if afresh or not usable(installation.folder):
        make(installation.folder)
    try:
        _install(installation, pins)
        damaged = damage(installation)
        if damaged:
            say(f"mending {len(damaged)} damaged packages: {', '.join(sorted(damaged)[:5])}")
            _forget(installation, damaged)
            _forget_cached(installation, damaged)
            _install(installation, pins)
            damaged = damage(installation)
        if damaged:
            raise SetupError(
                f"The environment {installation.folder} is damaged and was not mended "
                f"({', '.join(sorted(damaged)[:5])}): remove it and run this again."
            )
    except OSError as error:
        raise from_os(error, f"making {installation.folder}") from error


def make(folder: Path) -> None:
    """An empty environment without pip (Debian's Python has no ensurepip)."""
    try:
        if folder.is_symlink() or folder.is_file():
            folder.unlink()
        elif folder.exists():
            shutil.rmtree(folder)
        words: list[str | Path] = [interpreter(), "-m", "venv", "--without-pip", folder]
        done = subprocess.run(words, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise from_os(error, f"making {folder}") from error
    if done.returncode:
        log = folder.parent / "logs" / "venv.log"
        raise explain(done.stdout + done.stderr, done.returncode, f"Making {folder}", "the environment", log)


def editable(project: Project) -> None:
    """Make the rooms importable in the project's environment, wherever a command starts."""
    packages = project.site_packages(project.venv)
    if packages is not None:
        path = packages / "assay.pth"
        text = _EDITABLE.format(root=str(project.root))
        try:
            if not path.exists() or path.read_text() != text:
                path.write_text(text)
        except OSError as error:
            raise from_os(error, f"writing {path}") from error


def damage(installation: Installation) -> set[str]:
    """Packages of which a file is missing or has another size than was installed."""
    packages = installation.project.site_packages(installation.folder)
    if packages is None:
        return set()
    damaged = set()
    for distribution in metadata.distributions(path=[str(packages)]):
        name = distribution.metadata["Name"] if distribution.metadata else None
        record = distribution.read_text("RECORD")
        if not name or record is None:
            continue
        for place, _, size in (row for row in csv.reader(record.splitlines()) if len(row) == 3):
            if place.endswith(".pyc") or not size:
                continue
            try:
                if os.stat(f"{packages}/{place}").st_size != int(size):  # noqa: PTH116 - 40,000 times
                    damaged.add(name)
                    break
            except (OSError, ValueError):
                damaged.add(name)
                break
    return damaged


def _forget(installation: Installation, names: set[str]) -> None:
    """Take away the metadata of packages, so that they count as not installed."""
    packages = installation.project.site_packages(installation.folder)
    for entry in list(packages.glob("*.dist-info")) if packages else []:
        if normal(entry.name.split("-")[0]) in {normal(name) for name in names}:
            shutil.rmtree(entry)


def _forget_cached(installation: Installation, names: set[str]) -> None:
    """Take packages out of uv's cache: their files there and here are often one (hard links)."""
    if _runs(installation.uv):
        words: list[str | Path] = [installation.uv, "cache", "clean", *sorted(names)]
        installation.run(words, "Clearing uv's cache", "uv-cache", installation.env)


def normal(name: str) -> str:
    """A package's normalized name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _install(installation: Installation, pins: Mapping[str, str]) -> None:
    env = dict(installation.env)
    wants_pip = env.get("ASSAY_INSTALLER") == "pip"
    if not wants_pip and (installation.uv.exists() or "uv" in pins):
        settings = pipconfig.for_uv(_pip_settings(env), env)
        if settings is not None:
            try:
                if not _runs(installation.uv):
                    _pip(installation, {"uv": pins["uv"]}, env, "uv")
                _uv(installation, {**env, **settings})
                return
            except (CommandError, KeyError) as error:
                if isinstance(error, CommandError) and error.code == USAGE:
                    raise
                say("uv could not do it, pip tries")
    _pip(installation, pins, env, "pip")
    _remove_others(installation, pins, env)


def _runs(program: Path) -> bool:
    try:
        return subprocess.run([program, "--version"], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _uv(installation: Installation, env: dict[str, str]) -> None:
    argv: list[str | Path] = [
        installation.uv, "pip", "sync", "--python", installation.python, "--require-hashes", "--no-build",
        # Hashes say which file it must be, so any index may offer it, as with pip.
        "--index-strategy", "unsafe-best-match",
        "--no-python-downloads",
    ]  # fmt: skip
    if not env.get("SSL_CERT_FILE"):
        argv.append("--system-certs")
    installation.run(
        [*argv, installation.lock], f"Installing {installation.name}", f"uv-{installation.folder.name}", env
    )


def _pip(installation: Installation, pins: Mapping[str, str], env: Mapping[str, str], what: str) -> None:
    with tempfile.NamedTemporaryFile(
        "w", suffix=".txt", prefix="assay-", dir=installation.project.state
    ) as wanted:
        wanted.write("\n".join(pins.values()) + "\n")
        wanted.flush()
        installation.run(
            [
                pip_host(env), "-m", "pip", "--python", installation.python, "install", "--no-deps",
                "--only-binary", ":all:", "--no-compile", "--require-hashes", "--no-warn-script-location",
                "-r", wanted.name,
            ],
            f"Installing {what if what == 'uv' else installation.name}",
            f"pip-{installation.folder.name}",
            _pip_env(env),
        )  # fmt: skip


def _remove_others(installation: Installation, pins: Mapping[str, str], env: Mapping[str, str]) -> None:
    """Uninstall what the lock does not name (uv does this by itself)."""
    packages = installation.project.site_packages(installation.folder)
    installed = {
        normal(found.metadata["Name"])
        for found in metadata.distributions(path=[str(packages)])
        if found.metadata
    }
    others = sorted(installed - set(pins) - _KEPT)
    if others:
        host = pip_host(env)
        uninstall: list[str | Path] = [host, "-m", "pip", "--python", installation.python, "uninstall", "-y"]
        installation.run([*uninstall, *others], "Uninstalling", "pip-uninstall", _pip_env(env))


def _pip_env(env: Mapping[str, str]) -> dict[str, str]:
    clean = {k: v for k, v in env.items() if k not in ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_PYTHON")}
    return clean | {
        "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_USER": "0",
        "PIP_ROOT_USER_ACTION": "ignore", "PIP_PROGRESS_BAR": "off", "PIP_REQUIRE_VIRTUALENV": "0",
    }  # fmt: skip


def pip_host(env: Mapping[str, str]) -> str:
    """A Python that has pip. Raises SetupError when there is none."""
    if "pip" not in _hosts:
        _hosts["pip"] = _find_pip_host(env)
    return _hosts["pip"]


def _find_pip_host(env: Mapping[str, str]) -> str:
    candidates = [interpreter(), getattr(sys, "_base_executable", "") or interpreter()]
    candidates += [
        found for name in ("python3", "python") if (found := shutil.which(name, path=env.get("PATH")))
    ]
    for candidate in dict.fromkeys(candidates):
        try:
            probe = subprocess.run(
                [candidate, "-c", "import pip, sys; sys.exit(sys.version_info < (3, 7))"],
                capture_output=True, timeout=60, env=dict(env),
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            continue
        if probe.returncode == 0:
            return candidate
    raise SetupError(
        f"{interpreter()} has no pip: install it (Debian and Ubuntu: apt-get install python3-pip) and run this again.",
        USAGE,
    )


def _pip_settings(env: Mapping[str, str]) -> str:
    """`pip config list`, held in memory only: it may show credentials."""
    done = subprocess.run(
        [pip_host(env), "-m", "pip", "config", "list"],
        capture_output=True, text=True, timeout=120, env=_pip_settings_env(env),
    )  # fmt: skip
    return done.stdout if done.returncode == 0 else "global.unreadable='1'"


def _pip_settings_env(env: Mapping[str, str]) -> dict[str, str]:
    return dict(env) | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
