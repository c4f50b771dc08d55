"""Triage: a waiver or a mute written with all its fields, and a person's sign-off of a run."""

from __future__ import annotations

import datetime as dt
import getpass
import json
import os
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from core.config import load_toml, nearest
from core.errors import ConfigError
from core.project import find_project
from core.user_settings import setting
from reports import judge, write
from reports.judging.mutes import AlertsFile
from reports.judging.overrides import Sources
from reports.judging.waivers import WaiverFile, load_waivers
from reports.rendering.page.trends import write_trends
from reports.rendering.sign_off import sign
from runner import declared_checks
from runner.verdict import find, history_store

LONGEST_WAIVER = 90
"""Days; what is to last longer is no exception."""


def waive(check: str, *, reason: str, owner: str, ticket: str, until: str) -> Path:
    """Adds a waiver to the project's waivers.toml and returns the file. Raises ConfigError, the file unchanged.

    `check` is the identifier of a check or an objective; another tool's check is taken as it is written.
    """
    own = find_project().own
    sources = Sources(own)
    known = {c.id for c in declared_checks.declared(own=own)} | set(sources.objectives())
    if check not in known and "." not in check:
        raise ConfigError(f"there is no check or objective '{check}'; {nearest(check, known)}")
    near = nearest(check, known)
    if check not in known and near.startswith("did you mean"):
        raise ConfigError(f"there is no check or objective '{check}'; {near}")
    if any(w.check == check and not w.expired for w in load_waivers(sources.waivers)):
        raise ConfigError(f"'{check}' is waived already in {sources.waivers}; change it there.")
    day = _day(until, "--until")
    if day > dt.date.today() + dt.timedelta(days=LONGEST_WAIVER):
        raise ConfigError(f"--until {until} is more than {LONGEST_WAIVER} days away: name an earlier day.")
    fields: dict[str, str | dt.date] = {
        "check": check,
        "reason": reason,
        "owner": owner,
        "ticket": ticket,
        "expiry": day,
    }
    _append(sources.waivers, "waiver", fields, WaiverFile)
    return sources.waivers


def mute(key: str, *, reason: str, owner: str, until: str, ticket: str = "") -> Path:
    """Adds a mute to the project's alerts.toml and returns the file. Raises ConfigError, the file unchanged."""
    sources = Sources(find_project().own)
    fields: dict[str, str | dt.date] = {
        "key": key,
        "owner": owner,
        "reason": reason,
        "until": _day(until, "--until"),
        **({"ticket": ticket} if ticket else {}),
    }
    _append(sources.alerts, "mute", fields, AlertsFile)
    return sources.alerts


def sign_run(named: Path | None, *, name: str, comment: str) -> Path:
    """Adds a sign-off to a run, writes its page and its PDF anew, and returns the run's folder. Raises ConfigError."""
    directory = find(named)
    with closing(history_store()) as history:
        verdict = judge(directory, history=history, project=find_project().own)
    sign(directory, name or _user(), comment, verdict.state, verdict.headline)
    write(verdict, directory, ["pdf", "page"])
    return directory


def publish_trends(target: str, plan: str, out: Path) -> Path:
    """Writes the page over the last runs of a target and plan, and returns it."""
    sources = Sources(find_project().own)
    rows = {
        o.id: (o.title, f"limit {o.limit:g} {o.unit}", o.unit, o.limit)
        for o in sources.objectives(target).values()
    }
    with closing(history_store()) as history:
        return write_trends(history, target, plan, out, rows)


def _day(text: str, option: str) -> dt.date:
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{option} '{text}' is no day; write it as 2027-01-31.") from None
    if day < dt.date.today():
        raise ConfigError(f"{option} {text} is over already.")
    return day


def _append(
    path: Path, table: str, fields: Mapping[str, str | dt.date], model: type[WaiverFile] | type[AlertsFile]
) -> None:
    """Adds one table at the end of a file; what stands there stays as it is, comments too."""
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = [f"{k} = {v.isoformat() if isinstance(v, dt.date) else _text(v)}" for k, v in fields.items()]
    gap = "" if not before or before.endswith("\n\n") else "\n" if before.endswith("\n") else "\n\n"
    making = path.with_name(f".{path.name}.{os.getpid()}")
    making.write_text(f"{before}{gap}[[{table}]]\n" + "\n".join(lines) + "\n", encoding="utf-8")
    try:
        load_toml(making, model)
    except ConfigError:
        making.unlink()
        silent = [name for name, value in fields.items() if not str(value).strip()]
        if path.exists():
            load_toml(path, model)  # what was wrong before is told with its own file and line
        raise ConfigError(
            f"each of {', '.join(fields)} must say something: {', '.join(silent)} says nothing."
        ) from None
    making.replace(path)


def _text(value: str) -> str:
    """A TOML basic string: JSON's escapes are TOML's, too, but for DEL (TOML 1.0, String)."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _user() -> str:
    """Whoever started the CI job, else the machine's user; empty where nobody knows."""
    for variable in ("GITHUB_ACTOR", "GITLAB_USER_LOGIN"):
        if who := setting(variable):
            return who
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
