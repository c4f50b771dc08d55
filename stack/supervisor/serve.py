"""The supervisor itself: one process that owns one stack from its first to its last moment.

It is started by `up` in a session of its own, holds `supervisor.lock`, starts the components in parallel as
their needs allow, answers at the control address, and ends everything when the last lease is gone, on
`down`, on SIGTERM or SIGINT, or when a component fails to start.
"""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import os
import resource
import secrets
import signal
import sys
import time
import traceback
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stack.supervisor import orphans
from stack.supervisor.component import Component, ComponentPaths, StackConfig, chosen, load
from stack.supervisor.control import ControlServer
from stack.supervisor.errors import StackError
from stack.supervisor.events import Events
from stack.supervisor.paths import FOLDER_READY, ROOT, Lock, Paths, sources, write_private
from stack.supervisor.ports import Ports
from stack.supervisor.process import ComponentProcess

TICK_S = 0.2
"""How often the lease is tried: the longest a stack outlives its last holder unnoticed."""
OPEN_FILES = 65536
PR_SET_CHILD_SUBREAPER = 36


class Supervisor:
    """One stack's life."""

    def __init__(
        self,
        paths: Paths,
        components: Path,
        wanted: Mapping[str, int],
        options: Mapping[str, Any],
        only: Sequence[str],
    ) -> None:
        self.paths = paths
        self.options = options
        self.sources = sources()
        self.instance = uuid.uuid4().hex
        self.pinned = False
        self.events = Events(paths.events)
        self.only = sorted(only)
        self.components: dict[str, Component] = chosen(load(components), only)
        names = ["control", *(port for c in self.components.values() for port in c.ports)]
        self.ports = Ports(names, wanted)
        self.site = ComponentPaths(
            ROOT, paths.state, paths.data, paths.logs, paths.cache, paths.config, self.ports.numbers
        )
        self.token = secrets.token_urlsafe(32)
        self.processes = {n: ComponentProcess(c, self.site, self._died) for n, c in self.components.items()}
        self.ending = asyncio.Event()
        self.failure: StackError | None = None
        self._lease = Lock(paths.lease)
        self._death: asyncio.Future[ComponentProcess] = asyncio.get_running_loop().create_future()
        self._busy = {name: asyncio.Lock() for name in self.components}

    def announce(self, phase: str, error: StackError | None = None) -> None:
        """Tell everybody who looks into the stack's folder in which phase it is."""
        write_private(
            self.paths.supervisor,
            {
                "instance": self.instance,
                "pid": os.getpid(),
                "phase": phase,
                "sources": self.sources,
                "only": self.only,
                "project": self.options.get("project"),
                "control": f"http://127.0.0.1:{self.ports.numbers['control']}",
                "error": str(error) if error else None,
                "code": error.code if error else None,
            },
        )

    def configure(self) -> StackConfig:
        """Generate every key and write CONFIG.json; returns its content."""
        options = {
            "cache": str(self.site.cache),
            **{k: v for k, v in self.options.items() if not isinstance(v, dict)},
        }
        options["project"] = self.options.get("project")
        stack_config = StackConfig(secrets={"control_token": self.token}, options=options)
        for component in self.components.values():
            component.generate(self.site, stack_config)
        for name, value in self.options.items():
            merge = isinstance(value, dict) and isinstance(stack_config.options.get(name), dict)
            stack_config.options[name] = {**stack_config.options[name], **value} if merge else value
        write_private(
            self.paths.config,
            {
                "state": str(self.site.data),
                "logs": str(self.site.logs),
                "ports": dict(self.site.ports),
                "variables": stack_config.variables,
                "secrets": stack_config.secrets,
                "options": stack_config.options,
            },
        )
        return stack_config

    async def start(self, stack_config: StackConfig) -> None:
        """Bring every component up, each as soon as its needs are ready. Raises StackError."""
        for component in self.components.values():
            component.clean(self.site)
        ready = {name: asyncio.Event() for name in self.components}

        async def one(name: str) -> None:
            for need in self.components[name].needs:
                await ready[need].wait()
            await self._start(name)
            ready[name].set()

        tasks = [asyncio.create_task(one(name)) for name in self.components]
        everything = asyncio.gather(*tasks)
        try:
            awaited: set[asyncio.Future[Any]] = {everything, self._death}
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            if self._death.done():
                dead = self._death.result()
                raise StackError(f"{dead.component.name} died while others started: {dead.last_words()}")
            everything.result()
        finally:
            everything.cancel()
            await asyncio.gather(everything, return_exceptions=True)
        engines: dict[str, Any] = {}
        for name, component in self.components.items():
            engines |= {service: asdict(engine) for service, engine in component.engines(self.site).items()}
            engines |= self.processes[name].ready_line.get("engines") or {}
        write_private(
            self.paths.stack,
            {
                "variables": stack_config.variables,
                "control": {
                    "url": f"http://127.0.0.1:{self.ports.numbers['control']}",
                    "token": self.token,
                },
                "state": str(self.paths.state),
                "engines": engines,
                "notes": stack_config.notes,
            },
        )

    async def _start(self, name: str) -> None:
        began = time.monotonic()
        process = self.processes[name]
        self.events.add("component.starting", component=name)
        try:
            await process.start()
        except StackError:
            self.events.add("component.failed", **process.obituary())
            raise
        self.events.add(
            "component.ready",
            component=name,
            pid=process.pid,
            seconds=round(time.monotonic() - began, 2),
            url=process.ready_line.get("url"),
        )

    def _died(self, process: ComponentProcess) -> None:
        """Note an unplanned death: it is named, and nothing is restarted."""
        if self.ending.is_set():
            return
        self.events.add("component.died", **process.obituary())
        if not self._death.done():
            self._death.set_result(process)

    async def act(self, name: str, action: str) -> dict[str, Any]:
        """A planned outage or its end: stop, kill, start or restart one component."""
        process = self.processes[name]
        async with self._busy[name]:
            if action in ("stop", "restart", "kill") and process.state == "ready":
                self.events.add("outage.planned", component=name, action=action)
                await (process.kill() if action == "kill" else process.stop())
            if action in ("start", "restart") and process.state != "ready":
                await self._start(name)
                self.events.add("outage.ended", component=name, action=action)
        return process.describe()

    def lease_is_free(self) -> bool:
        """Whether nobody holds a lease and nobody asked the stack to stay. Once true it stays ours."""
        return not self.pinned and self._lease.take()

    async def live(self) -> None:
        """Stay until there is a reason to end."""
        while not self.ending.is_set():
            if self.lease_is_free():
                self.ending.set()
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self.ending.wait(), TICK_S)

    async def stop(self) -> None:
        """End every component, those first that others do not need."""
        stopped = {name: asyncio.Event() for name in self.components}

        async def one(name: str) -> None:
            for other, component in self.components.items():
                if name in component.needs:
                    await stopped[other].wait()
            try:
                await self.processes[name].stop()
            finally:
                stopped[name].set()

        await asyncio.gather(*(one(name) for name in self.components), return_exceptions=True)
        for component in self.components.values():
            component.clean(self.site)

    async def run(self) -> int:
        """The whole life; writes FOLDER_READY when others may look at us. Returns the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.ending.set)
        self.events.add("stack.starting", instance=self.instance, pid=os.getpid())
        self.announce("starting")
        with suppress(OSError):  # an `up` that was killed meanwhile reads no more
            os.write(2, FOLDER_READY)
        os.dup2(1, 2)
        faulthandler.register(signal.SIGUSR2)  # where is it? is answered in supervisor.log
        control: ControlServer | None = None
        living = asyncio.create_task(self.live())
        try:
            stack_config = self.configure()
            control = ControlServer(self, loop)
            control.start()
            starting = asyncio.create_task(self.start(stack_config))
            await asyncio.wait({starting, living}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                self.announce("ready")
                self.events.add("stack.ready")
                await living
            else:
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
        except StackError as error:
            self.failure = error
        except OSError as error:
            self.failure = StackError(f"The stack could not be started: {error}.")
        except Exception as error:
            traceback.print_exc()
            self.failure = StackError(
                f"The supervisor failed: {error!r}; see {self.paths.logs}/supervisor.log."
            )
        self.ending.set()
        with suppress(StackError):
            self.announce("stopping", self.failure)
        if self.failure:
            print(self.failure, file=sys.stderr, flush=True)
            self.events.add("stack.failed", error=str(self.failure), code=self.failure.code)
        self.events.add("stack.stopping")
        await self.stop()
        if control:
            control.stop()
        self.ports.close()
        self.paths.supervisor.unlink(missing_ok=True)
        self.paths.config.unlink(missing_ok=True)
        self.paths.stack.unlink(missing_ok=True)
        return self.failure.code if self.failure else 0


def raise_limits() -> None:
    """Allow as many open files as we may: rooms hold thousands of sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def serve(
    paths: Paths, components: Path, wanted: Mapping[str, int], options: Mapping[str, Any], only: Sequence[str]
) -> int:
    """Be the supervisor of the stack at `paths`. Errors before the first phase go to standard error."""
    alive = Lock(paths.alive)
    if not alive.take_within(2.0):
        raise StackError(f"Another supervisor already serves {paths.state}.")
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    raise_limits()
    orphans.end(paths.state)
    paths.begin()
    log = os.open(paths.logs / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)

    async def life() -> int:
        return await Supervisor(paths, components, wanted, options, only).run()

    return asyncio.run(life())
