"""Runs one profile: `python -m loadprofiles.run PROFILE --users N --for 30s [--rate R] [--workers N]`.

Joins the run that started it, makes what the profile needs, and starts Locust headless in a process of its own, which
joins the same run. Exit codes: 0 the
load ran as planned (what its numbers are worth is judged from the journal); 1 it stopped itself because the
target failed or crawled; 2 the input cannot be used; 3 the run is broken. This module imports no Locust.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from core.clock import seconds
from core.errors import AssayError, BrokenError, ConfigError, PermitError
from core.load_needs import Needs, read_needs
from core.permit import Action
from core.project import REFERENCE, find_project
from core.run import VARIABLE, LoadPart, Run
from core.user_settings import for_child
from loadengine.identities import LoadIdentity
from loadprofiles import shapes
from loadprofiles.setup import hosts
from loadprofiles.setup.locust_process import run_locust
from loadprofiles.setup.saturation import watched

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
USAGE, BROKEN = 2, 3
_SPAWN_WITHIN = 10.0
_ADDRESSES = ("PLATFORM_URL", "VITE_SUPABASE_URL")


def profiles() -> list[str]:
    """The names of the shipped profiles, and of those in `loads/` of a project of one's own. Raises ConfigError."""
    return sorted(_files())


def needs_of(profile: str) -> Needs:
    """What a profile needs, read without importing it. Raises ConfigError for what it states wrongly."""
    return read_needs(_files()[profile])


def is_own(profile: str) -> bool:
    """Whether a load stands in the team's own project."""
    project = find_project().own
    return project is not None and _files()[profile].parent == project / "loads"


def _files() -> dict[str, Path]:
    shipped = {path.stem: path for path in FOLDER.glob("*.py") if path.stem not in ("__init__", "run")}
    shipped |= {
        path.stem: path for path in (REFERENCE / "loads").glob("[!_]*.py")
    }  # not applicable elsewhere
    project = find_project().own
    own = {path.stem: path for path in (project / "loads").glob("[!_]*.py")} if project else {}
    for name in sorted(shipped.keys() & own.keys()):
        raise ConfigError(f"{own[name]}: a shipped load is called '{name}'; give yours a name of its own.")
    return shipped | own


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what the command line asks for and returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    own = words[: words.index("--")] if "--" in words else words
    options = _parser().parse_args(own)  # a positional that stands after options and `--` is none to argparse
    options.locust += words[len(own) + 1 :]
    try:
        run = Run.join("launcher")
        try:
            command, settings = _plan(options)
            run.permit.demand(Action.LOAD, f"the load '{options.profile}'")
            _demand_reachable(run)
            return _load(run, options, command, settings)
        finally:
            run.journal.close()
    except (ConfigError, PermitError) as error:
        print(f"assay load: {error}", file=sys.stderr)
        return USAGE
    except (AssayError, OSError) as error:
        print(f"assay load: {error}", file=sys.stderr)
        return BROKEN


