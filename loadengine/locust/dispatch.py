"""The open model: arrivals happen when the schedule says, whether or not the server keeps up.

A user class has one stream of arrivals whose rate is the sum of its users' rates; users take them in turn.
Each arrival runs in a lane, a light greenlet that is kept for the next one, and opens a connection if none
is free. Intended times never move: what cannot be sent in time is sent late, and shows as lag.
"""

from __future__ import annotations

import random
import resource
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from greenlet import GreenletExit, greenlet
from locust.exception import StopTest, StopUser

from loadengine.context import LoadContext
from loadengine.locust.arrivals import Replay, Schedule
from loadengine.measure.recorder import CANCELLED, DROPPED
from loadengine.net.reactor import Pacer

_now = time.monotonic_ns
_COALESCE = 50_000  # ns: alarms closer than this are one alarm
_AT_ONCE = 32
"""Arrivals started before answers get their turn: after a pause of this process, starting all that is due
would open a connection for each while answers that free one lie unread, and never catch up."""
_BACKLOG = 100_000  # arrivals that may wait for a lane; beyond, they are dropped and counted


class ArrivingUser(Protocol):
    """A user who has arrivals."""

    rate: float
    """Arrivals per second."""

    def arrivals(self) -> Schedule:
        """When they are meant to happen."""

    def choose(self) -> Callable[[Any], Any]:
        """What the next one does."""


class ArrivalCancelled(GreenletExit):  # type: ignore[misc]
    """Thrown into a lane that is still busy when the time to finish is over."""


class TaskGreenlet(greenlet):  # type: ignore[misc]
    """Runs one arrival after another; `intended` is the schedule's time until the first request takes it."""

    intended: int
    user: ArrivingUser | None
    work: Callable[[Any], Any]


class ArrivalStream:
    """The arrivals of one user class."""

    def __init__(self, engine: LoadContext, schedule: Schedule, per_user: float) -> None:
        self.users: list[ArrivingUser] = []
        self.next_at = 0
        self._engine = engine
        self._schedule = schedule
        self._per_user = per_user
        self._replayed = isinstance(schedule, Replay)
        self._origin, self._elapsed, self._turn = 0, 0.0, 0
        self._rate = 0.0

    def join(self, user: ArrivingUser) -> None:
        """One more user: the rate rises."""
        self.users.append(user)
        self._retime()

    def leave(self, user: ArrivingUser) -> None:
        """One user fewer."""
        self.users.remove(user)
        self._retime()

    def take(self) -> ArrivingUser:
        """Whose turn the due arrival is; moves `next_at` on."""
        self._turn = (self._turn + 1) % len(self.users)
        self._advance()
        return self.users[self._turn]

    def _advance(self) -> None:
        gap = self._schedule.gap()
        if gap is None:
            self.next_at = 0  # the recording is over
            return
        self._elapsed += gap * 1e9 if self._replayed else gap * 1e9 / self._rate
        self.next_at = self._origin + int(self._elapsed)

    def _retime(self) -> None:
        """Keeps the process a single one while its rate changes: the time still to wait is scaled."""
        share = self._engine.settings.rate
        rate = len(self.users) * self._per_user
        if share:
            rate = share * len(self.users) / max(self._engine.all_users(), len(self.users))
        old, self._rate = self._rate, rate
        if self._replayed:
            if not old and rate:
                self._origin, self._elapsed = _now(), 0.0
                self._advance()
            return
        if not rate:
            self.next_at = 0
            return
        now = _now()
        wait = random.random() * 1e9 / rate  # noqa: S311 (so that workers do not march in step)
        if old and self.next_at:
            wait = (self.next_at - now) * old / rate
        self._origin, self._elapsed = now + int(wait), 0.0
        self.next_at = self._origin


class Dispatcher:
    """One per process: wakes at the next intended time and starts what is due."""

    def __init__(self, engine: LoadContext) -> None:
        self._engine = engine
        self._streams: dict[type, ArrivalStream] = {}
        self._pacer = Pacer(engine.reactor, self._due)
        self._idle: list[TaskGreenlet] = []
        self.busy: set[TaskGreenlet] = set()
        self.backlog: deque[tuple[int, ArrivingUser, Callable[[Any], Any]]] = deque()
        self.limit = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0] * 4 // 5, 25_000)
        """Arrivals under way at once: files are limited, and so are the ports towards one address."""
        self.arrived = 0
        self.dropped = 0

    def join(self, user: ArrivingUser) -> None:
        """A user begins to have arrivals."""
        kind = type(user)
        stream = self._streams.get(kind)
        if stream is None:
            schedule = user.arrivals()
            if isinstance(schedule, Replay):
                schedule.share(*self._engine.worker_rank())
            stream = self._streams[kind] = ArrivalStream(self._engine, schedule, user.rate)
        stream.join(user)
        self._arm()

    def leave(self, user: ArrivingUser) -> None:
        """A user has no arrivals any more; those under way finish."""
        self._streams[type(user)].leave(user)

    def stop(self) -> None:
        """No arrival from here on; those that still wait for a lane are recorded as cancelled."""
        for stream in self._streams.values():
            stream.next_at = 0
        while self.backlog:
            self._drop(*self.backlog.popleft()[:2])

    def restart(self) -> None:
        """Forgets streams and counts of a test that is over."""
        self._streams.clear()
        self.arrived = self.dropped = 0

    def cancel(self) -> None:
        """Ends what is under way; to be called in the hub."""
        for runner in list(self.busy):
            runner.throw(ArrivalCancelled)

    # -- in the hub --------------------------------------------------------------------------------------

    def _due(self) -> None:
        if self._engine.closing:
            return
        now, left = _now(), _AT_ONCE
        for stream in self._streams.values():
            while 0 < stream.next_at <= now and stream.users and left:
                left -= 1
                intended = stream.next_at
                user = stream.take()
                self._launch(intended, user, user.choose())
        self._arm()

    def _arm(self) -> None:
        times = [stream.next_at for stream in self._streams.values() if stream.next_at]
        if times and not self._engine.closing:
            due, now = min(times), _now()
            self._pacer.arm(due if due <= now else max(due, now + _COALESCE))

    def _launch(self, intended: int, user: ArrivingUser, work: Callable[[Any], Any]) -> None:
        self.arrived += 1
        if self._idle:
            runner = self._idle.pop()
        elif len(self.busy) < self.limit:
            runner = TaskGreenlet(self._run_tasks, self._engine.reactor.hub)
        elif len(self.backlog) < _BACKLOG:
            self.backlog.append((intended, user, work))
            return
        else:
            self._drop(intended, user)
            return
        runner.intended, runner.user, runner.work = intended, user, work
        self.busy.add(runner)
        runner.switch(runner)

    def _drop(self, intended: int, user: ArrivingUser) -> None:
        self.dropped += 1
        now = _now()
        series = self._engine.recorder.new_series("arrival", name=type(user).__name__)
        self._engine.recorder.record(series.number, CANCELLED, DROPPED, intended, now, now)

    # -- in a lane ---------------------------------------------------------------------------------------

    def _run_tasks(self, runner: TaskGreenlet) -> None:
        wait = self._engine.reactor.wait
        while True:
            user = runner.user
            try:
                runner.work(user)
            except (StopUser, StopTest):
                pass
            except GreenletExit:
                self.busy.discard(runner)
                return
            except Exception as error:
                self._engine.user_error(user, error)
            if self.backlog:
                runner.intended, runner.user, runner.work = self.backlog.popleft()
                continue
            runner.user = None
            self.busy.discard(runner)
            self._idle.append(runner)
            wait()
