"""What a team may set Auth to accuses nobody: the checks of signing up, in, and of accounts under each such setting.

    python -m bench.settings [--only captcha,rotation] [--checks auth.refresh_rotation,…] [--keep DIR]

For each setting an embedded stack is started with it, described in `[people]` as it is, and judged as a live target, reached
by its variables alone. A line a setting: how many checks were met and did not apply, and what came of the others. Exits with
1 where a check was missed or broken, or where a check that needs what the setting takes away ran all the same.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.events import CheckFinished
from core.evidence import Evidence

ROOT = Path(__file__).resolve().parents[1]
DESCRIPTION = """\
name = "settings"
extends = "reference"
[people]
{people}
[permit]
actions = ["read", "write", "admin"]
[settings]
logins_per_hour = 9000
"""


@dataclass(frozen=True)
class Setting:
    """What Auth is set to (options of `stack.supabase.config`), and how a team's description says it."""

    auth: Mapping[str, Any]
    people: str
    takes_away: tuple[str, ...] = ()
    """Needs that checks have in vain under it."""


SETTINGS = {
    "sign-up off": Setting({"disable_signup": True}, "register = false", ("people.register",)),
    "confirmation off": Setting({"autoconfirm": True}, 'confirm = "none"', ("people.confirmed_by_mail",)),
    "one address confirms": Setting({"secure_email_change": False}, 'email_change = "new address"'),
    "current password": Setting({"password_requires_current": True}, "current_password = true"),
    "rotation off": Setting({"refresh_token_rotation": False}, "rotation = false", ("people.rotation",)),
    "captcha": Setting({"captcha": True}, "captcha = true", ("people.form",)),
    "shared secret": Setting({"jwt_algorithm": "HS256"}, ""),  # every older project's tokens
}
"""Each alone; `all` is every one of them at once."""
ALL = Setting(
    {name: value for one in SETTINGS.values() for name, value in one.auth.items()},
    "\n".join(one.people for one in SETTINGS.values()),
    tuple(need for one in SETTINGS.values() for need in one.takes_away),
)


def concerned() -> dict[str, tuple[str, ...]]:
    """Each check of Auth, of a page, or that a setting can take away: what it needs."""
    command = [sys.executable, "-m", "cli", "check", "--list", "--json"]
    listed = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    return {
        check["id"]: tuple(check["needs"])
        for check in listed
        if check["service"] == "supabase.auth"
        or any(need.startswith(("people.", "settings.pages")) for need in check["needs"])
    }


@contextmanager
def stack(folder: Path, auth: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """An embedded stack whose Auth is set so: its variables."""
    words = [sys.executable, "-m", "stack.supervisor"]
    state = ["--state", str(folder)]
    option = f"supabase={json.dumps(auth)}"
    held = subprocess.Popen(
        [*words, "up", "--hold", "--json", *state, "--option", option],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert held.stdout is not None
        if not held.stdout.readline():
            raise SystemExit(f"the stack did not start with {option}")
        printed = subprocess.run(
            [*words, "env", "--json", *state], cwd=ROOT, capture_output=True, text=True, check=True
        )
        yield {str(name): str(value) for name, value in json.loads(printed.stdout).items()}
    finally:
        held.communicate()


def tried(setting: Setting, checks: Sequence[str], folder: Path) -> tuple[dict[str, CheckFinished], str]:
    """Each check's end under a setting, and what the command said."""
    project = folder / "project"
    project.mkdir(parents=True)
    (project / "target.toml").write_text(DESCRIPTION.format(people=setting.people))
    with stack(folder / "stack", setting.auth) as variables:
        own = {"ASSAY_RUNS": str(folder / "runs"), "ASSAY_HISTORY": str(folder / "history.sqlite")}
        command = [
            sys.executable,
            "-m",
            "cli",
            "--project",
            str(project),
            "check",
            *checks,
            "--target",
            "live",
        ]
        done = subprocess.run(
            command, cwd=ROOT, env=os.environ | variables | own, capture_output=True, text=True, check=False
        )
    runs = [path for path in (folder / "runs").glob("*") if (path / "journal").is_dir()]
    ends = {event.check: event for run in runs for event in Evidence(run).events(CheckFinished)}
    return ends, done.stdout + done.stderr


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--only", default="", help="of the settings those whose names hold one of these words"
    )
    parser.add_argument("--checks", default="", help="these checks alone")
    parser.add_argument("--keep", type=Path, help="where the runs are kept")
    options = parser.parse_args()
    needs = concerned()
    chosen = options.checks.split(",") if options.checks else list(needs)
    wrong = False
    for name, setting in {**SETTINGS, "all": ALL}.items():
        if options.only and not any(word in name for word in options.only.split(",")):
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="assay-settings-") as made:
            ends, said = tried(setting, chosen, Path(made))
            if options.keep:
                shutil.copytree(Path(made) / "runs", options.keep / name, dirs_exist_ok=True)
        by = {check: str(end.outcome) for check, end in ends.items()}
        against = {
            check: end.message for check, end in ends.items() if by[check] not in ("met", "not_applicable")
        }
        against |= {check: "did not run" for check in chosen if check not in ends}
        against |= {
            check: f"ran, and needs {need}"
            for check in chosen
            for need in setting.takes_away
            if need in needs.get(check, ()) and by.get(check) == "met"
        }
        row = {
            "setting": name,
            "met": sum(outcome == "met" for outcome in by.values()),
            "not applicable": sorted(check for check, outcome in by.items() if outcome == "not_applicable"),
            "wrong": {check: f"{by.get(check, '')}: {text[:300]}" for check, text in against.items()},
            "seconds": round(time.monotonic() - began),
        }
        print(json.dumps(row), flush=True)
        if against:
            wrong = True
            print(said[-3000:], file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
