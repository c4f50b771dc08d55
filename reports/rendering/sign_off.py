"""Sign-offs: who looked at a run, when, and what they say of it. Kept in the run's folder, one line each, never changed.

A sign-off opens no gate: it says that a person has seen the verdict.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from core.errors import ConfigError
from core.text import on_one_line

FILE = "sign-off.jsonl"


@dataclass(frozen=True)
class SignOff:
    """One: a person's name, the moment (ISO 8601, UTC), their words, and the verdict that they saw."""

    name: str
    at: str
    comment: str
    verdict: str
    headline: str


def signoffs(run_dir: Path) -> list[SignOff]:
    """Those of a run, oldest first. Raises ConfigError for a file that somebody has spoilt."""
    path = run_dir / FILE
    if not path.exists():
        return []
    try:
        return [SignOff(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    except (ValueError, TypeError):
        raise ConfigError(f"{path} is damaged: each of its lines is one sign-off as JSON.") from None


def sign(run_dir: Path, name: str, comment: str, verdict: str, headline: str) -> SignOff:
    """Adds one to a run. Raises ConfigError without a name or a comment."""
    if not name.strip() or not comment.strip():
        raise ConfigError("a sign-off needs a name and a comment: --name and --comment.")
    signoffs(run_dir)
    moment = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    made = SignOff(on_one_line(name), moment, on_one_line(comment, 2000), verdict, on_one_line(headline))
    with (run_dir / FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(made), ensure_ascii=False) + "\n")
    return made
