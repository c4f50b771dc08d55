"""One round of probes: every service that the target has, asked at once, each within its deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from types import ModuleType

from clients.services import Probe, modules
from core.errors import AssayError
from core.run import Run
from runner.watch.store import Probed

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
    """The same probes, asked again and again. One that still hangs from an earlier round counts as failed."""

    def __init__(self, run: Run, mask: Callable[[str], str]) -> None:
        self._probes = dict(probes_of(run))
        self._mask = mask
        self._pool = ThreadPoolExecutor(max(1, len(self._probes)), thread_name_prefix="probe")

    def ask(self, at: float) -> list[Probed]:
        """Asks all of them."""
        began = time.monotonic()
        asked = {name: self._pool.submit(_timed, probe) for name, probe in self._probes.items()}
        found = []
        for name, future in asked.items():
            try:
                words, well, seconds = future.result(max(0.0, began + DEADLINE - time.monotonic()))
            except TooLate:
                future.cancel()
                words, well, seconds = f"no answer within {DEADLINE:g} s", False, DEADLINE
            found.append(Probed(at, name, well, seconds, " ".join(self._mask(words).split())[:300]))
        return found

    def close(self) -> None:
        """Waits for nobody."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _timed(probe: Probe) -> tuple[str, bool, float]:
    began = time.monotonic()
    words, well = answer_of(probe)
    return words, well, time.monotonic() - began
