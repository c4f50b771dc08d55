"""A run is killed at a moment of chance, again and again: what does it leave, once it was swept?

    python -m bench.kill [--times 10] [--seed N] [--within 12] [--checks CHECK,…] [--profiles upload,…] [--keep DIR]
    python -m bench.kill --beside [--times 20] [--checks CHECK,…]

The embedded stack is started apart and reached as a live target, by its variables alone. Each time a run of `check` or
`load`, in turn, gets SIGKILL, its runner alone or all of it; then `assay sweep` follows, and `assay gate` judges the
evidence. Every service is counted by its own witnesses before and after (`bench.residue`); somebody's things that look like
a run's own stand beside. With `--beside` nothing is killed: `assay sweep` runs again and again beside a run that goes
on, which must end as if nobody had swept. A line a time; exits with 1 where anything stayed, was touched or is not readable.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bench.residue import Snapshot, left, snapshot
from clients import embedded
from clients.service_clients import ServiceClients
from clients.services import catalogue
from core.events import CheckFinished, LedgerPlanned, RunFinished
from core.evidence import Evidence
from core.ledger import left_over
from core.parent_death import die_with_parent
from core.run import Run, new_directory
from tests.clients.customer import Customer

ROOT = Path(__file__).resolve().parents[1]
DESCRIPTION = """\
name = "killed"
extends = "reference"
[permit]
actions = ["read", "write", "admin", "load"]
[settings]
logins_per_hour = 9000
"""
CHECKS = (
    "content.page_changes",
    "storage.unfinished_uploads",
    "telemetry.datadog_monitor",
    "telemetry.sentry_alert",
    "storage.versions",
    "auth.second_factor",
    "cache.kv_hit_and_miss",
)
"""Such as make a thing of every kind, and are short."""
PROFILES = ("upload", "uptime")
LOAD = ("--users", "3", "--rate", "10", "--for", "4s")
SETTLING = 20.0
"""Seconds that the platform has to tidy up by itself; its sweeper comes every three here."""
ENDING = 60.0
"""Seconds within which the processes of a killed run must have ended."""


@dataclass
class Turn:
    """What came of one run that was killed."""

    command: str
    after: float
    """Seconds from the first thing that it planned to the kill."""
    struck: bool = False
    """Whether it still went when it was killed; otherwise it had come to its own end."""
    open: int = 0
    """Entries of its ledger that were not undone when it was killed."""
    ended: float = 0.0
    """Seconds until its last process had ended."""
    wrong: list[str] = field(default_factory=list)


class Bench:
    """The stack, what is witnessed in it, and the runs on it."""

    def __init__(self, folder: Path, stack: embedded.Embedded, services: ServiceClients) -> None:
        self.folder, self.stack, self.services = folder, stack, services
        self.project, self.runs = folder / "project", folder / "runs"
        self.project.mkdir()
        (self.project / "target.toml").write_text(DESCRIPTION)
        self.customer = Customer(services, services.run.tag())
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("ASSAY_", "PYTEST_"))},
            **stack.variables,
            "ASSAY_RUNS": str(self.runs),
            "ASSAY_HISTORY": str(folder / "history.sqlite"),
            "ASSAY_PROJECT": str(self.project),
        }

    def now(self) -> Snapshot:
        """What lies in every service."""
        return snapshot(self.services, self.stack.state)

    def started(self, *words: str) -> subprocess.Popen[bytes]:
        """A command on the target, in a process group of its own; its words go to a file of the folder."""
        command = [sys.executable, str(ROOT / "cli.py"), *words]
        command += ["--target", "live"] if words[0] != "gate" else []
        with (self.folder / "output.log").open("ab") as log:
            log.write(f"\n$ {' '.join(words)}\n".encode())
            log.flush()
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGKILL),
            )

    def done(self, *words: str) -> int:
        """The exit code of a command."""
        return self.started(*words).wait(600)

    def newest(self, known: set[Path], process: subprocess.Popen[bytes]) -> Path | None:
        """The folder of a run that has just begun to write its journal; None where it ended before."""
        while process.poll() is None:
            for path in self.all_runs() - known:
                return path
            time.sleep(0.02)
        return next(iter(self.all_runs() - known), None)

    def all_runs(self) -> set[Path]:
        """The folders of runs that have a journal."""
        return {path.parent for path in self.runs.glob("*/journal") if any(path.iterdir())}

    def killed(self, words: Sequence[str], after: float, before: Snapshot, *, whole: bool) -> Turn:
        """One run: killed so long after the first thing that it planned, swept, read and counted.

        With `whole` every process of it is killed, as when its machine goes; otherwise the runner's group alone, and the
        others, who notice, may still tidy up.
        """
        turn = Turn(" ".join(words[:2]) if words[0] == "load" else words[0], after)
        process = self.started(*words)
        run = self.planning(self.all_runs(), process)
        time.sleep(after)
        try:
            leader = psutil.Process(process.pid)
            family = [leader, *leader.children(recursive=True)]
        except psutil.NoSuchProcess:
            family = []
        if process.poll() is None:
            turn.struck = True
            os.killpg(process.pid, signal.SIGKILL)
            for one in family if whole else ():
                with suppress(psutil.NoSuchProcess):
                    one.kill()
        at = time.monotonic()
        process.wait()
        _, alive = psutil.wait_procs(family, timeout=ENDING)
        turn.ended = time.monotonic() - at
        turn.wrong += [f"{' '.join(one.cmdline()[:4])} goes on after {ENDING:.0f} s" for one in alive]
        turn.wrong += [] if run else ["it planned nothing"]
        turn.open = len(left_over(Evidence(run).events())) if run else 0
        if code := self.done("sweep"):
            turn.wrong.append(f"the sweep ended with {code}")
        turn.wrong += self.residue(before)
        if run:
            self._read(turn, run)
        return turn

    def planning(self, known: set[Path], process: subprocess.Popen[bytes]) -> Path | None:
        """The folder of a run that has just planned its first thing; None where it ended without."""
        run = self.newest(known, process)
        while run and not Evidence(run).events(LedgerPlanned):
            if process.poll() is not None:
                return None
            time.sleep(0.05)
        return run

    def residue(self, before: Snapshot) -> list[str]:
        """What stayed of runs and what was touched of the customer's, in words.

        The platform itself removes what a deleted person's uploads left, at its next sweep: that is waited for.
        """
        until = time.monotonic() + SETTLING
        while (found := left(before, self.now())) and time.monotonic() < until:
            time.sleep(0.5)
        words = [f"{len(things)} {kind} left, e.g. {things[0]}" for kind, things in found.items()]
        return words + [f"touched: {one}" for one in self.customer.missing()]

    def _read(self, turn: Turn, run: Path) -> None:
        """Whether what the killed run recorded is judged: broken, unless it had come to its end before."""
        finished = bool(Evidence(run).events(RunFinished))
        code = self.done("gate", str(run))
        if code not in ((0, 1, 3) if finished else (3,)):
            turn.wrong.append(f"`assay gate` says {code} of it")

    def beside(self, words: Sequence[str], sweeps: int) -> Turn:
        """So many sweeps while a run goes on, which starts anew as often as it ends: all its checks are met all the same."""
        turn = Turn(f"{sweeps} sweeps", 0.0)
        tried = 0
        before = self.now()
        while tried < sweeps:
            known = self.all_runs()
            process = self.started(*words)
            run = self.newest(known, process)
            while process.poll() is None and tried < sweeps:
                code = self.done("sweep")
                turn.wrong += [f"sweep {tried + 1} ended with {code}"] if code else []
                tried += process.poll() is None
            process.wait(600)
            ends = Evidence(run).events(CheckFinished) if run else []
            turn.wrong += [] if ends else ["no check ended"]
            turn.wrong += [
                f"{end.check}: {end.outcome}: {end.message}" for end in ends if end.outcome != "met"
            ]
        turn.wrong += self.residue(before)
        return turn


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.kill", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument(
        "--within", type=float, default=12, help="seconds from a run's first thing to the kill"
    )
    parser.add_argument("--checks", default=",".join(CHECKS))
    parser.add_argument("--profiles", default=",".join(PROFILES), help="loads; none where empty")
    parser.add_argument("--beside", action="store_true", help="sweep beside a run instead, so many times")
    parser.add_argument("--keep", type=Path, help="an empty folder for the runs and all that was said")
    options = parser.parse_args()
    check = ("check", *options.checks.split(","), "--workers", "2")
    loads = [("load", profile, *LOAD) for profile in options.profiles.split(",") if profile]
    with ExitStack() as held:
        folder = options.keep or Path(held.enter_context(tempfile.TemporaryDirectory(prefix="assay-kill-")))
        folder.mkdir(parents=True, exist_ok=True)
        state = folder / "stack"
        stack = held.enter_context(embedded.attach(state=state, progress=sys.stderr))
        witness = Run.begin(new_directory(folder / "witness"), stack.target(catalogue()), "kill")
        held.callback(witness.journal.close)
        bench = Bench(folder.absolute(), stack, held.enter_context(ServiceClients(witness)))
        if options.beside:
            turn = bench.beside(check, options.times)
            print(*turn.wrong, f"{turn.command} beside a run: {len(turn.wrong)} wrong", sep="\n", flush=True)
            return 1 if turn.wrong else 0
        return kills(bench, [check, *loads], options.times, options.within, options.seed)


def kills(bench: Bench, commands: Sequence[Sequence[str]], times: int, within: float, seed: int) -> int:
    """So many kills, a line each and the totals; the commands take turns. Returns the exit code."""
    chance = random.Random(seed)
    print(f"seed {seed}", flush=True)
    before = bench.now()
    turns: list[Turn] = []
    while sum(turn.struck for turn in turns) < times and len(turns) < 2 * times:
        words, whole = commands[len(turns) % len(commands)], chance.random() < 0.5
        turns.append(turn := bench.killed(words, chance.uniform(0, within), before, whole=whole))
        how = (
            f"killed after {turn.after:.1f} s{' whole' if whole else ''}"
            if turn.struck
            else "came to its own end"
        )
        found = "; ".join(turn.wrong) or "nothing left"
        print(
            f"{len(turns):>3}  {turn.command:<12} {how:<25} {turn.open:>3} open, gone in {turn.ended:.1f} s: {found}",
            flush=True,
        )
        if turn.wrong:  # each is told once
            before = bench.now()
    wrong = [turn for turn in turns if turn.wrong]
    print(
        f"{sum(turn.struck for turn in turns)} kills of {len(turns)} runs, {sum(turn.open for turn in turns)} things "
        f"open at them, {sum(turn.open > 0 for turn in turns)} with any; something wrong after {len(wrong)}",
        flush=True,
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
