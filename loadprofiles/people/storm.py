"""Reconnect storms: all sockets are cut at once, as when a network fails, and everybody returns within a second."""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING
from weakref import WeakSet

import gevent

from loadprofiles.engine.recorder import ERROR, OK

if TYPE_CHECKING:
    from loadprofiles.people.chat import Chat

VARIABLE = "ASSAY_ROOMS_STORM"
EVERY = 60.0
MOST = 1000
"""Sockets cut at once."""
_BACK_WITHIN = 30.0
_expected: WeakSet[Chat] = WeakSet()
_now = time.monotonic_ns


def expect(chat: Chat) -> None:
    """Storms from the steady window on, each EVERY seconds (or what ASSAY_ROOMS_STORM says; 0 for never)."""
    every = float(os.environ.get(VARIABLE, "") or EVERY)
    if every > 0 and chat not in _expected:
        _expected.add(chat)
        gevent.spawn(_blow, chat, every)


def _blow(chat: Chat, every: float) -> None:
    engine = chat.engine
    last = 0
    while not engine.closing:
        if _now() >= max(last, engine.recorder.steady_from) + every * 1e9:
            last = _now()
            _once(chat)
        gevent.sleep(0.1)


def _once(chat: Chat) -> None:
    seats = [seat for present in chat.present.values() for seat in present][:MOST]
    began = _now()
    for seat in seats:
        seat.cut()
    text = f"reconnect storm: {len(seats)} sockets cut at once"
    chat.engine.process.event("note", level="info", text=text)
    for seat in seats:
        gevent.spawn_later(random.random(), seat.come)  # noqa: S311 (as clients spread their return)
    while any(not seat.here for seat in seats) and not chat.engine.closing:
        if _now() > began + _BACK_WITHIN * 1e9:
            away = sum(not seat.here for seat in seats)
            chat.note("rooms.storm", ERROR, began, "not everybody is back in time")
            chat.engine.process.event("note", level="warning", text=f"{away} are not back after the storm")
            return
        gevent.sleep(0.05)
    if not chat.engine.closing:
        chat.note("rooms.storm", OK, began)
