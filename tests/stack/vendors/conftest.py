"""The vendors' process, started once for this room's tests, as the supervisor would start it."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from stack.vendors.variables import variables

ROOT = Path(__file__).parents[3]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Vendors:
    """A running vendors process and how to speak with it."""

    config: dict[str, Any]
    folder: Path
    process: subprocess.Popen[str] | None = None
    env: dict[str, str] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return int(self.config["ports"]["vendors"])

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        path = self.folder / "config.json"
        path.write_text(json.dumps(self.config))
        with (self.folder / "vendors.log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stack.vendors", str(path)],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("READY "), (self.folder / "vendors.log").read_text()

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
        assert self.control("POST", "/faults", json={"rules": list(rules)}).status_code == 200


def make_vendors(folder: Path, platform: str | None = None, **options: Any) -> Vendors:
    port = free_port()
    kept: dict[str, Any] = {"control_token": secrets.token_hex(16)}
    env = variables(port, kept)
    if platform:
        env["PLATFORM_URL"] = platform
    config = {
        "state": str(folder / "state"),
        "logs": str(folder / "logs"),
        "ports": {"vendors": port},
        "variables": env,
        "secrets": kept,
        "options": {"vendors": options},
    }
    return Vendors(config, folder, env=env)


@pytest.fixture(scope="session")
def vendors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vendors]:
    """A stand-in with short indexing delays."""
    running = make_vendors(
        tmp_path_factory.mktemp("vendors"), datadog_delay_ms=50, mixpanel_delay_ms=50, ga4_delay_ms=50
    )
    running.start()
    yield running
    running.stop()


@pytest.fixture
def own_vendors(tmp_path: Path) -> Iterator[Callable[..., Vendors]]:
    """Start a stand-in for one test, with its own options."""
    started: list[Vendors] = []

    def start(**options: Any) -> Vendors:
        running = make_vendors(tmp_path, **options)
        running.start()
        started.append(running)
        return running

    yield start
    for running in started:
        if running.process is not None and running.process.poll() is None:
            running.stop()


@pytest.fixture
def marker() -> str:
    return "m" + secrets.token_hex(8)
