"""The platform that faults are planted in.

It is an embedded stack of the drill's own, started from a copy of `stack/`: sources are changed in the copy, and proxies
stand at the components' public ports while the components listen at others. Nothing in the platform knows of it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

import psycopg
from psycopg.rows import tuple_row

from clients.control import call
from clients.embedded import Embedded, attach
from clients.services import catalogue
from core.errors import ConfigError
from core.run import ROOT
from core.target import Target
from core.user_settings import setting
from runner.drill.proxy import Proxies

FOLDER = "drill"
COMPONENT_OF = {
    "platform": "platform",
    "cloudflare": "platform",
    "supabase": "supabase",
    "vendors": "vendors",
    "sentry": "sentry",
}
"""The component that listens at each port before which a proxy may stand."""
FINGERPRINT = Path(__file__).with_name("fingerprint.sql")
"""What a database is made of, apart from rows: the same before a plant and after its restoring."""


class Stage:
    """An embedded stack of the drill's own. Close it."""

    def __init__(self, progress: TextIO | None = None) -> None:
        home = Path(setting("ASSAY_STATE", str(ROOT / ".assay"))).absolute() / FOLDER
        home.mkdir(parents=True, exist_ok=True)
        self._lock = (home / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(
                "another drill runs here; wait for its end, or name another folder in ASSAY_STATE."
            ) from None
        self.tree = home / "tree"
        self.state = home / "state"
        self._progress = progress
        self._inner: dict[str, int] = {}
        self.proxies: Proxies | None = None
        self._copy()
        self.stack = self._up()

    def _copy(self) -> None:
        """A tree like the checkout in which `stack/` is a copy and all else is led to the original."""
        shutil.rmtree(self.tree, ignore_errors=True)
        self.tree.mkdir()
        leave = shutil.ignore_patterns("__pycache__", "dist", "node_modules")
        shutil.copytree(ROOT / "stack", self.tree / "stack", ignore=leave)
        for path in ROOT.iterdir():
            if path.name not in ("stack", ".git", "runs"):
                (self.tree / path.name).symlink_to(path)

    def _up(self) -> Embedded:
        return attach(state=self.state, progress=self._progress, tree=self.tree)

    @property
    def target(self) -> Target:
        """What the checks are run against."""
        return self.stack.target(catalogue())

    def renew(self) -> None:
        """A new stack from untouched sources, where a plant could not be undone."""
        self.close_stack()
        self._copy()
        self.stack = self._up()

    def restart(self, component: str) -> None:
        """Starts a component again. Raises BrokenError when it does not come up."""
        call(self.target, "POST", f"/components/{component}/restart", wait=150)

    def stop(self, component: str, how: str) -> None:
        """Takes a component away: `stop`, `kill` or `pause`."""
        if how == "pause":
            for pid in self._processes(component):
                os.kill(pid, signal.SIGSTOP)
        else:
            call(self.target, "POST", f"/components/{component}/{how}")

    def resume(self, component: str, how: str) -> None:
        """Brings it back."""
        if how == "pause":
            for pid in self._processes(component):
                os.kill(pid, signal.SIGCONT)
        else:
            call(self.target, "POST", f"/components/{component}/start", wait=150)

    def _processes(self, component: str) -> list[int]:
        found = call(self.target, "GET", "/components")["components"]
        first = [int(c["pid"]) for c in found if c["name"] == component and c["pid"]]
        every = list(first)
        for pid in every:
            with contextlib.suppress(OSError):
                children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
                every += [int(child) for child in children]
        return every

    # -- files -------------------------------------------------------------------------------------------------

    def source(self, name: str) -> Path:
        """A source file of the copy. Raises ConfigError for one that is not there."""
        file = (self.tree / "stack" / name).resolve()
        if not file.is_relative_to(self.tree.resolve() / "stack") or not file.is_file():
            raise ConfigError(f"stack/{name} is no source file.")
        return file

    def configure(self, path: str, value: Any) -> Any:
        """Changes a value of CONFIG.json; None removes it. Returns the old one, None if there was none."""
        file = self.state / "CONFIG.json"
        config = json.loads(file.read_text())
        place = config
        *folders, last = path.split(".")
        for folder in folders:
            place = place.setdefault(folder, {})
        old = place.get(last)
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_TRUNC), "w") as out:
            json.dump(config, out)
        return old

    # -- proxies -----------------------------------------------------------------------------------------------

    def front(self, names: set[str]) -> Proxies:
        """Puts proxies before these ports, once: their components listen elsewhere from then on."""
        self.proxies = self.proxies or Proxies()
        new = {name for name in names if name not in self.proxies}
        if unknown := new - set(COMPONENT_OF):
            raise ConfigError(
                f"no proxy can stand before '{min(unknown)}'; known are {', '.join(COMPONENT_OF)}."
            )
        if not new:
            return self.proxies
        ports = json.loads((self.state / "CONFIG.json").read_text())["ports"]
        for name in sorted(new):
            self._inner[name] = _free_port()
            self.configure(f"ports.{name}", self._inner[name])
        for component in sorted({COMPONENT_OF[name] for name in new}, key=lambda c: c == "platform"):
            call(self.target, "POST", f"/components/{component}/stop")
        for name in sorted(new):
            self.proxies.add(name, urlsplit(f"http://127.0.0.1:{self._inner[name]}"), ports[name])
        for component in sorted({COMPONENT_OF[name] for name in new}, key=lambda c: c == "platform"):
            call(self.target, "POST", f"/components/{component}/start", wait=150)
        return self.proxies

    # -- database ----------------------------------------------------------------------------------------------

    def sql(self, text: str) -> list[tuple[Any, ...]]:
        """Runs statements as the database's owner; rows of the last one. Raises psycopg.Error."""
        return run_sql(self.stack.variables["SUPABASE_DB_URL"], text)

    def fingerprint(self) -> str:
        """A digest of all that the database is made of but its rows."""
        return str(self.sql(FINGERPRINT.read_text())[0][0])

    # -- end ---------------------------------------------------------------------------------------------------

    def close_stack(self) -> None:
        """Ends the stack and its proxies."""
        if self.proxies:
            self.proxies.close()
            self.proxies = None
        self._inner.clear()
        self.stack.close()

    def close(self) -> None:
        """Ends everything."""
        self.close_stack()
        command = [sys.executable, "-m", "stack.supervisor", "remove", "--state", str(self.state)]
        subprocess.run(command, cwd=self.tree, capture_output=True, check=False)
        self._lock.close()


def run_sql(address: str, text: str) -> list[tuple[Any, ...]]:
    """Runs statements, each by itself; returns the rows of the last one. Raises psycopg.Error."""
    with psycopg.connect(address, autocommit=True, row_factory=tuple_row) as connection:
        cursor = connection.execute(text.encode())
        while cursor.nextset():
            pass
        return cursor.fetchall() if cursor.description else []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
