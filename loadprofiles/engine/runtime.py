"""The engine of one Locust process: made at Locust's `init`, it lives through Locust's events.

test_start -> spawning_complete (the warm-up begins) -> steady window -> test_stopping (drain: arrivals stop,
what is under way finishes or is cancelled and recorded) -> test_stop -> quitting (the journal closes).
"""

from __future__ import annotations

import gc
import ipaddress
import itertools
import os
import ssl
import sys
import time
import traceback
from typing import Any
from urllib.parse import SplitResult, urlsplit

import gevent
from locust import events
from locust.runners import MasterRunner, WorkerRunner

from core.errors import ConfigError, JournalError
from core.journal import Journal
from loadprofiles.engine.connection import Endpoint
from loadprofiles.engine.dispatch import Dispatcher
from loadprofiles.engine.http import HttpClient, resolve
from loadprofiles.engine.reactor import Reactor
from loadprofiles.engine.recorder import Recorder
from loadprofiles.engine.settings import Settings, add_options
from loadprofiles.engine.table import show_unrounded
from loadprofiles.engine.trace import Tracer

_now = time.monotonic_ns
TICK = 0.25
"""Seconds between digests of what was recorded."""


class Engine:
    """Everything that the users of one process share."""

    def __init__(self, environment: Any) -> None:
        self.environment = environment
        try:
            self.settings = Settings.from_environment(environment.parsed_options)
        except ConfigError as error:
            sys.exit(f"assay load: {error}")
        role = "worker" if isinstance(environment.runner, WorkerRunner) else "load"
        self.journal = (
            Journal(self.settings.run_dir, role, background=False) if self.settings.run_dir else None
        )
        self.reactor = Reactor()
        self.tracer = Tracer(self.settings.run_id)
        self.recorder = Recorder(environment.stats, self.journal)
        self.dispatcher = Dispatcher(self)
        self.closing = False
        """True once the load is over: nothing new is sent."""
        self.ticking = [self.recorder.flush]
        """Called every TICK seconds, in order."""
        self._endpoints: dict[Any, tuple[int, tuple[Any, ...]]] = {}
        self._addresses = itertools.count(2)
        self._context: ssl.SSLContext | None = None
        self._ticker = gevent.spawn(self._tick)

    # -- what users need ---------------------------------------------------------------------------------

    def client(self, base_url: str, **options: Any) -> HttpClient:
        """An HTTP client of its own for one user."""
        return HttpClient(self, base_url, **options)

    def endpoint(self, parts: SplitResult, source: str | None, tls: ssl.SSLContext | None) -> Endpoint:
        """Where to connect for an address; names are resolved once a process. Raises ConfigError."""
        host = parts.hostname or ""
        secure = parts.scheme in ("https", "wss")
        port = parts.port or (443 if secure else 80)
        found = self._endpoints.get((host, port))
        if found is None:
            found = self._endpoints[host, port] = resolve(host, port)
        if secure and tls is None:
            tls = self._context = self._context or ssl.create_default_context()
        return Endpoint(*found, host, tls if secure else None, source)

    def next_address(self) -> str | None:
        """Another loopback address to send from, None unless the target is on this host."""
        host = urlsplit(self.environment.host or "").hostname or ""
        if host != "localhost" and not (_is_address(host) and ipaddress.ip_address(host).is_loopback):
            return None
        number, of = self.place()
        serial = next(self._addresses) * of + number
        return f"127.{1 + serial // 62500 % 250}.{1 + serial // 250 % 250}.{1 + serial % 250}"

    def place(self) -> tuple[int, int]:
        """This process's number among the generating ones, and how many those are."""
        runner = self.environment.runner
        options = self.environment.parsed_options
        of = (
            max(int(getattr(options, "expect_workers", 1) or 1), 1) if isinstance(runner, WorkerRunner) else 1
        )
        return max(getattr(runner, "worker_index", 0), 0) % of, of

    def all_users(self) -> int:
        """How many users the whole load is meant to have."""
        runner = self.environment.runner
        options = self.environment.parsed_options
        return int(getattr(options, "num_users", 0) or 0) or int(runner.target_user_count or 0)

    def user_error(self, user: Any, error: BaseException) -> None:
        """A task raised: a fault of the profile, not of the server; shown by Locust."""
        try:
            self.environment.events.user_error.fire(
                user_instance=user, exception=error, tb=error.__traceback__
            )
        except Exception:
            traceback.print_exc()

    def event(self, type: str, **fields: Any) -> None:
        """Writes an event to the journal, if there is one and the disk takes it."""
        if self.journal is None or self.recorder.broken:
            return
        try:
            self.journal.event(type, **fields)
        except JournalError as error:
            self.recorder.broken = str(error)

    # -- Locust's events ---------------------------------------------------------------------------------

    def test_start(self) -> None:
        """A test begins (again)."""
        self.closing = False
        self.recorder.restart()
        self.dispatcher.restart()
        self.event(
            "load.started",
            profile=self.settings.profile, users=self.all_users(), run_id=self.settings.run_id,
            rate=self.settings.rate, host=self.environment.host, region=self.settings.region, pid=os.getpid(),
            trace_prefix=self.tracer.prefix, warm_up=self.settings.warm_up,
        )  # fmt: skip

    def spawned(self) -> None:
        """All users exist: the warm-up begins, and garbage collection gets out of the way.

        A full collection over the objects of a thousand users pauses the generator for 50 ms, more than all
        its other tails together.
        """
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000, 50, 1000)
        if self.recorder.steady_from > _now() + 1e18:
            self.recorder.steady_from = _now() + int(self.settings.warm_up * 1e9)
            self.event("load.steady", steady_from=self.recorder.steady_from)

    def finish(self) -> None:
        """Stops sending, lets what is under way end, and records what does not."""
        if self.closing:
            return
        self.closing = True
        self.recorder.steady_to = _now()
        self.dispatcher.stop()
        deadline = _now() + int(self.settings.drain * 1e9)
        while self.under_way() and _now() < deadline:
            gevent.sleep(0.01)
        self.reactor.hub.loop.run_callback(self.dispatcher.cancel)
        gevent.sleep(0.01)
        self.recorder.flush()

    def finished(self) -> None:
        """The test is over: what it counted goes to the journal."""
        self.recorder.flush()
        self.event("load.finished", **self.summary())
        self.flush_journal()

    def under_way(self) -> int:
        """Exchanges that have not ended."""
        return sum(1 for deadline in self.reactor.deadlines if deadline)

    def summary(self) -> dict[str, Any]:
        """Counts and steady percentiles of this process, for `load.finished`."""
        series = [s for s in dict.fromkeys(self.recorder.series) if s.counts.any()]
        return {
            "steady_from": self.recorder.steady_from,
            "steady_to": self.recorder.steady_to,
            "arrived": self.dispatcher.arrived,
            "dropped": self.dispatcher.dropped,
            "broken": self.recorder.broken,
            "series": [s.summary() for s in series],
        }

    def quit(self) -> None:
        """The process ends."""
        self._ticker.kill(block=False)
        self.recorder.flush()
        if self.journal is not None:
            self.journal.close()

    def flush_journal(self) -> None:
        """Hands the journal to the kernel."""
        if self.journal is None or self.recorder.broken:
            return
        try:
            self.journal.flush()
        except JournalError as error:
            self.recorder.broken = str(error)

    def _tick(self) -> None:
        while True:
            gevent.sleep(TICK)
            self.reactor.hub.loop.run_callback(self.reactor.sweep)
            for step in self.ticking:
                try:
                    step()
                except Exception:
                    traceback.print_exc()
            self.flush_journal()


def engine_of(environment: Any) -> Engine:
    """The engine of this Locust environment, made on first use."""
    found: Engine | None = getattr(environment, "assay", None)
    if found is None:
        found = environment.assay = Engine(environment)
    return found


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _options(parser: Any, **_: Any) -> None:
    add_options(parser)


@events.init.add_listener  # type: ignore[untyped-decorator]
def _init(environment: Any, **_: Any) -> None:
    show_unrounded()
    engine = engine_of(environment)
    generates = not isinstance(environment.runner, MasterRunner)
    listen = environment.events
    if generates:
        listen.test_start.add_listener(lambda **_: engine.test_start())
        listen.spawning_complete.add_listener(lambda **_: engine.spawned())
        listen.test_stopping.add_listener(lambda **_: engine.finish())
        listen.test_stop.add_listener(lambda **_: engine.finished())
    listen.quitting.add_listener(lambda **_: engine.quit())
