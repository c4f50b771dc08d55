"""Which pytest processes a run's checks need: shipped or a project's own, of services or in a browser, exclusive last."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from core.events import CheckCollected, CheckFinished
from core.outcome import CheckOutcome
from core.run import ROOT, Run
from core.shard import Shard
from runner.declared_checks import Declared

UNUSED_PLUGINS = tuple(
    word
    for name in ("schemathesis", "hypothesispytest", "locust", "anyio", "random_order")
    for word in ("-p", f"no:{name}")
)
"""Pytest's words against plugins that no check uses; to load them takes as long as all else that pytest loads."""


@dataclass(frozen=True)
class CheckPart:
    """Checks that one pytest process runs."""

    name: str
    checks: tuple[Declared, ...]
    words: tuple[str, ...]
    """Pytest's options for them."""

    @property
    def exclusive(self) -> bool:
        """Whether they run last, serially, on an embedded target of their own."""
        return self.checks[0].exclusive

    @property
    def files(self) -> list[str]:
        """Their modules."""
        return sorted({str(check.path) for check in self.checks})


def parts_of(checks: Sequence[Declared], workers: int) -> list[CheckPart]:
    """The parts in the order in which they run; checks of services share up to `workers` processes, all others have one."""
    found = []
    for (exclusive, own, browser), group in groupby(sorted(checks, key=_kind), key=_kind):
        members = tuple(group)
        kind = "exclusive" if exclusive else "browser" if browser else "checks"
        words = ["--exclusive"] if exclusive else []
        if len(members) > 1 and not (exclusive or browser):
            words += ["-n", str(min(workers, len(members))), "--dist", "worksteal"]
        if own:
            kind = f"own-{kind}" if not (exclusive and browser) else "own-exclusive-browser"
            words += _as_own(members[0])
        found.append(CheckPart(kind, members, tuple(words)))
    return found


def shard_of(checks: Sequence[Declared], shard: Shard | None) -> list[Declared]:
    """A shard's checks: of each kind of part its share, the same on every machine."""
    ordered = sorted(checks, key=lambda check: (_kind(check), check.id))
    return shard.pick(ordered) if shard else ordered


def says_nothing(check: Declared, run: Run) -> bool:
    """Whether a check does not apply to the target, journaled here: no process, browser or stack starts for it."""
    passport = check.passport
    if passport is None or not (why := passport.inapplicable(run.target)):
        return False
    run.journal.write(CheckCollected(check.id, passport, f"{check.path.relative_to(check.root)}"))
    outcome, message = CheckOutcome.NOT_APPLICABLE, f"not applicable: {why}"
    run.journal.write(
        CheckFinished(check.id, 1, outcome, message, passport.service, expected="", saw="", seconds=0.0)
    )
    return True


def _kind(check: Declared) -> tuple[bool, bool, bool]:
    """What tells parts apart; exclusive shipped checks need not be told apart by where they run."""
    return check.exclusive, check.own, check.in_browser and (check.own or not check.exclusive)


def _as_own(check: Declared) -> list[str]:
    """Pytest's options for checks of a project: Assay's settings and fixtures, the project's folder as root."""
    root = str(check.root)
    return [
        *("-c", str(ROOT / "pyproject.toml"), "--rootdir", root, "--confcutdir", root),
        *("-o", f"cache_dir={ROOT / '.assay' / 'cache' / 'pytest'}"),
        *("-o", f"pythonpath=. {shlex.quote(root)}"),
        *("-p", "fixtures.plugin", "-p", "suites.conftest"),
        *(("-p", "scenarios.browser.conftest") if check.in_browser else ()),
    ]
