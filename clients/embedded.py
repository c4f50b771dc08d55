"""Attaching to the embedded target: by subprocess and network alone, as everything reaches production."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from core.errors import BrokenError, ConfigError
from core.run import ROOT
from core.service import Service
from core.target import ServiceEngine, Target, resolve
from core.user_settings import setting


@dataclass
class Embedded:
    """A held lease on the running stack. The stack ends when its last holder does, however that dies."""

    variables: dict[str, str]
    engines: dict[str, ServiceEngine]
    control_url: str
    control_token: str
    state: Path
    _holder: subprocess.Popen[str]

    def target(self, services: Iterable[Service]) -> Target:
        """The platform that this stack serves."""
        return resolve(
            "embedded",
            services,
            environment=self.variables,
            engines=self.engines,
            control_url=self.control_url,
            control_token=self.control_token,
        )

    def close(self) -> None:
        """Gives the lease back."""
        if self._holder.stdin and not self._holder.stdin.closed:
            self._holder.stdin.close()
        try:
            self._holder.wait(30)
        except subprocess.TimeoutExpired:
            self._holder.terminate()
            self._holder.wait(10)
        for pipe in (self._holder.stdout, self._holder.stderr):
            if pipe:
                pipe.close()

    def __enter__(self) -> Embedded:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()


def attach(*, state: Path | None = None, progress: IO[str] | int | None = None) -> Embedded:
    """Starts the stack or joins the running one, and holds it.

    `state` is its folder (default `.assay/stack`, or ASSAY_STATE). Progress goes to `progress` (a stream or
    a subprocess constant). Raises ConfigError or BrokenError with the supervisor's own sentence.
    """
    named = setting("ASSAY_STATE")
    folder = state or (Path(named).absolute() if named else None)
    command = [sys.executable, "-m", "stack.supervisor", "up", "--hold", "--json"]
    if folder:
        command += ["--state", str(folder)]
    holder = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=progress or subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    line = holder.stdout.readline()
    if not line:
        said = holder.stderr.read().strip() if holder.stderr else ""
        code = holder.wait(10)
        message = said.splitlines()[-1] if said else f"the supervisor ended with {code} before it was ready"
        raise (ConfigError if code == 2 else BrokenError)(f"the embedded target did not start: {message}")
    ready: dict[str, Any] = json.loads(line)
    return Embedded(
        variables=ready["variables"],
        engines={name: ServiceEngine(e["kind"], e["name"]) for name, e in ready["engines"].items()},
        control_url=ready["control"]["url"],
        control_token=ready["control"]["token"],
        state=Path(ready["state"]),
        _holder=holder,
    )
