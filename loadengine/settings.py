"""What the operator may set, as Locust options (`--assay-warm-up` …); in a run, `assay` has set it already."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from core.clock import seconds
from core.config import StrictModel, nearest
from core.errors import ConfigError


def _seconds(value: object) -> object:
    """A number as it is; other text as a duration."""
    if not isinstance(value, str) or value.replace(".", "", 1).isdigit():
        return value
    try:
        return seconds(value)
    except ConfigError as error:
        raise ValueError(str(error)) from None


Duration = Annotated[float, BeforeValidator(_seconds), Field(ge=0, allow_inf_nan=False)]
Number = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Port = Annotated[int, Field(ge=0, le=65535)]
Folder = Annotated[Path, AfterValidator(Path.absolute)]


class LoadSettings(StrictModel):
    """One process's settings; every one has a default that suits a plain `locust -f`."""

    run_dir: Folder | None = None
    """Where a load that belongs to no run keeps its journal (its folder `journal`); None keeps no evidence."""
    run_id: str = ""
    """Stands in every request's `x-assay-run`."""
    profile: str = ""
    rate: Number = 0.0
    """Arrivals per second of all open users together; 0 leaves each class its own rate a user."""
    shape: str = "steady"
    """How the number of users changes (`loadprofiles.shapes`)."""
    shape_seconds: Duration = 30.0
    """How long the shape lasts."""
    warm_up: Duration = 3.0
    """Seconds after the last user was spawned until the steady window opens."""
    drain: Duration = 10.0
    """Seconds that requests under way get to finish at the end; then they are recorded as cancelled."""
    lag_limit_ms: Number = 25.0
    """Send lag above which a send is late; a second with more than 1 % of late sends is invalid."""
    nice: int = Field(-10, ge=-20, le=19)
    """Scheduling priority of generating processes, where the system allows it: what wakes late measures late."""
    stop_errors: Number = Field(0.5, le=1)
    """Share of wrong and failed answers in the last seconds that stops the load; 0 switches it off."""
    stop_p95_ms: Number = 60_000.0
    """p95 of the response times in the last seconds that stops the load; 0 switches it off."""
    stop_silence: Duration = 15.0
    """Seconds without a single answer, while 20 or more operations wait for one, that stop the load; 0 switches it off."""
    metrics_port: Port = 0
    """Where to serve Prometheus metrics on 127.0.0.1; 0 for nowhere."""
    lifeline_port: Port = 0
    """Where the master takes its workers' lifelines; 0 for any free port. Name one where a firewall stands between."""
    progress: bool = True
    """Print a line of progress every few seconds (headless only)."""
    region: str = ""
    """Where the generator runs, for the report."""

    @classmethod
    def of(cls, options: object = None, handed: Mapping[str, str] | None = None) -> LoadSettings:
        """Options given to Locust win over what the run has `handed` down; an empty one counts as not given.

        Raises ConfigError, one sentence, for a setting that does not exist or a value that it does not take.
        """
        given: dict[str, Any] = {name: text for name, text in (handed or {}).items() if text}
        given |= {
            name: text for name in cls.model_fields if (text := getattr(options, f"assay_{name}", None))
        }
        try:
            return cls.model_validate_strings({"run_id": secrets.token_hex(6)} | given)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            raise ConfigError(f"there is no load setting '{name}'; {nearest(name, cls.model_fields)}")
        why = first["msg"].removeprefix("Value error, ").removeprefix("Input ").rstrip(".")
        raise ConfigError(f"{option(name)} {given[name]!r}: {why}.")


def option(name: str) -> str:
    """Locust's option for a setting."""
    return f"--assay-{name.replace('_', '-')}"


def add_options(parser: Any) -> None:
    """Makes each setting an option of Locust's command line, shared with workers and hidden from the web UI."""
    for name in LoadSettings.model_fields:
        parser.add_argument(
            option(name),
            metavar="VALUE",
            default="",
            help=f"see LoadSettings.{name} in loadengine/settings.py",
            include_in_web_ui=False,
        )
