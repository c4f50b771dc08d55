"""One component's process, through its guard: start until READY, stop, kill, notice its death."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from stack.supervisor import orphans
from stack.supervisor.component import Component, ComponentPaths
from stack.supervisor.errors import StackError
from stack.supervisor.events import last_lines, telling_line
from stack.supervisor.paths import ROOT

GUARD = Path(__file__).with_name("process_guard.py")
GRACE_S = 3.0
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "LOGNAME")
"""All that a component gets of our environment: a live target's keys are not for the embedded one."""


def describe_exit(code: int) -> str:
    """An exit code in words; above 128 it stands for a signal."""
    if code > 128:
        with suppress(ValueError):
            return f"killed by {signal.Signals(code - 128).name}"
    return f"exit code {code}"


class ComponentProcess:
    """A component and the state it is in: new, starting, ready, stopping, stopped, killed or died."""

    def __init__(
        self, component: Component, site: ComponentPaths, died: Callable[[ComponentProcess], None]
    ) -> None:
        self.component = component
        self.site = site
        self.log = site.logs / f"{component.name}.log"
        self.state = "new"
        self.since_ns = time.time_ns()
        self.pid: int | None = None
        self.exit_code: int | None = None
        self.ready_line: dict[str, Any] = {}
        self.guard: asyncio.subprocess.Process | None = None
        self._died = died
        self._watch: asyncio.Task[None] | None = None

    def describe(self) -> dict[str, Any]:
        """What the control address tells of this component."""
        return {
            "name": self.component.name,
            "state": self.state,
            "pid": self.pid,
            "since_ns": self.since_ns,
            "exit_code": self.exit_code,
            "log": str(self.log),
            "ports": {name: self.site.ports[name] for name in self.component.ports},
            "url": self.ready_line.get("url"),
        }

    def obituary(self) -> dict[str, Any]:
        """How it ended, as an event's fields."""
        return {
            "component": self.component.name,
            "pid": self.pid,
            "exit_code": self.exit_code,
            "ended": describe_exit(self.exit_code) if self.exit_code is not None else "still running",
            "log": str(self.log),
            "last_lines": last_lines(self.log),
        }

    def last_words(self) -> str:
        """How it ended, what it said last and where its log is, on one line."""
        ended = describe_exit(self.exit_code) if self.exit_code is not None else "still running"
        return f"{ended}; it said: {telling_line(self.log)}; its log: {self.log}"

    async def start(self) -> None:
        """Start the process and return when it has said READY. Raises StackError when it does not."""
        self._become("starting")
        self.exit_code, self.ready_line = None, {}
        inbox, outbox = os.pipe()
        # Not asyncio's own pipe: with that one, a grandchild holding it would hide the component's death.
        said, saying = os.pipe()
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        environment |= {orphans.MARK: str(self.site.state), orphans.MARK_COMPONENT: self.component.name}
        environment |= {"PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
        argv = self.component.argv(self.site)
        with self.log.open("ab") as log:
            # From the main thread: the kernel ties a guard's life to the thread that started it.
            self.guard = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), str(outbox), str(GRACE_S), "--", *argv,
                stdin=asyncio.subprocess.DEVNULL, stdout=saying, stderr=log,
                start_new_session=True, pass_fds=(outbox,), env=environment, cwd=ROOT,
            )  # fmt: skip
        os.close(outbox)
        os.close(saying)
        said_ready = asyncio.get_running_loop().create_future()
        self._watch = asyncio.create_task(self._watch_over(self.guard, inbox, said, said_ready))
        try:
            await asyncio.wait_for(asyncio.shield(said_ready), self.component.start_s)
        except TimeoutError:
            await self.kill()
            raise StackError(
                f"{self.component.name} was not ready within {self.component.start_s:g} s: {self.last_words()}"
            ) from None
        if not said_ready.result():
            raise StackError(f"{self.component.name} ended before it was ready: {self.last_words()}")

    async def _watch_over(
        self,
        guard: asyncio.subprocess.Process,
        inbox: int,
        said: int,
        said_ready: asyncio.Future[bool],
    ) -> None:
        """Read the process's output until it ends, and note what it became."""
        loop = asyncio.get_running_loop()
        with os.fdopen(inbox) as report:
            text = await loop.run_in_executor(None, report.readline)
        self.pid = int(text) if text else None
        reader = asyncio.create_task(self._read(said, said_ready))
        code = await guard.wait()
        self.exit_code = code if code >= 0 else 128 - code
        if code < 0:  # the guard itself was killed, and cannot have tidied up
            orphans.end_component(self.site.state, self.component.name, guard.pid)
        # A grandchild may hold the pipe for a moment; what was said before the end is read by then.
        with suppress(TimeoutError):
            await asyncio.wait_for(reader, 0.5)
        planned = {"stopping": "stopped", "killing": "killed"}.get(self.state)
        self._become(planned or "died")
        if not said_ready.done():
            said_ready.set_result(False)
        elif planned is None:
            self._died(self)

    async def _read(self, said: int, said_ready: asyncio.Future[bool]) -> None:
        """Keep what the process says as part of its log, until nobody can say more; READY is looked for."""
        stream = asyncio.StreamReader(2**20)
        protocol = asyncio.StreamReaderProtocol(stream)
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(said, "rb"))
        try:
            await self._keep(stream, said_ready)
        finally:
            pipe.close()

    async def _keep(self, stream: asyncio.StreamReader, said_ready: asyncio.Future[bool]) -> None:
        with self.log.open("ab", buffering=0) as log:
            while line := await self._line(stream):
                with suppress(OSError):
                    log.write(line)
                if line.startswith(b"READY ") and not said_ready.done():
                    with suppress(ValueError):
                        value = json.loads(line[6:])
                        self.ready_line = value if isinstance(value, dict) else {}
                    self._become("ready")
                    said_ready.set_result(True)

    @staticmethod
    async def _line(stream: asyncio.StreamReader) -> bytes:
        try:
            return await stream.readline()
        except ValueError:  # a line beyond the limit; the stream has dropped it
            return b"(a line of more than a megabyte was left out)\n"

    async def stop(self) -> None:
        """SIGTERM, SIGKILL after the grace; returns when nothing of the process is left."""
        await self._end("stopping", signal.SIGTERM)

    async def kill(self) -> None:
        """SIGKILL at once; returns when nothing of the process is left."""
        await self._end("killing", signal.SIGUSR1)

    async def _end(self, state: str, number: signal.Signals) -> None:
        if self.guard is None or self._watch is None or self._watch.done():
            return
        if self.state in ("new", "starting", "ready"):
            self._become(state)
        with suppress(ProcessLookupError):
            self.guard.send_signal(number)
        try:
            await asyncio.wait_for(asyncio.shield(self._watch), GRACE_S + 5)
        except TimeoutError:
            with suppress(ProcessLookupError):
                self.guard.kill()
            await self._watch

    def _become(self, state: str) -> None:
        self.state = state
        self.since_ns = time.time_ns()
