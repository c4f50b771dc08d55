"""Runs checks in a process of their own, on a target whose addresses a test names, and reads what became of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from clients.services import catalogue
from core.events import CheckFinished
from core.evidence import Evidence
from core.run import ROOT
from core.target import TLS
from runner.check_parts import UNUSED_PLUGINS

PATIENCE = "IMPATIENT_SECONDS"
"""Environment variable of tests.suites.short_timeouts_plugin: how long anything is waited for, two seconds without it."""
REDIRECTED = "MISLED_ADDRESSES"
"""Environment variable that tests.suites.redirect_plugin reads: a JSON object of the target's variables."""


def on_live(
    folder: Path, environment: Mapping[str, str], *words: str, limit: float = 600
) -> dict[str, CheckFinished]:
    """`check.finished` by check, of a live target with every capability and this environment.

    `words` choose checks (pytest's own arguments); whatever they wait for is waited for two seconds at most.
    """
    capabilities = sorted(c for s in catalogue() for c in s.capabilities if c != TLS)
    file = folder / "target.toml"
    required = "".join(f'"{c}" = "required"\n' for c in capabilities)
    beside = '[permit]\nhosts = ["127.0.0.1"]\n'  # links in mails lead to the real service behind the one that lies
    file.write_text(f'extends = "reference"\n[capabilities]\n{required}{beside}')
    return _run(folder, environment, ["--target", "live", "--target-file", str(file), *words], limit)


def on_embedded(
    folder: Path,
    state: Path,
    redirected: Mapping[str, str],
    *words: str,
    patience: float = 10,
    limit: float = 900,
) -> dict[str, CheckFinished]:
    """The same for exclusive checks, which take services away: on the stack of `state`, with `redirected` addresses."""
    environment = {
        "ASSAY_STATE": str(state),
        REDIRECTED: json.dumps(dict(redirected)),
        PATIENCE: str(patience),
    }
    return _run(folder, environment, ["-p", "tests.suites.redirect_plugin", "--exclusive", *words], limit)


def _run(
    folder: Path, environment: Mapping[str, str], words: list[str], limit: float
) -> dict[str, CheckFinished]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ASSAY_", "PYTEST_"))}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "suites",
            "stack/platform/assay/checks",
            "-q",
            "--tb=no",
            *UNUSED_PLUGINS,
            "-p",
            "tests.suites.short_timeouts_plugin",
            "--run-dir",
            str(folder / "run"),
            *words,
        ],
        cwd=ROOT,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=limit,
    )
    events = Evidence(folder / "run").events(CheckFinished)
    assert events, done.stdout[-3000:] + done.stderr[-3000:]
    return {event.check: event for event in events}
