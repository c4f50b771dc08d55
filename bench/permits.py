"""What a permit lacks no command sends, in full: each permit lacking in turn, every command, recorders before every address.

    python -m bench.permits [--stack FOLDER] [--lacking read,write] [--commands check,load] [--profiles uptime,rooms]

By themselves the recorders answer, with what leads to addresses that the target does not name. With `--stack`, the folder
of an embedded stack that is up, they pass everything on to it, so that people, rows and files are really made. A line a
command; at the end how many cases were tried (a check, a load or a command under one permit). Exits with 1 where a request
came that should not have.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from core.events import CheckFinished
from core.evidence import Evidence
from loadprofiles.run import profiles
from tests.clients.strange import environment
from tests.runner.permit_cases import LIVE, ROOT, Place, leading_to, strangers_links, wrong
from tests.runner.recorders import Recorder, Recorders, nothing_here

COMMANDS = ("doctor", "check", "nightly", "load", "locust", "sweep")


def tried(place: Place, command: str, chosen: tuple[str, ...]) -> Iterator[tuple[str, int, list[str], str]]:
    """(words, cases, forbidden requests, what was said) of a command in all its forms; `place` has its permit already."""
    actions = place.actions
    if command in ("load", "locust"):
        for profile in chosen:
            _, said, came = (
                place.locust(profile)
                if command == "locust"
                else place.run("load", profile, "--users", "2", "--for", "2s", limit=900)
            )
            yield f"{command} {profile}", 1, wrong(came, actions), said
        return
    _, said, came = place.run(command, *(["--workers", "1"] if command == "check" else []), limit=3000)
    cases = 1
    if command == "check":
        cases = len({event.check for event in Evidence(place.newest()).events(CheckFinished)})
    if command == "nightly":
        cases = len(chosen)
    yield command, cases, wrong(came, actions), said


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--stack", type=Path, help="the folder of an embedded stack that is up")
    parser.add_argument("--lacking", default=",".join((*LIVE, "none")))
    parser.add_argument("--commands", default=",".join(COMMANDS))
    parser.add_argument("--profiles", default=",".join(profiles()))
    options = parser.parse_args()
    chosen = tuple(options.profiles.split(","))
    cases, found = 0, 0
    stranger = Recorder(nothing_here)
    recorders = Recorders(_variables(options.stack), passing=bool(options.stack))
    links = strangers_links(recorders.variables, stranger.port)
    recorders.answering = leading_to(links)
    for lacking in options.lacking.split(","):
        with tempfile.TemporaryDirectory() as folder:
            place = Place(Path(folder), recorders, checks=(), loads=chosen)
            place.permit({action for action in LIVE if action != lacking})
            for command in options.commands.split(","):
                began = time.monotonic()
                for words, count, forbidden, said in tried(place, command, chosen):
                    cases, found = cases + count, found + len(forbidden)
                    row = {"lacking": lacking, "command": words, "cases": count, "forbidden": forbidden[:5]}
                    print(json.dumps(row | {"seconds": round(time.monotonic() - began, 1)}), flush=True)
                    if forbidden:
                        print(said[-2000:], file=sys.stderr)
    print(json.dumps({"cases": cases, "forbidden": found, "connections elsewhere": stranger.connections}))
    return 1 if found or stranger.connections else 0


def _variables(stack: Path | None) -> Mapping[str, str]:
    if stack is None:
        return environment(9)
    command = [sys.executable, str(ROOT / "cli.py"), "env", "--json", "--state", str(stack.absolute())]
    printed = subprocess.run(command, capture_output=True, text=True, check=True)
    return {str(name): str(value) for name, value in json.loads(printed.stdout).items()}


if __name__ == "__main__":
    sys.exit(main())
