"""Reconnect storms: all sockets are cut at once, as when a network fails, and everybody returns within a second."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import gevent

from core.events import Note, NoteLevel
from loadengine.measure.recorder import ERROR, OK
from loadprofiles.setup.variables import LoadVariables

if TYPE_CHECKING:
    from loadprofiles.users.room_monitor import RoomMonitor

MOST = 1000
"""Sockets cut at once."""
_BACK_WITHIN = 30.0
_AT_ONCE = 20
_now = time.monotonic_ns


def expect(monitor: RoomMonitor) -> None:
    """Storms from the steady window on, each ASSAY_ROOMS_STORM seconds; 0 for never.

    Who comes back sends again what nobody acknowledged; where a platform takes that for a second message there are none.
    """
    if not monitor.wire.rooms.duplicates:
        return
    every = LoadVariables.of(monitor.engine.run.load.variables).rooms_storm
    if every > 0 and not monitor.storms:
        monitor.storms = True
        gevent.spawn(_blow, monitor, every)


def _blow(monitor: RoomMonitor, every: float) -> None:
    engine = monitor.engine
    last = 0
    while not engine.closing:
        if _now() >= max(last, engine.recorder.steady_from) + every * 1e9:
            last = _now()
            _once(monitor)
        gevent.sleep(0.1)


def _once(monitor: RoomMonitor) -> None:
    """Cuts everybody, sees them back; a few at a time, so that the generator keeps its schedule meanwhile."""
    members = [member for present in monitor.present.values() for member in present][:MOST]
    began, monitor.storming = _now(), True
    for number, member in enumerate(members):
        member.cut()
        gevent.spawn_later(random.random(), member.come)  # noqa: S311 (as clients spread their return)
        if number % _AT_ONCE == _AT_ONCE - 1:
            gevent.sleep(0)
    text = f"reconnect storm: {len(members)} sockets cut within {(_now() - began) / 1e6:.0f} ms"
    monitor.engine.process.write(Note(NoteLevel.INFO, text))
    while (away := sum(not member.here for member in members)) and not monitor.engine.closing:
        if _now() > began + _BACK_WITHIN * 1e9:
            monitor.note("rooms.storm", ERROR, began, "not everybody is back in time")
            text = f"{away} are not back {_BACK_WITHIN:g} s after the storm"
            monitor.engine.process.write(Note(NoteLevel.WARNING, text))
            break
        gevent.sleep(0.05)
    monitor.storming = False
    if not away:
        monitor.note("rooms.storm", OK, began)
