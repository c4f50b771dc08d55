"""Senders: what leaves this machine after a run, each only when its address is configured.

A sender module has `send(verdict, context) -> list[str]`: lines that tell what was sent; nothing when it is not
configured. A new one is one file. A sender that fails never changes a verdict: it is told on the terminal.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from core.user_settings import KNOWN, setting, settings
from reports.history.store import History
from reports.judging.model import RunVerdict
from reports.rendering.link import report_link

TIMEOUT = 10.0


def _settings() -> dict[str, str]:
    known = {name: setting(name) for name in KNOWN}
    return {**{name: value for name, value in known.items() if value}, **settings("ASSAY_WEBHOOK")}


@dataclass
class SendContext:
    """What senders may use: the run's folder, the history, the user's settings, and the mutes' file."""

    run_dir: Path
    history: History
    environ: Mapping[str, str] = field(default_factory=_settings)
    mutes: Path = Path(__file__).resolve().parent.parent.parent / "alerts.toml"

    def link(self) -> str:
        """Where a person finds the report."""
        return report_link(self.run_dir, self.environ)


def post(url: str, body: object, headers: Mapping[str, str] | None = None) -> None:
    """Posts JSON, twice if the first try gets no answer or a 5xx. Raises RuntimeError without the address,
    which is a secret itself (a webhook's path is its password)."""
    why = ""
    for _ in range(2):
        try:
            answer = httpx.post(
                url, json=body, headers=dict(headers or {}), timeout=TIMEOUT, follow_redirects=False
            )
        except httpx.HTTPError as error:
            why = type(error).__name__
            continue
        if answer.is_success:
            return
        why = f"status {answer.status_code}"
        if answer.status_code < 500:
            break
    raise RuntimeError(why)


def send_all(verdict: RunVerdict, context: SendContext) -> list[str]:
    """Runs every sender; returns what they told, failures included."""
    lines: list[str] = []
    for name in sorted(m.name for m in pkgutil.iter_modules(__path__)):
        try:
            lines += importlib.import_module(f"{__name__}.{name}").send(verdict, context)
        except Exception as error:
            lines.append(f"{name}: could not be sent ({type(error).__name__}: {error})")
    return lines
