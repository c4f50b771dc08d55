"""What the operator may set, as Locust options (`--assay-warm-up` …); in a run, `assay` has set it already."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from core.clock import seconds
from core.errors import ConfigError


@dataclass(frozen=True)
class LoadSettings:
    """One process's settings; every one has a default that suits a plain `locust -f`."""

    run_dir: Path | None = None
    """Where a load that belongs to no run keeps its journal (its folder `journal`); None keeps no evidence."""
    run_id: str = ""
    """Stands in every request's `x-assay-run`."""
    profile: str = ""
    rate: float = 0.0
    """Arrivals per second of all open users together; 0 leaves each class its own rate a user."""
    shape: str = "steady"
    """How the number of users changes (`loadprofiles.shapes`)."""
    shape_seconds: float = 30.0
    """How long the shape lasts."""
    warm_up: float = 3.0
    """Seconds after the last user was spawned until the steady window opens."""
    drain: float = 10.0
    """Seconds that requests under way get to finish at the end; then they are recorded as cancelled."""
    lag_limit_ms: float = 25.0
    """Send lag above which a send is late; a second with more than 1 % of late sends is invalid."""
    nice: int = -10
    """Scheduling priority of generating processes, where the system allows it: what wakes late measures late."""
    stop_errors: float = 0.5
    """Share of wrong and failed answers in the last seconds that stops the load; 0 switches it off."""
    stop_p95_ms: float = 60_000.0
    """p95 of the response times in the last seconds that stops the load; 0 switches it off."""
    stop_silence: float = 15.0
    """Seconds without a single answer, while 20 or more operations wait for one, that stop the load; 0 switches it off."""
    metrics_port: int = 0
    """Where to serve Prometheus metrics on 127.0.0.1; 0 for nowhere."""
    lifeline_port: int = 0
    """Where the master takes its workers' lifelines; 0 for any free port. Name one where a firewall stands between."""
    progress: bool = True
    """Print a line of progress every few seconds (headless only)."""
    region: str = ""
    """Where the generator runs, for the report."""

    @classmethod
    def of(cls, options: Any = None, handed: Mapping[str, str] | None = None) -> LoadSettings:
        """Options given to Locust win over what the run has `handed` down. Raises ConfigError."""
        found: dict[str, Any] = {}
        for field in fields(cls):
            text = getattr(options, f"assay_{field.name}", None) or (handed or {}).get(field.name)
            if text:
                found[field.name] = _parse(field.name, str(field.type), text)
        found.setdefault("run_id", secrets.token_hex(6))
        return cls(**found)


def _parse(name: str, kind: str, text: str) -> Any:
    try:
        if "Path" in kind:
            return Path(text).absolute()
        if kind == "bool":
            return text.lower() not in ("0", "no", "false", "off")
        if kind == "int":
            return int(text)
        if kind == "float":
            return seconds(text) if name in ("warm_up", "drain") and not _is_number(text) else float(text)
    except ValueError:
        raise ConfigError(f"--{name.replace('_', '-')} takes a number, not {text!r}.") from None
    return text


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


def add_options(parser: Any) -> None:
    """Makes each setting an option of Locust's command line, shared with workers and hidden from the web UI."""
    for field in fields(LoadSettings):
        parser.add_argument(
            f"--assay-{field.name.replace('_', '-')}",
            metavar="VALUE",
            default="",
            help=f"see Settings.{field.name} in loadengine/settings.py",
            include_in_web_ui=False,
        )
