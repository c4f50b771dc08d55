"""What drills saw, as the table that docs/drill.md shows.

python -m runner.drill.figures FOLDER...     prints it, of a drill's folder below `runs/`, or of all parts of one
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from clients.services import catalogue as services
from core.project import find_project
from reports.judging.overrides import Sources
from runner import declared_checks
from runner.drill.catalogue import SHIPPED, Defect, read_catalogue
from runner.drill.matrix import sentence
from runner.drill.results import Result, Results, Summary, summarise

HEAD = f"| faults by | tried | caught | slipped | misled | broken | sensitivity | at 95 % |\n{'|---' * 8}|"


def table(defects: Sequence[Defect], results: Iterable[Result], checks: Sequence[str]) -> str:
    """A line for all faults, and one for each kind of plant; the newest result of a fault counts."""
    by_id = {result.defect: result for result in results}
    faults = [d for d in defects if not d.entry.healthy]
    kinds = sorted({d.kinds[0] for d in faults})
    rows = [
        _row("all", faults, by_id, checks),
        _row("subtle", [d for d in faults if d.entry.subtle], by_id, checks),
    ]
    rows += [_row(f"`{kind}`", [d for d in faults if d.kinds[0] == kind], by_id, checks) for kind in kinds]
    return "\n".join([HEAD, *rows])


def _row(name: str, defects: Sequence[Defect], by_id: dict[str, Result], checks: Sequence[str]) -> str:
    one = _summary(defects, by_id, checks)
    counts = [one.counts.get(outcome, 0) for outcome in ("slipped", "misled", "broken")]
    low, high = one.interval
    share = "" if one.sensitivity is None else f"{one.sensitivity:.1%}"
    interval = f"{low:.1%} to {high:.1%}" if one.faults else ""
    cells = [name, sum(one.counts.values()), one.caught, *counts, share, interval]
    return f"| {' | '.join(map(str, cells))} |"


def _summary(defects: Sequence[Defect], by_id: dict[str, Result], checks: Sequence[str]) -> Summary:
    return summarise([by_id[d.id] for d in defects if d.id in by_id], defects, checks)


def main(folders: Sequence[str]) -> None:
    """Prints sentence and table of the shipped catalogue. Raises ConfigError for a catalogue that is wrong."""
    sources = Sources(find_project().own)
    declared = declared_checks.declared(own=find_project().own)
    defects = read_catalogue(
        SHIPPED, declared, sorted(sources.objectives()), services(), sources.requirements
    )
    found = [r for folder in folders for d in defects if (r := Results(Path(folder)).of(d))]
    checks = [check.id for check in declared]
    summary = _summary(defects, {r.defect: r for r in found}, checks)
    print(f"{sentence(summary)}\n\n{table(defects, found, checks)}")
    print(f"\nNot tried: {len(defects) - sum(summary.counts.values())} of {len(defects)}.")
    print(
        f"Toothless: {', '.join(summary.toothless) or 'none'}.\nNoisy: {', '.join(summary.noisy) or 'none'}."
    )


if __name__ == "__main__":
    main(sys.argv[1:])
