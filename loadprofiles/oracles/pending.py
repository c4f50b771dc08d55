"""Operations that have succeeded by the server's word, and become samples once a witness has confirmed them."""

from __future__ import annotations

import time
from collections.abc import Hashable

from loadengine.api import Measure
from loadengine.measure.recorder import ERROR, OK, WRONG, SampleRecorder
from loadengine.runtime import LoadEngine

_now = time.monotonic_ns


class Pending:
    """What was accepted at which time; the sample's clock stops there, its outcome is the witness's.

    What is not confirmed `within` seconds is wrong: accepted and not there. The load's end waits for what is in here
    as it does for messages under way.
    """

    def __init__(
        self,
        engine: LoadEngine,
        measure: Measure,
        *,
        within: float,
        why: str,
        flags: int = 0,
        at_end: int = WRONG,
    ) -> None:
        self.measure = measure
        self._recorder: SampleRecorder = engine.recorder
        self._series = engine.recorder.new_series(measure.metric, **measure.labels).number
        self._within, self._why, self._flags, self._at_end = int(within * 1e9), why, flags, at_end
        self._waiting: dict[Hashable, tuple[int, int, int]] = {}
        engine.outstanding.append(self)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def keys(self) -> list[Hashable]:
        """What waits for its witness, oldest first."""
        return list(self._waiting)

    def accepted(self, key: Hashable, intended: int, sent: int, done: int) -> None:
        """The server says that it has it."""
        self._waiting[key] = (intended, sent, done)

    def confirm(self, key: Hashable) -> None:
        """The witness has seen it, whole."""
        if (times := self._waiting.pop(key, None)) is not None:
            self._recorder.record(self._series, OK, self._flags, *times)

    def deny(self, key: Hashable, why: str, outcome: int = WRONG) -> None:
        """The witness has seen something else."""
        if (times := self._waiting.pop(key, None)) is not None:
            self._recorder.failed(self._series, outcome, self._flags, *times, why)

    def failed(self, intended: int, sent: int, why: str, outcome: int = ERROR) -> None:
        """The server did not accept it."""
        self._recorder.failed(self._series, outcome, self._flags, intended, sent, _now(), why)

    def sweep(self) -> None:
        """What has waited too long is not there."""
        now = _now()
        for key, times in list(self._waiting.items()):
            if times[2] + self._within < now:
                self.deny(key, self._why)

    def give_up(self) -> None:
        """The load is over; `at_end` says whether the witness had its time (wrong) or was cut off (cancelled)."""
        for key in list(self._waiting):
            self.deny(key, self._why, self._at_end)
