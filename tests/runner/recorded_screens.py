"""What `doctor`, `status`, `sweep`, `trends` and `runs` show, as `recorded/` keeps it for 80 and 40 columns.

python -m tests.runner.recorded_screens            writes it anew, after the words have changed
python -m tests.runner.recorded_screens COLUMNS    shows it all on this terminal
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import reports
from clients.services import catalogue
from core.events import LedgerPlanned, RunStarted
from core.journal import Journal
from core.secret import Redactor
from core.target import resolve
from reports import History
from runner import doctor, listing, sweep, triage, triage_commands
from stack.supervisor.__main__ import screen
from tests.reports.made import CHECKS, Made

FOLDER = Path(__file__).parent / "recorded"
WIDTHS = (80, 40)
MISSED = {"storage.large-file": {"outcome": "missed", "message": "no object in R2"}}
RUNS: dict[str, dict[str, object]] = {
    "20261130-020000-aaaaaa": {},
    "20261201-020000-bbbbbb": {"outcomes": MISSED, "live": True, "plan": "nightly"},
}
COMPONENTS = [
    ("postgres", "ready", 4711, None),
    ("supabase", "ready", 4712, "http://127.0.0.1:17819"),
    ("platform", "died", None, "http://127.0.0.1:15839"),
]


def _doctor(folder: Path) -> None:
    (folder / "target.toml").write_text(
        '[capabilities]\n"auth.email" = "required"\n"database.rest" = "required"\n"storage.r2" = "required"\n'
    )
    given = {"SUPABASE_URL": "https://abc.supabase.co", "SUPABASE_SERVICE_ROLE_KEY": "sb_secret_0123456789"}
    target = resolve("live", catalogue(), environment=given, file=folder / "target.toml", complete=False)
    doctor.print_variables(target)
    doctor.print_probe("supabase.auth: settings", "answers as described: sign-up, confirmation by mail", True)
    doctor.print_probe(
        "r2: list", "GET abc.r2.cloudflarestorage.com/files answers 403: the key may not list", False
    )
    doctor.print_coverage(
        "gate",
        12,
        18,
        {
            "not applicable, the target declares no 'content.pages'": [
                "content.keys",
                "content.page_changes",
            ],
            "not covered, the permit does not give load": ["database.typical_queries"],
        },
    )


def _status(folder: Path) -> None:
    components = [
        {"name": n, "state": s, "pid": p, "url": u, "log": f".assay/stack/log/{n}.log"}
        for n, s, p, u in COMPONENTS
    ]
    status = {"phase": "ready", "state": ".assay/stack", "components": components}
    print("\n".join(screen(status, int(os.environ["COLUMNS"]))))


def _sweep(folder: Path) -> None:
    sweep.sweep_runs("embedded", folder, dry=True, root=folder)
    journal = Journal(folder / "20261201-020000-bbbbbb", "assay", Redactor())
    journal.write(RunStarted("20261201-020000-bbbbbb", "0", "a1", "gate", "embedded", "ci", 2, "3.11", ()))
    journal.write(LedgerPlanned("1", "storage.object", {"bucket": "files", "path": "assay-1/x.png"}, ""))
    journal.write(LedgerPlanned("2", "auth.user", {"local": "assay-396e4866732632"}, ""))
    journal.close()
    sweep.sweep_runs("embedded", folder, dry=True, root=folder)


def _runs(folder: Path) -> None:
    with mock.patch.object(listing, "runs", return_value=folder):
        listing.show_runs(20, as_json=False)
        for name, changes in RUNS.items():
            directory = Made(folder / name, checks=CHECKS[:6], **changes).write()  # type: ignore[arg-type]
            reports.write(reports.judge(directory, waivers=[]), directory, writers=["json"])
        (folder / "20261201-030000-cccccc" / "journal").mkdir(parents=True)
        listing.show_runs(20, as_json=False)


def _trends(folder: Path) -> None:
    with (
        mock.patch.object(triage, "history_store", side_effect=lambda: History(folder / "history.sqlite")),
        contextlib.chdir(folder),
    ):
        triage_commands.trends(out=Path("trends.html"), plan="nightly", target="embedded")


SCREENS: dict[str, Callable[[Path], None]] = {
    "doctor": _doctor,
    "status": _status,
    "sweep": _sweep,
    "runs": _runs,
    "trends": _trends,
}


def shown(name: str, width: int) -> None:
    """Prints one command's screen for a terminal of this width."""
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, {"COLUMNS": str(width)}):
        SCREENS[name](Path(folder))


def piped(name: str, width: int) -> str:
    """The same as a pipe gets it."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        doctor.out.file = out
        shown(name, width)
    return out.getvalue()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        for each in SCREENS:
            shown(each, int(sys.argv[1]))
    else:
        FOLDER.mkdir(exist_ok=True)
        for each in SCREENS:
            for columns in WIDTHS:
                (FOLDER / f"{each}-{columns}.txt").write_text(piped(each, columns), encoding="utf-8")
