"""The engine of one Locust process: made at Locust's `init`, it lives through Locust's events.

test_start -> spawning_complete (the warm-up begins) -> steady window -> test_stopping (drain: arrivals stop,
what is under way finishes or is cancelled and recorded) -> test_stop -> quitting (the journal closes).
"""

from __future__ import annotations

import gc
import ipaddress
import itertools
import ssl
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

import gevent
from gevent.lock import BoundedSemaphore
from locust.runners import WorkerRunner

from core.errors import ConfigError, PermitError
from core.events import Note, NoteLevel
from core.journal import Journal
from core.load_events import GeneratorHealth, LoadDrain, LoadSteady, SampleSlow
from core.permit import EVERYTHING, THIS_MACHINE, Action, Permit
from core.run import Run
from core.secret import Redactor
from core.target import Target
from loadengine.allowance import Allowance
from loadengine.identities import LoadIdentity
from loadengine.locust.dispatch import Dispatcher
from loadengine.measure.delta import Delta
from loadengine.measure.health import GeneratorMonitor
from loadengine.measure.in_flight import Outstanding
from loadengine.measure.measure import Measure
from loadengine.measure.recorder import SampleRecorder
from loadengine.measure.trace import Tracer
from loadengine.net.http1 import HttpClient, resolve
from loadengine.net.reactor import Reactor
from loadengine.net.tcp import Endpoint
from loadengine.priority import raise_priority
from loadengine.process import LoadProcess
from loadengine.settings import LoadSettings

T = TypeVar("T")
_now = time.monotonic_ns
SLOWEST_EVERY = 5_000_000_000
USAGE = 2
NO_RUN = (
    "this profile is about a platform, and no run names one; start it by `./assay load PROFILE`, which resolves the "
    "target, makes what the profile needs, and hands both to Locust."
)


