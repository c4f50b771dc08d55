"""Makes a PostgreSQL installation offer what a hosted project's does.

Role `postgres` may create the contrib extensions, and stand-ins in plain SQL take the place of Supabase's own. The
installation is left alone: a folder beside it looks like it to PostgreSQL, which finds its files relative to its own
program. Everything in it is a link, but the program and the extensions' control files.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

from stack.postgres.server import Account, Server

STAND_INS = Path(__file__).parent / "extensions"
STAND_IN = "stand-in"
"""The version that every stand-in calls itself."""
PROGRAMS = ("postgres", "initdb")

# supautils.privileged_extensions of github.com/supabase/postgres (ansible/files/postgresql_config/supautils.conf.j2).
ALLOWED = frozenset(Path(__file__).with_name("hosted_extensions.txt").read_text().split())
DEBIAN = dict(
    line.split() for line in Path(__file__).with_name("debian_packages.txt").read_text().splitlines()
)
"""Extensions, and Debian's package `postgresql-MAJOR-…` of each."""


def needs(extension: str, major: str) -> str:
    """What to do about an extension that is not there, in words."""
    skip = f"go on without it with --skip-extension {extension}"
    if extension == "vector":
        brings = "set-up brings it (`./assay check --migrations`)"
        return f"{brings}; else install postgresql-{major}-pgvector (Debian, Ubuntu), or {skip}"
    if package := DEBIAN.get(extension):
        return f"install it (Debian, Ubuntu: postgresql-{major}-{package}), or {skip}"
    if extension in ALLOWED:
        return f"hosted projects have it, no package known here brings it: {skip}"
    return f"hosted projects do not have it either: {skip}"


def share(bin_folder: Path, version: str) -> Path | None:
    """The folder of an installation's shared files."""
    major = version.partition(".")[0]
    places = (
        bin_folder.parent / "share" / "postgresql",
        bin_folder.parent / "share",
        Path(f"/usr/share/postgresql/{major}"),
    )
    return next((place for place in places if (place / "extension" / "plpgsql.control").exists()), None)


def prepare(server: Server, private: Path, account: Account) -> Server:
    """The server as a hosted project has it, from a folder in ``private`` that is made once for each state of its files."""
    found = share(server.bin, server.version)
    if found is None:
        return server
    controls = sorted((found / "extension").glob("*.control"))
    state = hashlib.sha256(
        repr(
            (Path(__file__).read_text(), str(server.bin), server.version, [c.name for c in controls])
        ).encode()
    )
    for file in sorted(STAND_INS.iterdir()):
        state.update(file.name.encode() + file.read_bytes())
    made = private / f"hosted-{state.hexdigest()[:16]}"
    common = Path(os.path.commonpath([server.bin, found]))
    result = replace(server, bin=made / server.bin.relative_to(common))
    if made.exists():
        os.utime(made)
        return result
    making = private / f".hosted-{os.getpid()}"
    shutil.rmtree(making, ignore_errors=True)
    _mirror(server.bin.parent, making / server.bin.parent.relative_to(common), leave=[server.bin, found])
    _mirror(server.bin, making / server.bin.relative_to(common), leave=[server.bin / p for p in PROGRAMS])
    for program in PROGRAMS:
        shutil.copy2(server.bin / program, making / server.bin.relative_to(common) / program)
    target = making / found.relative_to(common)
    _mirror(found, target, leave=[found / "extension"])
    _mirror(found / "extension", target / "extension", leave=controls)
    for control in controls:
        text = control.read_text(errors="replace")
        if control.stem in ALLOWED and not re.search(r"^\s*trusted\s*=", text, re.M):
            text = text.rstrip() + "\ntrusted = true\n"
        (target / "extension" / control.name).write_text(text)
    ours = {file.stem for file in STAND_INS.glob("*.control")}
    at_hand = {c.stem for c in controls if c.stem not in ours or _loads(server, c.stem)}
    for file in STAND_INS.iterdir():
        if file.name.partition("--")[0].removesuffix(".control") not in at_hand:
            (target / "extension" / file.name).unlink(missing_ok=True)
            shutil.copy2(file, target / "extension" / file.name)
    for folder, folders, files in os.walk(making):
        for name in [*folders, *files, "."]:
            if account.uid is not None:
                os.chown(Path(folder) / name, account.uid, account.gid or -1, follow_symlinks=False)
    try:
        making.rename(made)
    except OSError:  # another stack was first
        shutil.rmtree(making)
    return result


def _loads(server: Server, extension: str) -> bool:
    """Whether the libraries are there that an extension's own library needs."""
    for folder in (server.bin.parent / "lib" / "postgresql", server.bin.parent / "lib"):
        if (library := folder / f"{extension}.so").exists():
            try:
                ctypes.CDLL(str(library))
            except OSError as error:  # what it needs of PostgreSQL itself is missing here too, and no fault
                return "cannot open shared object file" not in str(error)
    return True


def _mirror(source: Path, target: Path, leave: list[Path]) -> None:
    """Make ``target`` a folder of links to what ``source`` holds, but for what is left (or holds something left)."""
    target.mkdir(parents=True, exist_ok=True)
    for entry in source.iterdir():
        if not any(left.is_relative_to(entry) for left in leave):
            (target / entry.name).symlink_to(entry)
