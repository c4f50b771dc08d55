"""Bugsink, the real program that answers for Sentry's errors: its environment, its database, its process.

It is installed into a virtual environment of its own from locks/bugsink.txt, since its needs would clash
with the harness's. Its licence lets us run it beside Assay, not bundle it.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from stack.sentry.variables import ORGANISATION, PROJECT, derive

ROOT = Path(__file__).parents[2]
VENV = ROOT / ".assay" / "bugsink-venv"
LOCK = ROOT / "locks" / "bugsink.txt"
VERSION = "2.6.1"
TOKEN_LENGTH = 40
PR_SET_PDEATHSIG = 1

CONFIGURATION = """
from bugsink.settings.default import *
from bugsink.settings.default import DATABASES
SECRET_KEY = {secret_key!r}
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
DATABASES["default"]["NAME"] = {database!r}
DATABASES["snappea"]["NAME"] = {snappea!r}
SNAPPEA = {{"TASK_ALWAYS_EAGER": True}}
SENTRY_DSN = None
TIME_ZONE = "UTC"
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
BUGSINK = {{
    "BASE_URL": {base_url!r}, "SINGLE_USER": True, "SINGLE_TEAM": True, "USER_REGISTRATION": "CB_NOBODY",
    "PHONEHOME": False, "INGEST_STORE_BASE_DIR": {ingest!r},
    "EXTRA_URLCONF_MODULES": ["bugsink_views"],
    "MAX_EVENTS_PER_PROJECT_PER_5_MINUTES": 10**7, "MAX_EVENTS_PER_PROJECT_PER_HOUR": 10**8,
    "MAX_EVENTS_PER_PROJECT_PER_MONTH": 10**9, "MAX_EVENTS_PER_5_MINUTES": 10**7,
    "MAX_EVENTS_PER_HOUR": 10**8, "MAX_EVENTS_PER_MONTH": 10**9,
}}
"""

SEED = """
import django; django.setup()
from bsmain.models import AuthToken
from projects.models import Project
from teams.models import Team
team = Team.objects.create(name={team!r})
Project.objects.create(id=1, team=team, name={project!r}, slug={project!r}, alert_on_new_issue=False,
                       alert_on_regression=False, alert_on_unmute=False, retention_max_event_count=100000)