class LoadEngine:
    """Everything that the users of one generating process share."""

    def __init__(self, process: LoadProcess, environment: Any, run: Run | None) -> None:
        self.environment = environment
        self._run = run
        self.permit = run.permit if run else Permit(EVERYTHING, THIS_MACHINE)
        """What may be contacted: a load that belongs to no run stays on this machine."""
        self.process = process
        self.settings = process.settings
        self.allowance = Allowance()
        self.reactor = Reactor(lambda error: self.user_error(None, error))
        self.tracer = Tracer(self.settings.run_id)
        self.recorder = SampleRecorder(environment.stats, process)
        self.dispatcher = Dispatcher(self)
        self.health = GeneratorMonitor(self, self.dispatcher)
        self.outstanding: list[Outstanding] = []
        """What was sent and has not arrived, by what it counts for."""
        self._once: dict[type, Any] = {}
        self._numbers: defaultdict[str, itertools.count[int]] = defaultdict(lambda: itertools.count(1))
        self._places: dict[str, BoundedSemaphore] = {}
        self.on_drained: list[Callable[[], None]] = []
        """Called once the load has drained, while samples still count: a profile's judgement of the whole."""
        self.closing = False
        """True once the load is over: nothing new is sent."""
        self._counted = 0
        self._last_slowest = 0
        self._endpoints: dict[Any, tuple[int, tuple[Any, ...]]] = {}
        self._addresses = itertools.count(2)
        self._persons = itertools.count()
        self._context: ssl.SSLContext | None = None
        raise_priority(self.settings.nice)
        process.on_tick += [self._sweep, self.recorder.settle, self.health.check, self._tell_slowest]
        process.before_flush.append(self.recorder.write)

    # -- what users need ---------------------------------------------------------------------------------

    @property
    def run(self) -> Run:
        """The run that this load belongs to. Raises ConfigError when it belongs to none."""
        if self._run is None:
            raise ConfigError(NO_RUN)
        return self._run

    @property
    def target(self) -> Target:
        """The platform under test. Raises ConfigError when this load belongs to no run."""
        return self.run.target

    def client(self, base_url: str, **options: Any) -> HttpClient:
        """An HTTP client of its own for one user."""
        return HttpClient(self, base_url, **options)

    def once(self, kind: type[T], make: Callable[[], T]) -> T:
        """This process's one `kind`, made when it is first asked for; closed as the load ends, if it can be."""
        if kind not in self._once:
            self._once[kind] = made = make()
            if close := getattr(made, "close", None):
                self.environment.events.quitting.add_listener(lambda **_: close())
        found: T = self._once[kind]
        return found

    def number(self, of: str) -> int:
        """This process's next number for what `of` names, from 1: no two things made with it are alike."""
        return next(self._numbers[of])

    def at_most(self, places: int, of: str) -> BoundedSemaphore:
        """What lets so many of this process's users at once do what `of` names."""
        if of not in self._places:
            self._places[of] = BoundedSemaphore(places)
        return self._places[of]

    def expecting(self, measure: Measure, *, within: float = 30.0) -> Outstanding:
        """Keeps account of messages that are to arrive somewhere; one for each measure will do."""
        found = next((o for o in self.outstanding if o.measure is measure), None)
        if found is None:
            found = Outstanding(self.recorder, measure, int(within * 1e9))
            self.outstanding.append(found)
        return found

    def endpoint(self, parts: SplitResult, source: str | None, tls: ssl.SSLContext | None) -> Endpoint:
        """Where to connect for an address; names are resolved once a process.

        Raises PermitError for what the target does not name, ConfigError for a name that does not resolve.
        """
        self.permit.contact(parts.geturl())
        if parts.scheme in ("ws", "wss"):
            self.permit.demand_method("GET", parts.geturl())
        host = parts.hostname or ""
        secure = parts.scheme in ("https", "wss")
        port = parts.port or (443 if secure else 80)
        found = self._endpoints.get((host, port))
        if found is None:
            found = self._endpoints[host, port] = resolve(host, port)
        if secure and tls is None:
            tls = self._context = self._context or ssl.create_default_context()
        return Endpoint(*found, host, tls if secure else None, source)

    def next_address(self, target: str = "") -> str | None:
        """Another loopback address to send from, None unless the target (else Locust's host) is on this host."""
        host = urlsplit(target or self.environment.host or "").hostname or ""
        if host != "localhost" and not (_is_address(host) and ipaddress.ip_address(host).is_loopback):
            return None
        number, of = self.worker_rank()
        serial = next(self._addresses) * of + number
        return f"127.{1 + serial // 62500 % 250}.{1 + serial // 250 % 250}.{1 + serial % 250}"

    @cached_property
    def people(self) -> list[LoadIdentity]:
        """The pool of signed-in identities that this load was handed."""
        return [LoadIdentity(**entry) for entry in self._run.load.people] if self._run else []

    def next_person(self) -> LoadIdentity:
        """The next identity of the pool; workers begin at different ones."""
        people = self.people
        if not people:
            raise ConfigError(
                "this profile needs signed-in people, and was handed none; it names them in NEEDS."
            )
        number, of = self.worker_rank()
        return people[(next(self._persons) * of + number) % len(people)]

    def worker_rank(self) -> tuple[int, int]:
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

    # -- Locust's events ---------------------------------------------------------------------------------

    def test_start(self) -> None:
        """A test begins (again)."""
        self.closing = False
        self._counted = 0
        self.recorder.restart()
        self.dispatcher.restart()
        self.health.restart()

    def spawned(self) -> None:
        """All users exist: the warm-up begins, and garbage collection gets out of the way.

        A full collection over the objects of a thousand users pauses the generator for 50 ms, more than all
        its other tails together.
        """
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 50, 1000)  # a collection of so many young objects takes 2 ms
        if self.recorder.steady_from > _now() + 1e18:
            self.recorder.steady_from = _now() + int(self.settings.warm_up * 1e9)
            self.process.write(
                LoadSteady(self.settings.profile, self.recorder.steady_from, self.tracer.prefix)
            )

    def finish(self) -> None:
        """Stops sending, lets what is under way end, and records what does not."""
        if self.closing:
            return
        self.closing = True
        self.recorder.steady_to = _now()
        self.process.write(LoadDrain(self.settings.profile, self.recorder.steady_to))
        self.dispatcher.stop()
        deadline = _now() + int(self.settings.drain * 1e9)
        while self.under_way() and _now() < deadline:
            gevent.sleep(0.01)
        self.reactor.hub.loop.run_callback(self.dispatcher.cancel)
        gevent.sleep(0.01)
        for waiting in self.outstanding:
            waiting.give_up()
        for judge in self.on_drained:
            try:
                judge()
            except Exception as error:
                self.user_error(None, error)
        self.recorder.flush(whole=True)
        if silent := self.recorder.unmeasured():
            text = f"nothing was measured of {', '.join(silent)}, which the profile declares"
            self.process.write(Note(NoteLevel.WARNING, text))
        self._tell_slowest()  # a worker may be gone before the next beat

    def take(self) -> tuple[list[Delta], GeneratorHealth | None]:
        """What was measured since the last call, in a running load as far as it is digested; and how we do."""
        deltas = self.recorder.take(everything=self.closing)
        self._counted += sum(int(delta.counts.sum()) for delta in deltas)
        return deltas, self.health.latest

    @property
    def counted(self) -> int:
        """Samples that `take` has given away in this test."""
        return self._counted

    def under_way(self) -> int:
        """Exchanges that have not ended, and messages that have not arrived."""
        deadlines = self.reactor.deadlines
        exchanges = len(deadlines) - deadlines.count(0)
        return exchanges + sum(map(len, self.outstanding))

    def _sweep(self) -> None:
        self.reactor.hub.loop.run_callback(self.reactor.sweep)
        for waiting in self.outstanding:
            waiting.sweep()

    def _tell_slowest(self) -> None:
        now = _now()
        if now - self._last_slowest < SLOWEST_EVERY and not self.closing:
            return
        self._last_slowest = now
        for slow in self.tracer.take():
            series = self.recorder.series[slow.series]
            trace = self.tracer.trace_id(slow.number)
            ms = round(slow.duration / 1e6, 3)
            self.process.write(SampleSlow(series.metric, series.labels, trace, ms, slow.intended))


