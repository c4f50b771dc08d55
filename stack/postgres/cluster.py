"""Makes and runs one PostgreSQL cluster.

A finished cluster (initdb, what a fresh hosted project holds, the platform's migrations) is kept as a
template under a key of the server's version and of all that SQL; a start copies it, in some tenths of a
second. `fsync` and `synchronous_commit` stay on, as on hosted projects: what was acknowledged is there
after `kill -9`, and a measured query has waited for the same disk as in production. Only the making of a
template goes without.

TLS is offered with a certificate of its own, as on hosted: the Supabase CLI connects in no other way.

Who may enter: `supabase_admin`, the superuser, by the socket and as our own operating system user only
(peer); every other role by password (SCRAM), on the socket or on 127.0.0.1.
"""

from __future__ import annotations

import ctypes
import getpass
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from stack.postgres import folder, hosted
from stack.postgres.certificate import write_certificate
from stack.postgres.server import Account, NoServer, Server, libraries
from stack.supabase.project import Project
from stack.supabase.provision import BOOTSTRAP, provision
from stack.supervisor import orphans

ADMIN = "supabase_admin"
START_S = 30.0
STOP_S = 10.0
FORMAT = 2
"""Raised when this module makes templates differently."""
SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "300",
    "shared_buffers": "192MB",
    "max_wal_size": "2GB",
    "wal_level": "logical",
    "password_encryption": "scram-sha-256",
    "shared_preload_libraries": "pg_stat_statements",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_checkpoints": "off",
    "log_min_error_statement": "panic",
    "jit": "off",
    "ssl": "on",
    "lc_messages": "C",
    "unix_socket_permissions": "0700",
}
"""As hosted where it matters. Failed statements are not logged: they may hold a person's data."""


class Cluster:
    """One data folder and the server on it, run as `account`."""

    def __init__(self, server: Server, account: Account, home: Path, port: int) -> None:
        self.server = server
        self.account = account
        self.home = home
        self.data = home / "data"
        self.port = port
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def dsn_admin(self) -> str:
        """The superuser's address, by the socket; needs no password, and works for our own user only."""
        return dsn_admin(self.home, self.port)

    def initdb(self) -> None:
        """Make an empty cluster."""
        locale = "C.UTF-8" if sys.platform == "linux" else "C"
        self.account.run(
            [str(self.server.bin / "initdb"), "-D", str(self.data), "-U", ADMIN, "--auth-local=peer",
             "--auth-host=scram-sha-256", "--encoding=UTF8", f"--locale={locale}", "--no-sync"],
            self.home,
        )  # fmt: skip

    def admit(self) -> None:
        """Write who may enter; see the module's words."""
        ours = {getpass.getuser() if _named() else str(os.getuid()), self.account.name}
        texts = {
            "pg_hba.conf": (
                f"local all {ADMIN} peer map=assay\n"
                f"local replication {ADMIN} peer map=assay\n"
                "local all all scram-sha-256\n"
                "host all all 127.0.0.1/32 scram-sha-256\n"
            ),
            "pg_ident.conf": "".join(f'assay "{name}" {ADMIN}\n' for name in sorted(ours)),
        }
        for name, text in texts.items():
            (self.data / name).write_text(text)
        for file in write_certificate(self.data):
            self.account.own(file)

    def start(self, *, listen: bool, settings: dict[str, str] | None = None) -> None:
        """Start the server and return when it answers. Raises NoServer when it ends or does not answer."""
        own = {
            "listen_addresses": "127.0.0.1" if listen else "",
            "port": str(self.port),
            "unix_socket_directories": str(self.home),
        }
        argv = [str(self.server.bin / "postgres"), "-D", str(self.data)]
        for name, value in (SETTINGS | own | (settings or {})).items():
            argv += ["-c", f"{name}={value}"]
        mark = {orphans.MARK: os.environ[orphans.MARK]} if orphans.MARK in os.environ else {}
        self.process = subprocess.Popen(
            argv, user=self.account.uid, group=self.account.gid,
            extra_groups=None if self.account.uid is None else [], cwd=self.home, stdin=subprocess.DEVNULL,
            stdout=2, preexec_fn=_die_with_us,
            env={"LC_ALL": "C", "PATH": os.environ.get("PATH", ""), **libraries(self.server.bin / "postgres"), **mark},
        )  # fmt: skip
        deadline = time.monotonic() + START_S
        while True:
            if self.process.poll() is not None:
                raise NoServer(
                    f"{self.server.name} ended while starting (exit code {self.process.returncode})."
                )
            try:
                psycopg.connect(self.dsn_admin, connect_timeout=2).close()
                return
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    raise NoServer(
                        f"{self.server.name} does not answer after {START_S:g} s: {error}"
                    ) from error
            time.sleep(0.02)

    def stop(self) -> int:
        """End the server in order (open transactions are rolled back). Returns its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def set_passwords(self, passwords: dict[str, str]) -> None:
        """Set roles' passwords; the server sees only their SCRAM verifiers, so no log can hold one."""
        with psycopg.connect(self.dsn_admin, autocommit=True) as db:
            for role, password in passwords.items():
                verifier = db.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
                db.execute(
                    sql.SQL("alter role {} password {}").format(
                        sql.Identifier(role), sql.Literal(verifier.decode())
                    )
                )