AuthToken.create_full_access(description="recorder")
"""


class BugsinkFailed(RuntimeError):
    """Bugsink could not be installed, prepared or started; the text says what to look at."""


def installed() -> bool:
    """Return whether the pinned Bugsink stands in its environment."""
    found = list(VENV.glob(f"lib/python3.*/site-packages/bugsink-{VERSION}.dist-info/RECORD"))
    return bool(found) and (VENV / "bin" / "gunicorn").exists()


def install() -> None:
    """Make the environment where it is absent; others that come meanwhile wait. Raises BugsinkFailed."""
    if installed():
        return
    VENV.parent.mkdir(parents=True, exist_ok=True)
    with (VENV.parent / "bugsink.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if installed():
            return
        python = VENV / "bin" / "python"
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(VENV)],
            [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check",
             "--require-hashes", "-r", str(LOCK)],
        ):  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise BugsinkFailed(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")


class Bugsink:
    """One Bugsink of one stack."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.port = int(config["ports"]["bugsink"])
        self.url = f"http://127.0.0.1:{self.port}"
        self.public_url = f"http://127.0.0.1:{config['ports']['sentry']}"
        self.folder = Path(config["state"]) / "bugsink"
        cache = (config.get("options") or {}).get("cache")
        self.cache = Path(cache) if cache else ROOT / ".assay" / "cache"
        self.log = Path(config["logs"]) / "bugsink.log"
        seed = str(config["secrets"]["sentry_seed"])
        self.key = derive(seed, "dsn")[:32]
        self.token = derive(seed, "bugsink.token")[:TOKEN_LENGTH]
        self._secret_key = derive(seed, "bugsink.secret")
        self.process: subprocess.Popen[bytes] | None = None
        self.stopping = False

    # -- preparing

    def _environment(self, folder: Path) -> dict[str, str]:
        names = ("PATH", "LANG", "HOME", "TMPDIR", "ASSAY_STACK", "ASSAY_COMPONENT")
        kept = {name: os.environ[name] for name in names if name in os.environ}
        paths = os.pathsep.join((str(folder), str(Path(__file__).parent / "inside_bugsink")))
        return {**kept, "PYTHONPATH": paths, "DJANGO_SETTINGS_MODULE": "bugsink_conf"}

    def _configure(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        text = CONFIGURATION.format(
            secret_key=self._secret_key,
            database=str(folder / "db.sqlite3"),
            snappea=str(folder / "snappea.sqlite3"),
            ingest=str(folder / "ingest"),
            base_url=self.public_url,
        )
        path = folder / "bugsink_conf.py"
        path.touch(mode=0o600)
        path.write_text(text)

    def _run(self, folder: Path, *arguments: str) -> None:
        command = [str(VENV / "bin" / arguments[0]), *arguments[1:]]
        done = subprocess.run(
            command, cwd=folder, env=self._environment(folder), capture_output=True, text=True
        )
        if done.returncode:
            raise BugsinkFailed(f"{' '.join(arguments[:2])} failed:\n{done.stderr[-2000:]}")

    def _template(self) -> Path:
        """Return a migrated database with one project, made once per version and kept in the cache."""
        mark = hashlib.sha256(LOCK.read_bytes() + SEED.encode()).hexdigest()[:12]
        template = self.cache / f"bugsink-{VERSION}-{mark}.sqlite3"
        self.cache.mkdir(parents=True, exist_ok=True)
        with (self.cache / "bugsink-template.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if template.exists():
                return template
            making = self.cache / f"bugsink-making-{os.getpid()}"
            try:
                self._configure(making)
                self._run(making, "bugsink-manage", "migrate")
                self._run(making, "python", "-c", SEED.format(team=ORGANISATION, project=PROJECT))
                with sqlite3.connect(making / "db.sqlite3") as database:
                    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                (making / "db.sqlite3").rename(template)
            finally:
                shutil.rmtree(making, ignore_errors=True)
        return template

    def prepare(self) -> None:
        """Install, and lay out this stack's folder: settings, a database, this stack's key and token."""
        install()
        self._configure(self.folder)
        database = self.folder / "db.sqlite3"
        if not database.exists():
            fresh = database.with_suffix(".fresh")
            shutil.copyfile(self._template(), fresh)
            fresh.rename(database)
        connection = sqlite3.connect(database)
        with connection:
            connection.execute("UPDATE projects_project SET sentry_key = ? WHERE id = 1", (self.key,))
            connection.execute("UPDATE bsmain_authtoken SET token = ?", (self.token,))
        connection.close()

    # -- running

    def start(self) -> None:
        """Start the process; `wait_ready` tells when it serves."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        parent = os.getpid()

        def die_with_parent() -> None:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    str(VENV / "bin" / "gunicorn"), f"--bind=127.0.0.1:{self.port}", "--workers=1", "--threads=4",
                    "--graceful-timeout=1", "--timeout=60", "--no-control-socket", "--access-logfile=/dev/null",
                    "bugsink.wsgi",
                ],
                cwd=self.folder,
                env=self._environment(self.folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
            )  # fmt: skip

    def wait_ready(self, seconds: float = 60) -> None:
        """Return once Bugsink answers its own readiness check; raises BugsinkFailed."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                break
            try:
                if httpx.get(f"{self.url}/health/ready", timeout=5, trust_env=False).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.03)
        raise BugsinkFailed(f"Bugsink did not become ready; its log is {self.log}")

    def stop(self) -> None:
        """End the process within three seconds."""
        self.stopping = True
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(1)


def load(path: str) -> dict[str, Any]:
    """Return the stack's configuration."""
    config: dict[str, Any] = json.loads(Path(path).read_text())
    return config
