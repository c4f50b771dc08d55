"""Messages that are under way: each ends as a sample, delivered or not."""

from __future__ import annotations

import time
from collections.abc import Hashable

from loadengine.measure.measure import Measure
from loadengine.measure.recorder import ERROR, OK, WRONG, SampleRecorder

_now = time.monotonic_ns
LOST = "not delivered in time"


class Outstanding:
    """By key, when each message was meant to be sent and was; oldest first."""

    def __init__(self, recorder: SampleRecorder, measure: Measure, within: int) -> None:
        self.measure = measure
        self._recorder = recorder
        self._within = within
        self._series = recorder.new_series(measure.metric, **measure.labels)
        self._waiting: dict[Hashable, tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def sent(self, key: Hashable, intended: int, at: int = 0) -> None:
        """A message is on its way; call right before sending it."""
        self._waiting[key] = (intended, at or _now())

    def arrived(self, key: Hashable, size: int = 0, wrong: str | None = None) -> bool:
        """It arrived, and `wrong` says what is wrong with it, if anything; False if nobody waits for it."""
        found = self._waiting.pop(key, None)
        if found is None:
            return False
        self._series.size += size
        if wrong is None:
            self._recorder.record(self._series.number, OK, 0, *found, _now())
        else:
            self._recorder.failed(self._series.number, WRONG, 0, *found, _now(), wrong)
        return True

    def sweep(self) -> None:
        """Gives up what has waited too long."""
        now = _now()
        while self._waiting:
            key, (intended, sent) = next(iter(self._waiting.items()))
            if sent + self._within > now:
                return
            del self._waiting[key]
            self._recorder.failed(self._series.number, ERROR, 0, intended, sent, now, LOST)

    def give_up(self) -> None:
        """The load is over: what has not arrived by now is lost."""
        now = _now()
        for intended, sent in self._waiting.values():
            self._recorder.failed(self._series.number, ERROR, 0, intended, sent, now, LOST)
        self._waiting.clear()
