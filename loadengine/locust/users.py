"""The user classes that profiles subclass: open model, closed model, both on the lean client.

They are Locust users: `@task`, weights, `on_start`, `on_stop`, `-u`, shapes, `--processes`, workers and the
web UI work as ever. Locust's `HttpUser` and `FastHttpUser` may stand beside them in one profile.
"""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Callable
from functools import cached_property
from typing import Any

import gevent
from gevent.event import Event
from greenlet import GreenletExit, getcurrent
from locust import User
from locust.exception import InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopTest, StopUser
from locust.user.task import LOCUST_STATE_RUNNING, LOCUST_STATE_STOPPING, LOCUST_STATE_WAITING, DefaultTaskSet

from loadengine.identities import LoadIdentity
from loadengine.lean_port import LeanPort
from loadengine.locust.arrivals import Schedule, Uniform
from loadengine.measure.measure import Measure
from loadengine.measure.recorder import CLOSED
from loadengine.net.http1 import Expect, HttpClient
from loadengine.runtime import LoadEngine, engine_of

_now = time.monotonic_ns
_WILL = (StopUser, StopTest, GreenletExit)


class LeanUser(User):
    """What both models share: the engine, and an HTTP client to `host`."""

    abstract = True
    own_address = False
    """Give each user a loopback address of its own to send from, so that a server can count them apart."""
    timeout = 30.0
    """Seconds until a request counts as unanswered."""
    _flags = 0

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.engine: LoadEngine = engine_of(environment)

        self._clients: dict[str, HttpClient] = {}

    @cached_property
    def http(self) -> HttpClient:
        """This user's connections to `host`."""
        return self.client(self.host or "")

    def client(self, origin: str) -> HttpClient:
        """This user's connections to an origin, e.g. `http://127.0.0.1:8000`."""
        found = self._clients.get(origin)
        if found is None:
            found = self._clients[origin] = self.engine.client(
                origin, source=self.address, timeout=self.timeout, flags=self._flags
            )
        return found

    def port(self, measure: Measure | None = None, expect: Expect | None = None) -> LeanPort:
        """The narrow port for journeys; make one for each kind of operation, in `on_start`."""
        return LeanPort(self, measure, expect)

    @cached_property
    def address(self) -> str | None:
        """The local address that this user sends from, None for any."""
        return self.engine.next_address(self.host or "") if self.own_address else None

    @cached_property
    def person(self) -> LoadIdentity:
        """Who this user is: one of the pool, in turn. Raises ConfigError when there is no pool."""
        return self.engine.next_person()

    def choose(self) -> Callable[[Any], Any]:
        """One of the class's tasks, by weight."""
        tasks = self.tasks
        return tasks[0] if len(tasks) == 1 else random.choice(tasks)  # type: ignore[return-value]  # noqa: S311

    def start(self, group: Any) -> Any:
        """Starts the user's greenlet in Locust's group, with this engine's life in it."""
        self._group = group
        self._greenlet = group.spawn(_live, self)
        return self._greenlet

    def live(self) -> None:
        """What the user does after `on_start`, until it is stopped."""
        raise NotImplementedError


class OpenUser(LeanUser):
    """A slot of arrivals: each runs one task at its scheduled time, even if the one before still runs.

    So a task may be running several times at once for one user: keep per-arrival state out of `self`.
    """

    abstract = True
    model = "open"
    rate = 1.0
    """Arrivals per second of each user; `--assay-rate` sets the total instead."""
    arrivals: Callable[[], Schedule] = Uniform
    """The schedule of the class: `Uniform`, `Poisson`, or `staticmethod(lambda: Replay(path))`."""

    @staticmethod
    def intended() -> int:
        """When the running arrival was meant to happen (monotonic ns); for what is not an HTTP request."""
        runner: Any = getcurrent()
        return int(getattr(runner, "intended", 0)) or _now()

    def live(self) -> None:
        """Lends itself to the dispatcher."""
        self._state = LOCUST_STATE_WAITING
        self.engine.dispatcher.join(self)
        try:
            Event().wait()
        finally:
            self.engine.dispatcher.leave(self)


class ClosedUser(LeanUser):
    """A person who waits for each answer, then thinks (`wait_time`) or keeps a pace.

    With `pace`, iterations are meant to start every so many seconds and a late one keeps its intended time,
    so that the wait behind a slow answer is part of the response time. With think time alone the sample
    starts when the person acts, and a stall hides what would have met it: such samples carry a flag, and
    `load.finished` shows them corrected and not.
    """

    abstract = True
    model = "closed"
    pace: float | None = None
    """Seconds from the start of one iteration to that of the next, if there is a pace."""
    _flags = CLOSED

    def live(self) -> None:
        """One iteration after another."""
        runner: Any = getcurrent()
        engine, tracer = self.engine, self.engine.tracer
        planned = 0
        if self.pace:
            planned = _now() + int(random.random() * self.pace * 1e9)  # noqa: S311 (people are not in step)
        while not engine.closing and self._state != LOCUST_STATE_STOPPING:
            if planned:
                self._pause((planned - _now()) / 1e9)
                runner.intended = planned
                planned += int((self.pace or 0) * 1e9)
            before = tracer.number
            work = self.choose()
            try:
                if isinstance(work, type):
                    work(self).run()  # a TaskSet
                else:
                    work(self)
            except (RescheduleTask, RescheduleTaskImmediately, InterruptTaskSet):
                pass
            except _WILL:
                raise
            except Exception as error:
                engine.user_error(self, error)
            runner.intended = 0
            pause = 0.0 if planned else self.wait_time()
            if pause > 0 or tracer.number == before:
                self._pause(pause)
        raise StopUser

    def _pause(self, seconds: float) -> None:
        if self._state == LOCUST_STATE_STOPPING:
            raise StopUser
        self._state = LOCUST_STATE_WAITING
        gevent.sleep(max(seconds, 0.0))
        self._state = LOCUST_STATE_RUNNING


def _live(user: LeanUser) -> None:
    """As Locust's own `User.run`, with `live` in place of its task loop."""
    user._state = LOCUST_STATE_RUNNING
    user._taskset_instance = DefaultTaskSet(user)
    try:
        try:
            user.on_start()
        except _WILL:
            raise
        except Exception as error:
            traceback.print_exception(error)
            user.environment.events.user_error.fire(
                user_instance=user, exception=error, tb=error.__traceback__
            )
            raise
        user.live()
    except _WILL:
        user.on_stop()  # type: ignore[no-untyped-call]
