"""The sweeper: reads the ledgers of runs and removes what they left behind."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from clients.services import undoers
from core.errors import ConfigError
from core.events import RunStarted
from core.evidence import Evidence
from core.journal import Journal
from core.ledger import Left, left_over, undo
from core.run import ROOT, Run, forget_dead, lives, runs
from core.secret import Redactor
from runner.session import STACK, Request, hold_target, remove_stack

out = Console(highlight=False)


def sweep_runs(target: str, target_file: Path, *, dry: bool, root: Path | None = None) -> int:
    """Undoes every entry of runs against this kind of target that was planned and never undone.

    Returns 0 when nothing is left, 3 when something could not be removed.
    """
    if not dry:
        _remove_dead_stacks()
    found: list[tuple[Path, list[Left]]] = []
    for directory in sorted((root or runs()).glob("*")):
        try:
            events = Evidence(directory).events()
        except ConfigError:
            continue
        about = next((e.target for e in events if isinstance(e, RunStarted)), "embedded")
        rest = left_over(events)
        if rest and about == target:
            found.append((directory, rest))
    if not found:
        out.print("nothing is left behind by any run.")
        return 0
    for directory, rest in found:
        for entry in rest:
            out.print(f"{directory.name}: {entry.kind} {entry.key}")
    if dry:
        return 0
    return 0 if _undo(found, target, target_file) else 3


def _remove_dead_stacks() -> None:
    """Stacks that exclusive checks had for themselves, of runs that were killed; and those runs' private files."""
    forget_dead()
    for state in sorted((ROOT / ".assay").glob(f"{STACK}*")):
        if not lives(state.name.removeprefix(STACK)):
            remove_stack(state)
            out.print(f"removed the stack of a run that was killed: {state.name}")


def _undo(found: list[tuple[Path, list[Left]]], target: str, target_file: Path) -> bool:
    clean = True
    first = Journal(found[0][0], "sweep", Redactor())
    with hold_target(Request(target=target, target_file=target_file), first) as (held, _):
        for directory, rest in found:
            run = Run.begin(directory, held.target, "sweep")
            journal = run.journal
            known = undoers(run)
            for entry in rest:
                failure = (
                    undo(journal, known, entry.entry, entry.kind, entry.key)
                    if entry.kind in known
                    else f"nothing knows how to undo '{entry.kind}'"
                )
                if failure:
                    clean = False
                    out.print(f"[red]{failure}[/red]")
            journal.close()
    first.close()
    return clean
