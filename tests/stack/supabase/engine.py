"""A private PostgreSQL and a gateway process over it, for tests: real engine, real sockets, nothing left behind."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from stack.postgres.hosted import prepare
from stack.postgres.server import Account, Server, find
from stack.supabase.keys import Keys, generate
from stack.supabase.provision import provision

ROOT = Path(__file__).parents[3]
SCHEMA = Path(__file__).parent / "schema"
CONTROL_TOKEN = "control-token-of-the-tests"


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@functools.cache
def postgres_bin() -> Path:
    """PostgreSQL's programs: ASSAY_TEST_POSTGRES_BIN, else those that the stack itself would use."""
    private = Path(tempfile.mkdtemp(prefix="assay-server-", dir="/tmp"))
    private.chmod(0o755)
    atexit.register(shutil.rmtree, private, ignore_errors=True)
    account = Account.choose()
    given = os.environ.get("ASSAY_TEST_POSTGRES_BIN")
    found = Server(Path(given), given) if given else find(ROOT, private, account)
    return prepare(found, private, account).bin


@dataclass
class Postgres:
    """A cluster in a folder of its own, reached over a socket in it."""

    folder: Path
    process: subprocess.Popen[Any] | None = None
    port: int | None = None
    """Where it listens on this machine too, besides the socket."""

    def _as(self) -> dict[str, Any]:
        account = Account.choose()
        if account.uid is None:
            return {}
        return {"user": account.uid, "group": account.gid, "extra_groups": []}

    def start(self) -> None:
        """Start it (again); returns when it answers."""
        arguments = [
            "-c",
            f"listen_addresses={'127.0.0.1' if self.port else ''}",
            *(("-c", f"port={self.port}") if self.port else ()),
            "-c",
            f"unix_socket_directories={self.folder}",
            "-c",
            "fsync=off",
        ]
        program = [
            str(postgres_bin() / "postgres"),
            "-D",
            str(self.folder / "data"),
            *arguments,
            "-c",
            "max_connections=80",
        ]
        with (self.folder / "postgres.log").open("ab") as log:
            self.process = process = subprocess.Popen(
                program, stdout=log, stderr=log, cwd=self.folder, **self._as()
            )
        for _ in range(2000):
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.dsn("supabase_admin"), connect_timeout=1).close()
                return
            time.sleep(0.02)
            if process.poll() is not None:
                break
        raise RuntimeError((self.folder / "postgres.log").read_text()[-2000:])

    def stop(self, fast: bool = True) -> None:
        """Stop it: SIGINT cuts every connection, SIGQUIT crashes it."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(2 if fast else 3)
            self.process.wait(20)

    def make(self) -> None:
        """Make the cluster."""
        self.folder.chmod(0o755)
        if owner := self._as():
            os.chown(self.folder, owner["user"], owner["group"])
        subprocess.run(
            [str(postgres_bin() / "initdb"), "-D", str(self.folder / "data"), "-U", "supabase_admin", "-A", "trust",
             "-E", "UTF8", "--no-sync"],
            check=True, stdout=subprocess.DEVNULL, cwd=self.folder, **self._as(),
        )  # fmt: skip

    def dsn(self, user: str, database: str = "postgres") -> str:
        """A DSN for ``user``."""
        port = f"&port={self.port}" if self.port else ""
        return f"postgresql://{user}@/{database}?host={self.folder}{port}"


@dataclass
class Gateway:
    """A gateway process, its keys and its address."""

    postgres: Postgres
    folder: Path
    keys: Keys
    options: dict[str, Any]
    database: str = "postgres"
    process: subprocess.Popen[Any] | None = None
    port: int = field(default_factory=free_port)
    mail_port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        """What a client is given."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def mail_url(self) -> str:
        """Where mails can be read."""
        return f"http://127.0.0.1:{self.mail_port}"

    def start(self) -> None:
        """Start the process; returns when it says READY."""
        config = {
            "state": str(self.folder), "logs": str(self.folder), "ports": {"supabase": self.port, "mail": self.mail_port},
            "variables": {"PLATFORM_URL": "http://127.0.0.1:3000"}, "options": {"supabase": self.options},
            "secrets": {
                **self.keys.secrets(), "control_token": CONTROL_TOKEN,
                "dsn_admin": self.postgres.dsn("supabase_admin", self.database),
                "dsn_authenticator": self.postgres.dsn("authenticator", self.database),
            },
        }  # fmt: skip
        path = self.folder / "CONFIG.json"
        path.write_text(json.dumps(config))
        with (self.folder / "gateway.log").open("a") as log:
            command = [sys.executable, "-m", "stack.supabase", str(path)]
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith("READY "):
            raise RuntimeError(
                f"the gateway said {line!r}: {(self.folder / 'gateway.log').read_text()[-3000:]}"
            )

    def stop(self) -> int:
        """SIGTERM, and its exit code."""
        if self.process is None:
            return 0
        self.process.terminate()
        code = self.process.wait(10)
        if self.process.stdout:
            self.process.stdout.close()
        return code

    def log(self) -> str:
        """What it wrote to stderr."""
        return (self.folder / "gateway.log").read_text()


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """A bootstrapped cluster with the tests' schema."""
    with tempfile.TemporaryDirectory(prefix="assay-pg-", dir="/tmp") as name:
        cluster = Postgres(Path(name))
        cluster.make()
        try:
            cluster.start()
            provision(cluster.dsn("supabase_admin"), SCHEMA)
            yield cluster
        finally:
            cluster.stop()


@contextlib.contextmanager
def gateway(
    cluster: Postgres, options: dict[str, Any] | None = None, database: str = "postgres"
) -> Iterator[Gateway]:
    """A gateway over a database of ``cluster``; without rate limits and with cheap passwords unless told otherwise."""
    chosen = {"bcrypt_cost": 4, "rate_limits": False, "redirect_urls": ["http://allowed.test/**"]} | (
        options or {}
    )
    with tempfile.TemporaryDirectory(prefix="assay-gw-", dir="/tmp") as name:
        one = Gateway(cluster, Path(name), generate(), chosen, database)
        try:
            one.start()
            yield one
        except BaseException:
            one.stop()
            raise
        code = one.stop()
        assert code == 0, f"the gateway left with {code}: {one.log()[-2000:]}"
