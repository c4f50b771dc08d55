"""A component's process for tests, started as the supervisor would start it."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from stack.sentry.variables import variables as sentry_variables
from stack.vendors.variables import variables as vendor_variables

ROOT = Path(__file__).parents[3]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Running:
    """One component's process and how to speak with it."""

    name: str
    config: dict[str, Any]
    folder: Path
    process: subprocess.Popen[str] | None = None
    env: dict[str, str] = field(default_factory=dict)

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.config['ports'][self.name]}"

    def start(self) -> None:
        path = self.folder / "config.json"
        path.write_text(json.dumps(self.config))
        log = self.folder / f"{self.name}.log"
        with log.open("a") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"stack.{self.name}", str(path)],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("READY "), log.read_text()
        assert json.loads(line.removeprefix("READY "))["url"] == self.root

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        code = self.process.wait(timeout=5)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def control(self, method: str, path: str, **given: Any) -> httpx.Response:
        token = {"Authorization": f"Bearer {self.config['secrets']['control_token']}"}
        return httpx.request(method, f"{self.root}/__control{path}", headers=token, **given)

    def faults(self, *rules: dict[str, Any]) -> None:
        answer = self.control("POST", "/faults", json={"rules": list(rules)})
        assert answer.status_code == 200, answer.text

    def kept(self, kind: str) -> list[Any]:
        """Return the visible records of one kind, documents first."""
        answer = self.control("GET", f"/state/{kind}").json()
        return [*answer["documents"], *(event["body"] for event in answer["events"])]


def make(name: str, folder: Path, *, platform: str | None = None, **options: Any) -> Running:
    """Return a component of a stack of its own in `folder`, not yet started."""
    kept: dict[str, Any] = {"control_token": secrets.token_hex(16)}
    ports = {port: free_port() for port in ("vendors", "sentry", "bugsink")}
    env = vendor_variables(ports["vendors"], kept) | sentry_variables(ports["sentry"], kept)
    if platform:
        env["PLATFORM_URL"] = platform
    config = {
        "state": str(folder / "state"),
        "logs": str(folder / "logs"),
        "ports": ports,
        "variables": env,
        "secrets": kept,
        "options": {name: options},
    }
    return Running(name, config, folder, env=env)