def dsn_admin(home: Path, port: int) -> str:
    """The superuser's address by the socket in `home`."""
    return f"postgresql://{ADMIN}@/postgres?host={quote(str(home), safe='')}&port={port}"


def dsn_socket(role: str, password: str, home: Path, port: int) -> str:
    """Another role's address by the socket in `home`."""
    return f"postgresql://{role}:{quote(password)}@/postgres?host={quote(str(home), safe='')}&port={port}"


def _named() -> bool:
    with suppress(KeyError, OSError):
        getpass.getuser()
        return True
    return False


def _die_with_us() -> None:
    """Linux: SIGKILL when our parent dies; data survives that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)


def template_key(server: Server, account: Account, project: Project) -> str:
    """A digest of all that a template depends on."""
    settings = (
        sorted(project.skip_extensions),
        project.default_grants,
        str(project.migrations),
        project.seed,
    )
    known = (FORMAT, str(server.bin), server.version, account.name, os.getuid(), ADMIN, settings)
    text = hashlib.sha256(repr(known).encode())
    for file in [
        *sorted(BOOTSTRAP.glob("*.sql")),
        BOOTSTRAP.parent / "provision.py",
        *sorted(hosted.STAND_INS.iterdir()),
        *project.files(),
    ]:
        text.update(f"\0{file.name}\0".encode() + file.read_bytes())
    return text.hexdigest()[:16]


def fill(cluster: Cluster, root: Path, project: Project) -> str:
    """Give a new cluster its data: a copy of the template, which is made first if there is none.

    Returns `template` or `made`. Raises NoServer, and provision's MigrationFailed.
    """
    private = folder.base(root)
    template = private / f"template-{template_key(cluster.server, cluster.account, project)}"
    found = template.exists()
    if not found:
        make_template(cluster, template, project)
    os.utime(template)
    reflink = ["--reflink=auto"] if sys.platform == "linux" else []
    cluster.account.run(["cp", "-a", *reflink, str(template), str(cluster.data)], private)
    folder.tidy_templates(root)
    return "template" if found else "made"


def make_template(like: Cluster, template: Path, project: Project) -> None:
    """Make a finished cluster at `template`, whole or not at all."""
    making = template.with_name(f".making-{os.getpid()}")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o700)
    like.account.own(making)
    try:
        cluster = Cluster(like.server, like.account, making, like.port)
        cluster.initdb()
        cluster.admit()
        cluster.start(listen=False, settings={"fsync": "off", "full_page_writes": "off"})
        try:
            provision(cluster.dsn_admin, project=project)
        finally:
            cluster.stop()
        cluster.account.run([str(like.server.bin / "initdb"), "--sync-only", "-D", str(cluster.data)], making)
        with suppress(OSError):  # another stack was first
            cluster.data.rename(template)
    finally:
        shutil.rmtree(making, ignore_errors=True)
