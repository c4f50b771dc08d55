"""Contestants that take turns on one core: all are started and connected, all but one are frozen.

Each turn is a short window in which one program runs; the rest stand still under SIGSTOP. So a busy second of
the machine hits neighbours in time, and the ratio of two neighbours means something where absolute figures
do not. CPU is what the kernel's scheduler booked on every thread of the program's process tree, to the
nanosecond (`/proc/PID/task/TID/schedstat`).
"""

from __future__ import annotations

import os
import resource
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

SETTLE = 0.15  # seconds after a thaw that are not counted
Counter = Callable[[], int]


def pin(core: int) -> list[str]:
    """Words that keep a command on one core, where there are several."""
    return ["taskset", "-c", str(core)] if (os.cpu_count() or 1) > 1 else []


def favoured() -> None:
    """To be called in a child before it runs: as `assay load` starts it, served first and with more open files."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.setsid()
    with suppress(OSError):  # not on every kernel, not allowed to everybody
        Path("/proc/self/autogroup").write_text("-10")


def cpu(pid: int) -> float:
    """CPU seconds of a process and its children so far."""
    total = 0
    with suppress(psutil.Error):
        for one in _family(pid):
            for task in Path(f"/proc/{one}/task").glob("*/schedstat"):
                with suppress(OSError):
                    total += int(task.read_text().split()[0])
    return total / 1e9


def _family(pid: int) -> list[int]:
    process = psutil.Process(pid)
    return [pid, *(child.pid for child in process.children(recursive=True))]


@dataclass
class Contestant:
    """One program under comparison; a turn adds to `costs` (CPU seconds per operation) and `rates` (per second)."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    pinned: bool = True
    """Keep it on the first core."""
    costs: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    def start(self, connected: Callable[[], bool], within: float = 40.0) -> bool:
        """Starts it on the first core and freezes it once `connected`; False if that never came."""
        self.process = subprocess.Popen(
            [*(pin(0) if self.pinned else []), *self.command], env=os.environ | self.environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        until = time.monotonic() + within
        while not (ready := connected()) and time.monotonic() < until and self.process.poll() is None:
            time.sleep(0.2)
        time.sleep(1.0)  # all users at work, garbage of the start collected
        self._signal(signal.SIGSTOP)
        return ready

    def turn(self, count: Counter, seconds: float) -> None:
        """Lets it run for a window and notes what an operation cost."""
        assert self.process is not None
        self._signal(signal.SIGCONT)
        time.sleep(SETTLE)
        before, used, since = count(), cpu(self.process.pid), time.monotonic()
        time.sleep(seconds)
        done, used, lasted = count() - before, cpu(self.process.pid) - used, time.monotonic() - since
        self._signal(signal.SIGSTOP)
        time.sleep(0.02)
        self.costs.append(used / done if done > 0 and used > 0.01 else float("nan"))
        self.rates.append(done / lasted)

    def end(self) -> None:
        """Kills it."""
        if self.process is not None:
            self._signal(signal.SIGKILL)
            self.process.wait()

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


def compare(contestants: Sequence[Contestant], count: Counter, rounds: int, seconds: float) -> None:
    """Gives every one its turn, so many times."""
    for _ in range(rounds):
        for contestant in contestants:
            contestant.turn(count, seconds)


def table(contestants: Sequence[Contestant], reference: str, checked: Mapping[str, bool]) -> list[str]:
    """Lines: operations per CPU-second with spread, and the median ratio of `reference` to each, turn by turn."""
    lines = [f"{'tool':18}{'median':>9}{'p10':>9}{'p90':>9}  checks   {reference} is (p10 to p90 of turns)"]
    base = next((c.costs for c in contestants if c.name == reference), [])
    for one in contestants:
        speeds = sorted(1 / cost for cost in one.costs if cost == cost)
        if not speeds:
            lines.append(f"{one.name:18}        -  (it never held all its connections, or did not start)")
            continue
        ratios = sorted(c / b for c, b in zip(one.costs, base, strict=False) if c == c and b == b)
        against = ""
        if ratios and one.name != reference:
            low, high = _spread(ratios)
            against = f"{statistics.median(ratios):9.2f} x  ({low:.2f} to {high:.2f})"
        low, high = _spread(speeds)
        says = "yes" if checked.get(one.name, True) else "no"
        lines.append(f"{one.name:18}{statistics.median(speeds):9.0f}{low:9.0f}{high:9.0f}  {says:6}{against}")
    return lines


def _spread(values: Sequence[float]) -> tuple[float, float]:
    """10th and 90th percentile of sorted values."""
    return values[len(values) // 10], values[min(len(values) * 9 // 10, len(values) - 1)]