def engine_of(environment: Any) -> LoadEngine:
    """The engine of this Locust environment, made on first use."""
    found: LoadEngine | None = getattr(environment, "assay", None)
    if found is None:
        process, run = begin(
            environment, "worker" if isinstance(environment.runner, WorkerRunner) else "load"
        )
        found = environment.assay = LoadEngine(process, environment, run)
    return found


def begin(environment: Any, role: str) -> tuple[LoadProcess, Run | None]:
    """This Locust process's evidence and its part in the run, if there is one; whoever started it, here it begins.

    Ends the process with one sentence, before anything was sent, when the settings are wrong, the target does not
    permit load, or a profile of the platform belongs to no run.
    """
    try:
        run = Run.join(role, background=False) if Run.announced() else None
        if run:
            run.permit.demand(Action.LOAD, f"the load '{run.load.profile}'")
        elif any(getattr(kind, "needs_run", False) for kind in environment.user_classes):
            raise ConfigError(NO_RUN)
        settings = LoadSettings.of(environment.parsed_options, run.load.settings if run else None)
    except (ConfigError, PermitError) as error:
        print(f"assay load: {error}", file=sys.stderr, flush=True)
        sys.exit(USAGE)
    if run:
        own = {"run_dir": run.directory, "run_id": run.id, "profile": run.load.profile}
        settings = settings.model_copy(update=own)
        return LoadProcess(settings, role, run.journal), run
    alone = Journal(settings.run_dir, role, Redactor(), background=False) if settings.run_dir else None
    return LoadProcess(settings, role, alone), None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
