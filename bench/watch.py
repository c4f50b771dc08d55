"""Ten minutes of `assay watch` beside outages that are known to the second, with the watch itself killed in one of them.

    python -m bench.watch [--every 5] [--keep FOLDER]

Components of an embedded target are stopped, killed and frozen, and restored; a receiver stands for the webhook and for the
heartbeat's monitor. At the end each probe's failures are held against the truth: how many of its rounds began while its
component was away. One probe more or fewer an outage is right, no failure may stand elsewhere, every outage must have been
told once when it began and once when it ended, and the rounds must go on after the kill. Prints a table; exits 1 where it is
not so.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

from clients.control import call, components
from clients.embedded import attach
from clients.services import catalogue
from core.run import ROOT
from core.target import Target

LASTING = 600.0


@dataclass(frozen=True)
class Planned:
    """An outage: seconds after the beginning, and how it is done."""

    component: str
    how: str
    begins: float
    ends: float


OUTAGES = (
    Planned("vendors", "stop", 60, 100),
    Planned("sentry", "kill", 140, 180),
    Planned("supabase", "pause", 220, 300),
    Planned("platform", "stop", 360, 400),
    Planned("vendors", "kill", 460, 500),
)
KILLED, STARTED = 250.0, 256.0
"""When the watch is killed, in the midst of an outage, and when it is started again."""


def concerned(probe: str) -> set[str]:
    """The components without which a probe cannot go well."""
    service = probe.partition(":")[0]
    if probe == "supabase.database: SQL witness":
        return {"postgres"}
    if service.startswith("supabase."):
        return {"supabase"}
    if service in ("builder", "datadog", "ga4", "mixpanel"):
        return {"vendors"}
    if service == "sentry":
        return {"sentry"}
    return {"platform", "supabase"} if probe == "platform: health" else {"platform"}


class Driver:
    """Does the outages of one target; `away` is when each was really away, in Unix seconds."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.away: list[tuple[str, float, float]] = []

    def pid(self, component: str) -> int:
        """Its process."""
        return next(int(c["pid"]) for c in components(self._target) if c["name"] == component)

    def run(self, begun: float, at: Callable[[float], None]) -> None:
        """All of them, each at its time."""
        for one in OUTAGES:
            at(begun + one.begins)
            if one.how == "pause":
                frozen = self.pid(one.component)
                os.kill(frozen, signal.SIGSTOP)
            else:
                call(self._target, "POST", f"/components/{one.component}/{one.how}")
            since = time.time()
            at(begun + one.ends)
            if one.how == "pause":
                os.kill(frozen, signal.SIGCONT)
            else:
                call(self._target, "POST", f"/components/{one.component}/start", wait=150)
            self.away.append((one.component, since, time.time()))


class Watched:
    """`assay watch` as a process of its own, that can be killed and started again; the target is a live one to it."""

    def __init__(self, keep: Path, folder: Path, variables: dict[str, str], hub: str, every: float) -> None:
        project = folder / "assay"
        project.mkdir()
        (project / "target.toml").write_text('extends = "reference"\n')
        self._command = [sys.executable, "cli.py", "--project", str(project), "watch", "--target", "live"]
        self._command += ["--every", f"{every:g}s", "--keep", str(keep)]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
        ours = {
            "ASSAY_WEBHOOK": f"{hub}/chat",
            "ASSAY_HEARTBEAT_URL": f"{hub}/alive",
        }
        self._environment = clean | variables | ours
        self.start()

    def start(self) -> None:
        """Starts it."""
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, env=self._environment, stdout=subprocess.DEVNULL
        )

    def kill(self) -> None:
        """As the kernel kills what takes too much memory."""
        self._process.kill()
        self._process.wait()

    def end(self) -> int:
        """Ends it in peace; its exit code."""
        self._process.terminate()
        return self._process.wait(60)


@contextmanager
def hub(alerts: list[dict[str, Any]], alive: list[float]) -> Iterator[str]:
    """What the webhook and the heartbeat's monitor are told; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Takes it."""
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if self.path == "/alive":
                alive.append(time.time())
            else:
                alerts.append(body["assay"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *words: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def judge(
    keep: Path, away: list[tuple[str, float, float]], alerts: list[dict[str, Any]], every: float
) -> list[str]:
    """What is not as it must be; prints each probe's share beside the truth."""
    wrong = []
    with closing(sqlite3.connect(keep / "watch.sqlite")) as data:
        rows = data.execute("select name, at, well, seconds from probes order by at").fetchall()
    for name in sorted({row[0] for row in rows}):
        mine = [(at, bool(well), at + lasted) for found, at, well, lasted in rows if found == name]
        spans = [(since, until) for component, since, until in away if component in concerned(name)]
        failed = [(at, ended) for at, well, ended in mine if not well]
        truly = [at for at, *_ in mine if any(since <= at < until for since, until in spans)]
        near = [
            at
            for at, ended in failed
            if any(at < until + every and ended > since - every for since, until in spans)
        ]
        events = Counter(one["event"] for one in alerts if one["key"] == name)
        shares = (1 - len(failed) / len(mine), 1 - len(truly) / len(mine))
        print(
            f"{name:34} {shares[0]:8.3%} seen, {shares[1]:8.3%} true; failed {len(failed)}"
            f" of {len(mine)}, truly {len(truly)}; told {events['opened']} opened, {events['recovered']} recovered"
        )
        if abs(len(failed) - len(truly)) > max(1, len(spans)):
            wrong.append(f"{name}: {len(failed)} failures, truly {len(truly)}")
        if len(near) != len(failed):
            wrong.append(f"{name}: {len(failed) - len(near)} failures while its component was there")
        # one that was hardly asked meanwhile (PROBE_EVERY) cannot know of it
        known = sum(sum(since <= at < until for at in truly) >= 2 for since, until in spans)
        if events != Counter({"opened": known, "recovered": known} if known else {}):
            wrong.append(f"{name}: told {dict(events)} of {known} outages")
    return wrong


def main() -> int:
    """The whole trial; 0 where everything is as it must be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two rounds")
    parser.add_argument("--keep", type=Path, help="the watch's folder, to look at afterwards")
    options = parser.parse_args()
    alerts: list[dict[str, Any]] = []
    alive: list[float] = []
    with (
        tempfile.TemporaryDirectory(prefix="assay-watch-") as folder,
        hub(alerts, alive) as address,
        attach(state=Path(folder) / "stack") as stack,
    ):
        keep = options.keep or Path(folder) / "watch"
        driver = Driver(stack.target(catalogue()))
        watched = Watched(keep, Path(folder), stack.variables, address, options.every)
        begun = time.time()

        def at(moment: float) -> None:
            """Waits until then; kills the watch and starts it again where its time comes first."""
            for due, what in ((begun + KILLED, watched.kill), (begun + STARTED, watched.start)):
                if time.time() < due <= moment:
                    time.sleep(due - time.time())
                    what()
            time.sleep(max(0.0, moment - time.time()))

        driver.run(begun, at)
        at(begun + LASTING)
        code = watched.end()
        wrong = judge(keep, driver.away, alerts, options.every)
        with closing(sqlite3.connect(keep / "watch.sqlite")) as data:
            times = [row[0] for row in data.execute("select distinct at from probes order by at")]
        gap = max(b - a for a, b in pairwise(times))
    print(
        f"{len(times)} rounds, the longest time between two {gap:.1f} s; {len(alive)} heartbeats; exit code {code}"
    )
    for line in wrong:
        print(f"NOT as it must be: {line}")
    return 1 if wrong or code else 0


if __name__ == "__main__":
    sys.exit(main())
