"""The watch itself: a round of probes each so many seconds, then incidents, alerts, the status page and the heartbeat."""

from __future__ import annotations

import datetime as dt
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.journal import Journal
from core.otlp import collector, send_metrics
from core.project import find_project
from core.secret import Redactor
from core.user_settings import setting, settings
from reports.judging.mutes import load_mutes
from reports.judging.overrides import Sources
from reports.senders import post
from runner.session import RunRequest, hold_target
from runner.watch.burn import WINDOWS, Window, burning, recovered
from runner.watch.clock import SteadyClock
from runner.watch.metrics import Metrics
from runner.watch.probing import SETTLED, Round
from runner.watch.status import write_status
from runner.watch.store import Incident, Store

LONGEST = max(window.long for window in WINDOWS)


@dataclass(frozen=True)
class WatchRequest:
    """What the user asked for. `every` and `lasting` are seconds; 0 lasts until it is ended."""

    target: str
    target_file: Path
    state: Path
    every: float = 30.0
    lasting: float = 0.0
    objective: float = 0.999
    settled: int = SETTLED
    """So many good probes in a row end an incident."""
    mutes: Path | None = None
    """`alerts.toml`; without it the project's own."""
    windows: Sequence[Window] = WINDOWS


class Watch:
    """One target's rounds; everything that it knows is in its store, so that a killed watch goes on where it was."""

    def __init__(
        self, request: WatchRequest, store: Store, clock: SteadyClock, say: Callable[[str], None]
    ) -> None:
        self._request, self._store, self._clock, self._say = request, store, clock, say

    def judge(self, now: float) -> None:
        """Opens and ends incidents by what was probed, and tells of each once."""
        standing = {incident.name: incident for incident in self._store.incidents(open_only=True)}
        for name in self._store.names():
            outcomes = self._store.outcomes(name, now - LONGEST)
            last = self._store.last(name)
            if name in standing:
                if recovered(outcomes, standing[name].opened, self._request.settled):
                    self._store.end(standing[name], now)
            elif last and not last.well:
                window = burning(outcomes, now, self._request.objective, self._request.windows)
                if window:
                    self._store.open(name, now, last.words)
        for incident in reversed(self._store.incidents()):
            if not incident.announced_opening and self._tell(incident, ended=False):
                self._store.stated(incident, ended=False)
            if incident.ended is not None and not incident.announced_end and self._tell(incident, ended=True):
                self._store.stated(incident, ended=True)

    def _tell(self, incident: Incident, *, ended: bool) -> bool:
        """Says it on the terminal and to the webhook; whether it was told, or is muted, so that it is not said again."""
        word = "recovered" if ended else "opened"
        text = f"{incident.name} {'answers again' if ended else 'does not answer: ' + incident.words}"
        if any(
            mute.covers(incident.name, dt.datetime.now(dt.UTC).date())
            for mute in load_mutes(self._request.mutes or Sources(find_project().own).alerts)
        ):
            self._say(f"muted: {text}")
            return True
        self._say(text)
        body = {"text": f"*{word}* {text}", "assay": {"event": word, "key": incident.name, "opened": incident.opened,
                "ended": incident.ended, "target": self._request.target}}  # fmt: skip
        address = settings("ASSAY_WEBHOOK").get("ASSAY_WEBHOOK")
        try:
            if address:
                post(address, body)
        except RuntimeError as error:
            self._say(f"the webhook did not take it ({error}); it is told again at the next round")
            return False
        return True

    def export(self, now: float) -> None:
        """Sends the metrics to the OpenTelemetry collector, where one is named."""
        address = collector()
        if not address:
            return
        metrics = Metrics(self._store, now, self._request.objective)
        try:
            send_metrics(metrics.collect(), address, {"assay.target": self._request.target})
        except RuntimeError as error:
            self._say(f"the metrics were not taken ({error})")

    def heartbeat(self) -> None:
        """Tells a monitor that the watch lives."""
        address = setting("ASSAY_HEARTBEAT_URL")
        if not address:
            return
        try:
            post(address.replace("{exit}", "0"), {"watch": self._request.target})
        except RuntimeError as error:
            self._say(f"the heartbeat was not taken ({error})")


def watch_target(request: WatchRequest, say: Callable[[str], None]) -> int:
    """Watches until it is ended or its time is over; returns the exit code 0. Raises ConfigError."""
    load_mutes(request.mutes or Sources(find_project().own).alerts)  # what is wrong there is said now
    store = Store(request.state)
    ended = threading.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: ended.set())
    journal = Journal(request.state / "journal", "watch", Redactor())
    try:
        with hold_target(RunRequest(target=request.target, target_file=request.target_file), journal) as (
            run,
            _,
        ):
            clock = SteadyClock(store.newest())
            asked = Round(run, run.redactor.text)
            watching = Watch(request, store, clock, say)
            begun = time.monotonic()
            while True:
                now = clock.now()
                probed = asked.ask(now)
                store.add(probed)
                watching.judge(clock.now())
                write_status(store, request.state, run.target, clock.now(), request.objective)
                watching.export(clock.now())
                watching.heartbeat()
                bad = [probe.name for probe in probed if not probe.well]
                say(
                    f"{len(probed) - len(bad)} of {len(probed)} answer"
                    + (f"; not {', '.join(bad)}" if bad else "")
                )
                passed = time.monotonic() - begun
                pause = request.every - passed % request.every  # a round that took too long leaves rounds out
                if request.lasting and passed + pause > request.lasting:
                    break
                if ended.wait(pause):
                    break
            asked.close()
    finally:
        journal.close()
        store.close()
    return 0
