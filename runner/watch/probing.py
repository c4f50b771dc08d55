"""One round of probes: every service that the target has, asked at once, each within its deadline."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from types import ModuleType

from clients.services import Probe, modules
from core.errors import AssayError
from core.run import Run
from runner.watch.store import Probed

SETTLED = 3
"""So many good answers in a row, and a service is well."""
DEADLINE = 10.0
"""Seconds in which a service must have answered a probe."""


def probes_of(run: Run) -> Iterator[tuple[str, Probe]]:
    """Every reading probe of what the target has, as `service: what is asked`; also what doctor asks."""
    for module in modules():
        if any(run.target.has(capability) for capability in module.SERVICE.capabilities):
            yield from (
                (f"{module.SERVICE.id}: {name}", probe) for name, probe in _probes(module, run).items()
            )


def _probes(module: ModuleType, run: Run) -> Mapping[str, Probe]:
    make = getattr(module, "probes", None)
    return make(run) if make else {}


def answer_of(probe: Probe) -> tuple[str, bool]:
    """What a probe says, and whether that is well; a probe's own surprise is a finding, too."""
    try:
        return probe(), True
    except AssayError as error:
        return str(error), False
    except Exception as error:
        return f"{type(error).__name__}: {error}", False


class Round:
    """The same probes, asked again and again. One that still hangs from an earlier round counts as failed.

    A service whose reading API has a small quota says in PROBE_EVERY how many seconds lie between two questions while it
    is well; a fifth of that until it has answered well three times in a row.
    """

    def __init__(self, run: Run, mask: Callable[[str], str]) -> None:
        self._probes = dict(probes_of(run))
        spared = {module.SERVICE.id: getattr(module, "PROBE_EVERY", 0.0) for module in modules()}
        self._every = {name: spared.get(name.partition(":")[0], 0.0) for name in self._probes}
        self._asked: dict[str, float] = {}
        self._well: Counter[str] = Counter()
        self._mask = mask
        self._pool = ThreadPoolExecutor(max(1, len(self._probes)), thread_name_prefix="probe")

    def ask(self, at: float) -> list[Probed]:
        """Asks all that are due."""
        began = time.monotonic()
        asked = {
            name: self._pool.submit(_timed, probe)
            for name, probe in self._probes.items()
            if self._due(name, at)
        }
        found = []
        for name, future in asked.items():
            try:
                words, well, seconds = future.result(max(0.0, began + DEADLINE - time.monotonic()))
            except TooLate:
                future.cancel()
                words, well, seconds = f"no answer within {DEADLINE:g} s", False, DEADLINE
            self._well[name] = self._well[name] + 1 if well else 0
            found.append(Probed(at, name, well, seconds, " ".join(self._mask(words).split())[:300]))
        return found

    def _due(self, name: str, at: float) -> bool:
        """Whether a probe is asked in the round that begins now."""
        pause = self._every[name] * (1 if self._well[name] >= SETTLED else 0.2)
        if at - self._asked.get(name, float("-inf")) < pause:
            return False
        self._asked[name] = at
        return True

    def close(self) -> None:
        """Waits for nobody."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _timed(probe: Probe) -> tuple[str, bool, float]:
    began = time.monotonic()
    words, well = answer_of(probe)
    return words, well, time.monotonic() - began
