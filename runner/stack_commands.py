"""The commands about the embedded target itself: `up`, `down`, `status`, `env`. Thin, as all of cli.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from runner.options import AsJson, State


def add(app: typer.Typer) -> None:
    """Adds them to the command."""
    for name, command in (("up", up), ("down", down), ("status", status), ("env", env)):
        app.command(name)(command)


def _supervisor(*words: str, state: Path | None) -> int:
    command = [
        sys.executable,
        "-m",
        "stack.supervisor",
        *words,
        *(["--state", str(state.absolute())] if state else []),
    ]
    return subprocess.run(command, cwd=Path(__file__).parent.parent, check=False).returncode


def up(
    hold: Annotated[
        bool, typer.Option("--hold", help="stay in the foreground; ends with this command")
    ] = False,
    state: State = None,
) -> None:
    """Starts the embedded target, or joins the running one."""
    raise typer.Exit(_supervisor("up", *(["--hold"] if hold else []), state=state))


def down(state: State = None) -> None:
    """Ends the embedded target."""
    raise typer.Exit(_supervisor("down", state=state))


def status(as_json: AsJson = False, state: State = None) -> None:
    """Shows the embedded target's components."""
    raise typer.Exit(_supervisor("status", *(["--json"] if as_json else []), state=state))


def env(
    as_json: Annotated[bool, typer.Option("--json")] = False,
    state: State = None,
) -> None:
    """Prints the variables that a live target would set, for the running embedded one."""
    raise typer.Exit(_supervisor("env", *(["--json"] if as_json else []), state=state))
