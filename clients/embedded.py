"""Attaching to the embedded target: by subprocess and network alone, as everything reaches production."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from core.description import Description
from core.errors import BrokenError, ConfigError
from core.run import ROOT
from core.service import Service
from core.target import ServiceEngine, Target, resolve
from core.user_settings import setting

_MIGRATION = re.compile(r"postgres ended before .*? said: error: (.*\.sql[,:].*); its log: ", re.S)
"""The supervisor's sentence when PostgreSQL took a migration or seed not as it stands."""


@dataclass
class Embedded:
    """A held lease on the running stack. The stack ends when its last holder does, however that dies."""

    variables: dict[str, str]
    engines: dict[str, ServiceEngine]
    control_url: str
    control_token: str
    state: Path
    notes: tuple[str, ...]
    """What was told while it started, e.g. a setting that changes nothing here."""
    _holder: subprocess.Popen[str]

    def target(self, services: Iterable[Service], serves: Description | None = None) -> Target:
        """The platform that this stack serves: the reference platform, or a project of this description."""
        return resolve(
            "embedded",
            services,
            environment=self.variables,
            engines=self.engines,
            control_url=self.control_url,
            control_token=self.control_token,
            serves=serves,
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


@dataclass(frozen=True)
class Serves:
    """A team's own Supabase project, which the stack serves in the reference platform's place: only what it needs starts."""

    migrations: Path
    seed: tuple[Path, ...] = ()
    config: Path | None = None
    skip_extensions: tuple[str, ...] = ()
    default_grants: bool = False

    @property
    def words(self) -> list[str]:
        """The supervisor's options."""
        words = ["--only", "supabase", "--migrations", str(self.migrations)]
        words += [word for file in self.seed for word in ("--seed", str(file))]
        words += ["--config", str(self.config)] if self.config else []
        words += [word for name in self.skip_extensions for word in ("--skip-extension", name)]
        return words + (["--default-grants"] if self.default_grants else [])

    @property
    def tests(self) -> Path | None:
        """The folder of its pgTAP tests, as `supabase test db` looks for them; None where there are none."""
        folder = self.migrations.parent / "tests"
        return folder if any(True for kind in ("*.sql", "*.pg") for _ in folder.rglob(kind)) else None

    @property
    def state(self) -> Path:
        """The folder of its stack, beside that of the reference platform's: a folder serves one project at a time."""
        digest = hashlib.sha256("\n".join(self.words).encode()).hexdigest()[:12]
        return ROOT / ".assay" / f"own-{digest}"


def attach(
    *,
    state: Path | None = None,
    progress: IO[str] | int | None = None,
    serves: Serves | None = None,
    tree: Path = ROOT,
) -> Embedded:
    """Starts the stack or joins the running one, and holds it.

    `state` is its folder (default `.assay/stack`, or ASSAY_STATE). Progress goes to `progress` (a stream or
    a subprocess constant). `serves` is a project of one's own, `tree` holds the `stack/` that is started. Raises
    ConfigError or BrokenError with the supervisor's own sentence.
    """
    named = setting("ASSAY_STATE")
    folder = state or (Path(named).absolute() if named else serves.state if serves else None)
    command = [sys.executable, "-m", "stack.supervisor", "up", "--hold", "--json"]
    if folder:
        command += ["--state", str(folder)]
    command += serves.words if serves else []
    holder = subprocess.Popen(
        command,
        cwd=tree,
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
        if serves and (refused := _MIGRATION.search(message)):
            raise ConfigError(f"a migration failed: {refused[1]}")
        raise (ConfigError if code == 2 else BrokenError)(f"the embedded target did not start: {message}")
    ready: dict[str, Any] = json.loads(line)
    return Embedded(
        variables=ready["variables"],
        engines={name: ServiceEngine(e["kind"], e["name"]) for name, e in ready["engines"].items()},
        control_url=ready["control"]["url"],
        control_token=ready["control"]["token"],
        state=Path(ready["state"]),
        notes=tuple(ready.get("notes", ())),
        _holder=holder,
    )
