"""What became of each defect, kept as it comes, so that a drill that was ended goes on where it was."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from core.outcome import Verdict
from reports.judging.stats.binomial import RISK, lower, upper
from runner.drill.catalogue import Defect, Proxy

CAUGHT, SLIPPED, MISLED, BROKEN, ACCUSED, QUIET = "caught", "slipped", "misled", "broken", "accused", "quiet"
GOOD = (CAUGHT, QUIET)
FILE = "results.jsonl"


@dataclass(frozen=True)
class Seen:
    """A check or an objective in a batch: its verdict, and in what words."""

    state: str
    words: str


@dataclass
class Result:
    """What became of one defect.

    `caught`: a check of its own is missed, in words that lead to the cause. `misled`: missed, in other words. `slipped`:
    nobody saw it. `broken`: it was not planted, or the harness failed. A healthy variant is `quiet`, or `accused`.
    """

    defect: str
    digest: str
    outcome: str
    states: dict[str, str] = field(default_factory=dict)
    """The verdict of each check that was run for it."""
    words: str = ""
    noise: list[str] = field(default_factory=list)
    """Checks that were missed though nothing planted explains it."""
    seconds: float = 0
    run: str = ""
    """The folder of the run that saw it, within the drill's."""

    @property
    def good(self) -> bool:
        """Whether it is as it should be."""
        return self.outcome in GOOD


NOTHING_CHANGED = "its rules changed nothing: no exchange held what their match and find ask for"


def judged(defect: Defect, seen: Mapping[str, Seen], idle: Sequence[Proxy] = ()) -> Result:
    """What the checks of a batch say of one of its defects. `idle` are rules that changed nothing meanwhile.

    A defect that consists of such rules alone was never there: that nobody saw it is no fault of the checks.
    """
    result = _judged(defect, seen)
    absent = all(any(plant is one for one in idle) for plant in defect.entry.plant)
    if absent and result.outcome in (SLIPPED, QUIET):
        result.outcome, result.words = BROKEN, NOTHING_CHANGED
    return result


def _judged(defect: Defect, seen: Mapping[str, Seen]) -> Result:
    mine = {name: seen.get(name, Seen("not_covered", "it did not run")) for name in defect.checks}
    states = {name: one.state for name, one in mine.items()}
    missed = [(name, one.words) for name, one in mine.items() if one.state == Verdict.MISSED]
    other = [(n, one.words) for n, one in mine.items() if one.state not in (Verdict.MISSED, Verdict.MET)]
    result = Result(defect.id, defect.digest, SLIPPED, states)
    if defect.entry.healthy:
        shown = missed or other
        result.outcome = ACCUSED if missed else BROKEN if other else QUIET
        result.words = _in_words(*shown[0]) if shown else ""
        return result
    right = [(name, words) for name, words in missed if re.search(defect.entry.says, words, re.I | re.S)]
    if right:
        result.outcome, result.words = CAUGHT, _in_words(*right[0])
    elif missed:
        result.outcome, result.words = MISLED, _in_words(*missed[0])
    elif other:
        result.outcome, result.words = BROKEN, _in_words(*other[0])
    return result


def _in_words(name: str, words: str) -> str:
    return f"{name}: {words.strip()[:400]}"


class Results:
    """The results of a drill in its folder. The last one of a defect counts."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        self._all: dict[str, Result] = {}
        if self._file.is_file():
            for line in self._file.read_text().splitlines():
                result = Result(**json.loads(line))
                self._all[result.defect] = result

    def add(self, result: Result) -> None:
        """Keeps a result, on disk before it counts."""
        with self._file.open("a") as file:
            file.write(json.dumps(asdict(result)) + "\n")
        self._all[result.defect] = result

    def settled(self, defect: Defect) -> bool:
        """Whether a defect needs no further try: it was judged, as it stands today."""
        found = self.of(defect)
        return found is not None and found.outcome != BROKEN

    def of(self, defect: Defect) -> Result | None:
        """The result of a defect as it stands in the catalogue today, if it was drilled."""
        found = self._all.get(defect.id)
        return found if found and found.digest == defect.digest else None


@dataclass(frozen=True)
class Summary:
    """A drill in numbers."""

    counts: Mapping[str, int]
    faults: int
    """Real defects that were tried to the end: neither healthy nor broken."""
    caught: int
    healthy: int
    toothless: Sequence[str]
    """Checks that none of these defects made fail."""
    noisy: Sequence[str]

    @property
    def sensitivity(self) -> float | None:
        """The share of faults that were caught."""
        return self.caught / self.faults if self.faults else None

    @property
    def interval(self) -> tuple[float, float]:
        """Within which sensitivity lies at 95 % (Clopper-Pearson, two-sided)."""
        return lower(self.caught, self.faults, RISK / 2), upper(self.caught, self.faults, RISK / 2)

    @property
    def at_least(self) -> float:
        """The lower bound of sensitivity at 95 % (Clopper-Pearson, one-sided)."""
        return lower(self.caught, self.faults)


def summarise(results: Iterable[Result], defects: Sequence[Defect], checks: Iterable[str]) -> Summary:
    """The numbers of a drill over these defects. `checks` are all that apply to the platform."""
    by_id = {d.id: d for d in defects}
    counts: dict[str, int] = {}
    failed: set[str] = set()
    noisy = []
    faults = caught = healthy = 0
    for result in results:
        counts[result.outcome] = counts.get(result.outcome, 0) + 1
        if by_id[result.defect].entry.healthy:
            healthy += 1
            continue
        faults += result.outcome != BROKEN
        caught += result.outcome == CAUGHT
        failed |= {name for name, state in result.states.items() if state == Verdict.MISSED}
        if result.noise:
            noisy.append(result.defect)
    return Summary(counts, faults, caught, healthy, sorted(set(checks) - failed), noisy)
