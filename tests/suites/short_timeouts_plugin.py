"""A plugin for checks that must fail: whatever they wait for is waited for two seconds at most.

An outage takes longer to be noticed and to be over: the environment's PATIENCE names other seconds.
"""

from __future__ import annotations

import os
from typing import Any

from core import clock
from tests.suites.verdicts import PATIENCE

_real = clock.Deadline.after.__func__  # type: ignore[attr-defined]


def _soon(cls: type[clock.Deadline], duration: Any) -> clock.Deadline:
    most = float(os.environ.get(PATIENCE, "2"))
    found: clock.Deadline = _real(cls, min(clock.seconds(duration), most))
    return found


clock.Deadline.after = classmethod(_soon)  # type: ignore[method-assign, assignment]
