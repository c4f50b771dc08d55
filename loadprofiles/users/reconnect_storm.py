"""Reconnect storms: all sockets are cut at once, as when a network fails, and everybody returns within a second."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING
from weakref import WeakSet

import gevent

from core.events import Note, NoteLevel
from loadengine.measure.recorder import ERROR, OK

if TYPE_CHECKING:
    from loadprofiles.users.room_monitor import Chat

VARIABLE = "ASSAY_ROOMS_STORM"
EVERY = 60.0
MOST = 1000
"""Sockets cut at once."""
_BACK_WITHIN = 30.0
_AT_ONCE = 20
_expected: WeakSet[Chat] = WeakSet()
_now = time.monotonic_ns


def expect(chat: Chat) -> None:
    """Storms from the steady window on, each EVERY seconds (or what ASSAY_ROOMS_STORM says; 0 for never)."""
    every = float(chat.engine.run.load.variables.get(VARIABLE) or EVERY)
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
    """Cuts everybody, sees them back; a few at a time, so that the generator keeps its schedule meanwhile."""
    seats = [seat for present in chat.present.values() for seat in present][:MOST]
    began, chat.storming = _now(), True
    for number, seat in enumerate(seats):
        seat.cut()
        gevent.spawn_later(random.random(), seat.come)  # noqa: S311 (as clients spread their return)
        if number % _AT_ONCE == _AT_ONCE - 1:
            gevent.sleep(0)
    text = f"reconnect storm: {len(seats)} sockets cut within {(_now() - began) / 1e6:.0f} ms"
    chat.engine.process.write(Note(NoteLevel.INFO, text))
    while (away := sum(not seat.here for seat in seats)) and not chat.engine.closing:
        if _now() > began + _BACK_WITHIN * 1e9:
            chat.note("rooms.storm", ERROR, began, "not everybody is back in time")
            text = f"{away} are not back {_BACK_WITHIN:g} s after the storm"
            chat.engine.process.write(Note(NoteLevel.WARNING, text))
            break
        gevent.sleep(0.05)
    chat.storming = False
    if not away:
        chat.note("rooms.storm", OK, began)