def _load(run: Run, options: argparse.Namespace, command: Sequence[str], settings: dict[str, str]) -> int:
    """Makes what the profile needs, runs Locust with it, undoes it."""
    needs = needs_of(options.profile)
    with contextlib.ExitStack() as stack:
        people: list[LoadIdentity] = []
        material: dict[str, Any] = {}
        if needs.people:
            from loadprofiles.users.identity_pool import made  # SDKs take a second to import

            # workers take every n-th person, and which of them gets a user more is for Locust to say
            spare = max(options.workers, 1) - 1
            people = stack.enter_context(made(run, min(needs.people, options.users + spare)))
        if needs.pages or needs.posts:
            from loadprofiles.setup import material as making

            material = stack.enter_context(making.made(run, people, pages=needs.pages, posts=needs.posts))
        part = LoadPart(
            options.profile,
            {**run.load.settings, **settings},
            run.load.variables,
            tuple(asdict(person) for person in people),
            material,
            run.redactor.values(),
        )
        joining = stack.enter_context(run.handed(load=part))
        if options.hosts:
            files = command[command.index("-f") + 1]
            stack.enter_context(hosts.offered(options.hosts, Path(joining[VARIABLE]), files))
        with watched(run, options.profile, _ADDRESSES):
            code = run_locust(command, for_child({**joining, "PYTHONPATH": str(ROOT)}), run.redactor)
        if options.hosts and (missing := hosts.collect(options.hosts, run, options.bring_within)):
            print(f"assay load: no journal came from {', '.join(missing)}", file=sys.stderr)
            code = BROKEN
        if needs.leftovers:
            from loadprofiles.setup import leftovers

            leftovers.sweep(run, options.profile, people)
        return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("loadprofiles.run", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("profile")
    parser.add_argument("--users", "-u", type=int, default=None, help="the peak; 50, of `step` 2000")
    parser.add_argument("--for", dest="duration", default=None, help="30s, 5m, 1h; warm-up included")
    parser.add_argument("--shape", default=shapes.STEADY, help=", ".join(shapes.NAMES))
    parser.add_argument("--warm-up", default="3s", help="part of the duration that is not judged")
    parser.add_argument(
        "--rate", type=float, default=0.0, help="arrivals per second, all open users together"
    )
    parser.add_argument(
        "--workers", type=int, default=0, help="generating processes; 0 and 1: this one process"
    )
    parser.add_argument("--hosts", type=Path, help="the workers are on other hosts, which share this folder")
    parser.add_argument(
        "--bring-within",
        type=float,
        default=hosts.BRINGING,
        help="seconds in which hosts must bring their journals",
    )
    parser.add_argument("locust", nargs="*", help="further words for Locust, after --")
    return parser


def _plan(options: argparse.Namespace) -> tuple[list[str], dict[str, str]]:
    """Locust's command line and the generator's settings. Raises ConfigError for what makes no sense."""
    if options.profile not in profiles():
        raise ConfigError(f"'{options.profile}' is not a load profile; known are {', '.join(profiles())}.")
    if options.shape not in shapes.NAMES:
        raise ConfigError(f"'{options.shape}' is not a shape; known are {', '.join(shapes.NAMES)}.")
    options.users = shapes.peak(options.shape, options.users)
    options.duration = options.duration or shapes.DEFAULT_FOR.get(options.shape, "30s")
    if options.users < 1:
        raise ConfigError(f"--users {options.users} would load nothing; name at least 1.")
    if options.rate < 0 or options.workers < 0:
        raise ConfigError("--rate and --workers are zero or more.")
    lasting, warm_up = seconds(options.duration), seconds(options.warm_up)
    if lasting < 1:
        raise ConfigError(f"--for {options.duration} is too short to measure anything; name at least 1s.")
    if warm_up >= lasting:
        raise ConfigError(f"--warm-up {options.warm_up} leaves nothing of --for {options.duration} to judge.")
    spawn_rate = max(options.users / _SPAWN_WITHIN, 10.0)
    whole = lasting + options.users / spawn_rate
    files = [_files()[options.profile]]
    files += [FOLDER / "shapes" / "driver.py"] if shapes.needs_driver(options.shape) else []
    command = [sys.executable, "-m", "locust", "-f", ",".join(map(str, files)), "--headless"]
    command += [
        "--users",
        str(options.users),
        "--spawn-rate",
        f"{spawn_rate:g}",
        "--run-time",
        f"{whole:.0f}s",
    ]
    command += ["--only-summary", "--loglevel", "WARNING", "--exit-code-on-error", "0"]
    if options.hosts:
        command += hosts.leading(options.workers)
    elif options.workers > 1:
        port = str(_free_port())
        command += ["--processes", str(options.workers), "--master-bind-host", "127.0.0.1"]
        command += ["--master-bind-port", port, "--master-port", port]
    needs = needs_of(options.profile)
    settings = {
        "shape": options.shape,
        "shape_seconds": f"{lasting:g}",
        "warm_up": f"{warm_up:g}",
        "rate": f"{options.rate:g}" if options.rate else "",
        "drain": str(needs.drain or ""),
    }
    if needs.tries_again:
        settings |= {"stop_errors": "0", "stop_silence": "0", "stop_p95_ms": "0"}
    return [*command, *options.locust], settings


def _demand_reachable(run: Run) -> None:
    """Raises BrokenError when a host of the target does not even take a connection before the load."""
    for name in _ADDRESSES:
        parts = urlsplit(run.target.find(name) or "")
        if not parts.hostname:
            continue
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            socket.create_connection((parts.hostname, port), timeout=10).close()
        except OSError as error:
            raise BrokenError(
                f"{name} does not answer at {parts.hostname}:{port} ({error.strerror or error}); "
                "start the target or correct the address."
            ) from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
