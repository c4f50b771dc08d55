"""`python -m stack.supervisor up|down|status|env`: the embedded target's own command.

`assay up`, `assay env` and the fixtures run it; nothing else is needed to use the embedded target.
Exit codes: 0 well, 2 cannot be used as given, 3 the stack or the machine failed, 128 + N after signal N.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from stack.supervisor.client import Stopped, SupervisorClient, say, shell_lines, stopping_signals
from stack.supervisor.errors import BROKEN, StackError
from stack.supervisor.paths import ROOT, Paths

COMPONENTS = ROOT / "stack" / "components"


def port(text: str) -> tuple[str, int]:
    """NAME=NUMBER as a pair."""
    name, _, number = text.partition("=")
    if not name or not number.isdigit() or not 0 < int(number) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=NUMBER")
    return name, int(number)


def option(text: str) -> tuple[str, Any]:
    """NAME=JSON as a pair."""
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=JSON") from error


def arguments() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(prog="python -m stack.supervisor", description=__doc__.splitlines()[0])
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--state", type=Path, help="the stack's folder (default: .assay/stack of this checkout)"
    )
    common.add_argument("--json", action="store_true", help="answer in JSON")
    common.add_argument("--components", type=Path, default=COMPONENTS, help=argparse.SUPPRESS)
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", parents=[common], help="start the stack, or attach to it")
    up.add_argument("--hold", action="store_true", help="keep it only as long as this command lives")
    up.add_argument(
        "--only", action="append", default=[], metavar="COMPONENT", help="start this one and what it needs"
    )
    project = up.add_argument_group("a project of one's own, instead of the reference platform's database")
    project.add_argument("--migrations", type=Path, metavar="DIR", help="the folder of its migrations")
    project.add_argument(
        "--seed", type=Path, action="append", default=[], metavar="FILE", help="SQL to run after them"
    )
    project.add_argument("--config", type=Path, metavar="FILE", help="the Supabase CLI's config.toml")
    project.add_argument(
        "--skip-extension", action="append", default=[], metavar="NAME", help="go on without it"
    )
    project.add_argument(
        "--default-grants",
        action="store_true",
        help="as before 2026-10-30: open what is made in `public` to the API",
    )
    up.add_argument(
        "--port", type=port, action="append", default=[], metavar="NAME=NUMBER", help="a fixed port"
    )
    up.add_argument(
        "--option", type=option, action="append", default=[], metavar="NAME=JSON",
        help="an entry of CONFIG.json's options, for components that know it; merged when both are objects",
    )  # fmt: skip
    verbs.add_parser("down", parents=[common], help="end the stack, whoever holds it")
    verbs.add_parser("remove", parents=[common], help="end the stack and remove its folder, logs included")
    verbs.add_parser("status", parents=[common], help="say what is up")
    verbs.add_parser("env", parents=[common], help="print the variables that a live target would set")
    serve = verbs.add_parser("serve", parents=[common])
    serve.add_argument("--port", type=port, action="append", default=[])
    serve.add_argument("--option", type=option, action="append", default=[])
    serve.add_argument("--only", action="append", default=[])
    return parser


def up(client: SupervisorClient, hold: bool, as_json: bool) -> int:
    """Start or attach; then hold, or leave the stack running."""
    try:
        stack = client.up()
        if not hold:
            client.pin()
        text = (
            json.dumps(stack) if as_json else f"READY {stack['variables'].get('PLATFORM_URL', '')}".rstrip()
        )
        print(text, flush=True)
        if hold:
            client.hold()
        return 0
    finally:
        client.release()


def project_of(options: argparse.Namespace) -> dict[str, Any]:
    """``options.project`` of CONFIG.json from the command line; paths are the caller's."""
    given: dict[str, Any] = {
        "migrations": options.migrations and str(options.migrations.resolve()),
        "seed": [str(file.resolve()) for file in options.seed],
        "config": options.config and str(options.config.resolve()),
        "skip_extensions": options.skip_extension,
        "default_grants": options.default_grants,
    }
    return {name: value for name, value in given.items() if value}


def screen(status: dict[str, Any], columns: int) -> list[str]:
    """The stack's state for a terminal of so many columns: what does not fit leaves whole, the log first, then the pid."""
    rows = [
        [one["name"], one["state"], f"pid {one['pid'] or '-'}", one["url"] or "", one["log"]]
        for one in status["components"]
    ]
    shown = [0, 1, 2, 3, 4]
    sizes = [max((len(row[at]) for row in rows), default=0) for at in shown]
    for leaving in (4, 2, 3):
        if 2 + sum(sizes[at] + 2 for at in shown) - 2 > columns:
            shown.remove(leaving)
    lines = ["  ".join(f"{row[at]:<{sizes[at]}}" for at in shown) for row in rows]
    return [status["phase"], status["state"], *(f"  {line}".rstrip() for line in lines)]


def run(options: argparse.Namespace) -> int:
    """Do what the command line says."""
    paths = Paths(options.state)
    if options.verb == "serve":
        from stack.supervisor.serve import serve

        return serve(paths, options.components, dict(options.port), dict(options.option), options.only)
    ports, settings = dict(getattr(options, "port", [])), dict(getattr(options, "option", []))
    if options.verb == "up" and (own := project_of(options)):
        settings["project"] = {**settings.get("project", {}), **own}
    only = getattr(options, "only", [])
    client = SupervisorClient(paths, options.components.resolve(), ports, settings, only)
    match options.verb:
        case "up":
            with stopping_signals():
                return up(client, options.hold, options.json)
        case "down":
            was_up = client.down()
            print(json.dumps({"was_up": was_up}) if options.json else "down" if was_up else "nothing was up")
            return 0
        case "remove":
            client.remove()
            return 0
        case "env":
            variables = client.env()
            print(json.dumps(variables, indent=1) if options.json else shell_lines(variables))
            return 0
    status = client.status()
    if options.json:
        print(json.dumps(status, indent=1))
    else:
        print("\n".join(screen(status, shutil.get_terminal_size((100, 24)).columns)))
    well = status["phase"] == "ready" and all(c["state"] == "ready" for c in status["components"])
    return 0 if well else BROKEN


def main() -> int:
    """Run, and turn every expected failure into one sentence and an exit code."""
    try:
        return run(arguments().parse_args())
    except StackError as error:
        say(str(error))
        return error.code
    except Stopped as stopped:
        say(f"ended by {stopped}")
        return 128 + stopped.number
    except BrokenPipeError:
        return BROKEN


if __name__ == "__main__":
    sys.exit(main())
