"""What `up`, `down`, `status` and `env` do: find or start the supervisor, hold a lease, ask, tell."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stack.supervisor import orphans
from stack.supervisor.errors import BROKEN, USAGE, StackError, name_error
from stack.supervisor.events import Tail, last_lines
from stack.supervisor.paths import FOLDER_READY, ROOT, Lock, Paths, is_locked, read_json, sources

PATIENCE_S = 45.0
"""How long to wait for an earlier stack to end, or for the start lock."""
POLL_S = 0.05
FOUND_OUT_S = 2.0
"""Ten times what a supervisor takes to find that nobody holds its lease."""


class Stopped(Exception):
    """A signal asked this command to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextlib.contextmanager
def stopping_signals() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP raise Stopped, once."""

    def stop(number: int, _: Any) -> None:
        for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(other, signal.SIG_IGN)
        raise Stopped(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    yield


def say(text: str) -> None:
    """One line of progress, for people, on standard error."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


class SupervisorClient:
    """One command's view of the stack at `paths`."""

    def __init__(
        self, paths: Paths, components: Path, ports: Mapping[str, int], options: Mapping[str, Any],
        only: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.paths = paths
        self.components = components
        self.wanted = [f"--port={name}={number}" for name, number in ports.items()]
        self.wanted += [f"--option={name}={json.dumps(value)}" for name, value in options.items()]
        self.wanted += [f"--only={name}" for name in only]
        self.serves = {"only": sorted(only), "project": options.get("project")}
        self.lease: Lock | None = None

    # -- up ------------------------------------------------------------------------------------------------

    def up(self) -> dict[str, Any]:
        """Take a lease, start the stack or attach to it, and return what `stack.json` holds, once ready."""
        self.paths.make()
        deadline = time.monotonic() + PATIENCE_S
        self.lease = Lock(self.paths.lease)
        announced = False
        while True:
            # Refused only while a supervisor that found itself alone is ending.
            if self.lease.take(shared=True) and (supervisor := self._find_or_start(deadline)):
                return self._follow(supervisor)
            if not announced:
                say("waiting for the previous stack to end")
                announced = True
            self._wait(deadline, "the previous stack did not end")

    def _find_or_start(self, deadline: float) -> dict[str, Any] | None:
        """The living supervisor's own description, started if need be; None while the last one is ending."""
        start = Lock(self.paths.start)
        try:
            while not start.take():
                self._wait(deadline, "another `up` is starting this stack and does not get on")
            if not is_locked(self.paths.alive):
                self._spawn()
            supervisor = read_json(self.paths.supervisor)
            return None if supervisor is None or supervisor["phase"] == "stopping" else supervisor
        finally:
            start.close()

    def _spawn(self) -> None:
        """Start a supervisor in a session of its own, and return when it has said who it is."""
        inbox, outbox = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-m", "stack.supervisor", "serve", "--state", str(self.paths.state),
             "--components", str(self.components), *self.wanted],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=outbox, start_new_session=True, cwd=ROOT,
        )  # fmt: skip
        os.close(outbox)
        said = b""
        with os.fdopen(inbox, "rb", buffering=0) as early:
            while part := early.read(4096):
                said += part
                if said.endswith(FOLDER_READY):
                    return
        code = process.wait()
        lines = said.decode(errors="replace").strip().splitlines() or [f"it said nothing (exit code {code})"]
        if code in (USAGE, BROKEN):
            raise StackError(lines[-1], code)
        raise StackError(f"The supervisor did not start: {lines[-1]}")

    def _follow(self, supervisor: dict[str, Any]) -> dict[str, Any]:
        """Tell the progress of a starting stack until it is ready. Raises StackError when it fails."""
        if supervisor["phase"] == "ready":
            other = {name: supervisor.get(name) for name in self.serves}
            if any(self.serves.values()) and other != self.serves:
                raise StackError(
                    f"The stack at {self.paths.state} serves something else: end it with `down`, or give another --state.",
                    USAGE,
                )
            self._all_well()
            say("attached to the stack that is up")
            if supervisor.get("sources") != sources():
                say("the sources have changed since it started: end it with `assay down` to use them")
            return self._answer()
        tail = Tail(self.paths.events)
        while True:
            alive = is_locked(self.paths.alive)
            now = read_json(self.paths.supervisor) or {}
            for event in tail.read():
                self._tell(event)
                if event["type"] == "stack.failed":
                    raise StackError(event["error"], event["code"])
            if now.get("error"):  # on a full disk the event may be missing
                raise StackError(now["error"], now["code"])
            if now.get("phase") == "ready":
                say("  stack is ready")
                return self._answer()
            if now.get("phase") == "stopping":
                raise StackError("The stack was ended while it started.")
            if not alive:
                lines = last_lines(self.paths.logs / "supervisor.log", 1)
                reason = lines[0] if lines else "without a word"
                raise StackError(f"The supervisor ended while the stack started: {reason}")
            time.sleep(POLL_S)

    def _answer(self) -> dict[str, Any]:
        stack = read_json(self.paths.stack)
        if stack is None or not {"variables", "control", "engines"} <= set(stack):
            raise StackError(f"{self.paths.stack} is missing or damaged: end this stack with `assay down`.")
        for note in stack.get("notes", []):
            say(note)
        return stack

    def _all_well(self) -> None:
        """Refuse a stack of which a component is down."""
        for component in self.ask("GET", "/components")["components"]:
            if component["state"] != "ready":
                raise StackError(
                    f"The stack that is up lacks {component['name']} ({component['state']}; log {component['log']}): "
                    "end it with `assay down`, then start again."
                )

    def _tell(self, event: dict[str, Any]) -> None:
        name = event.get("component", "")
        match event["type"]:
            case "component.starting":
                say(f"  {name:<10} starting")
            case "component.ready":
                say(f"  {name:<10} ready in {event['seconds']:.1f} s  {event['url'] or ''}")
            case "component.died" | "component.failed":
                lines = "".join(f"\n    {line}" for line in event["last_lines"])
                say(
                    f"  {name:<10} {event['type'][10:]}: {event['ended']}; its log {event['log']} ends with:{lines}"
                )
            case "outage.planned" | "outage.ended":
                say(f"  {name:<10} {event['type']} ({event['action']})")

    def pin(self) -> None:
        """Let the stack stay without a holder."""
        self.ask("POST", "/pin")

    def hold(self) -> None:
        """Hold the lease until standard input closes. Raises StackError when the stack ends meanwhile."""
        tail = Tail(self.paths.events)
        tail.read()
        watched = [sys.stdin.fileno()] if _can_close(0) else []
        while True:
            readable, _, _ = select.select(watched, [], [], 0.5)
            if readable and not os.read(watched[0], 4096):
                return
            for event in tail.read():
                self._tell(event)
            if not is_locked(self.paths.alive):
                raise StackError("The stack has ended: its supervisor is gone.")

    def release(self) -> None:
        """Give the lease back; when it was the last one, return after everything has ended."""
        if self.lease is None:
            return
        self.lease.close()
        self.lease = None
        if not is_locked(self.paths.alive):
            return
        try:
            ending = bool(self.ask("POST", "/release")["ending"])
        except StackError:  # it may still be starting: it looks at the lease itself, several times a second
            ending = self._found_out()
        if ending:
            self._until_gone()

    def _found_out(self) -> bool:
        """Whether the supervisor ends by itself now, having found no lease."""
        deadline = time.monotonic() + FOUND_OUT_S
        while time.monotonic() < deadline:
            with contextlib.suppress(StackError):
                if (
                    not is_locked(self.paths.alive)
                    or (read_json(self.paths.supervisor) or {}).get("phase") == "stopping"
                ):
                    return True
            time.sleep(POLL_S)
        return False

    # -- down, status, env ---------------------------------------------------------------------------------

    def down(self) -> bool:
        """End the stack whoever holds it; False when none was up. Ends left-overs by force."""
        if not self.paths.state.exists():
            return False
        was_up = is_locked(self.paths.alive)
        if was_up:
            try:
                self.ask("POST", "/down")
            except StackError:
                self._signal(signal.SIGTERM)
            try:
                self._until_gone()
            except StackError:
                self._signal(signal.SIGKILL)
                self._until_gone()
        return orphans.end(self.paths.state) > 0 or was_up

    def remove(self) -> None:
        """End the stack and remove its folder. Raises StackError when the folder is not a stack's."""
        state = self.paths.state
        if not state.exists():
            return
        if not self.paths.alive.exists() and any(state.iterdir()):
            raise StackError(f"{state} is not a stack's folder: it is left alone.", USAGE)
        self.down()
        try:
            shutil.rmtree(state)
        except OSError as error:
            raise name_error(error, f"remove {state}") from error

    def _signal(self, number: signal.Signals) -> None:
        """A signal to the supervisor, when its own description can still be read."""
        with contextlib.suppress(StackError, ProcessLookupError, KeyError, TypeError):
            os.kill(int((read_json(self.paths.supervisor) or {})["pid"]), number)

    def _until_gone(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while is_locked(self.paths.alive):
            self._wait(deadline, "the supervisor did not end")

    def status(self) -> dict[str, Any]:
        """Phase and components of the stack; `{"phase": "down"}` when none is up."""
        if not is_locked(self.paths.alive):
            return {"phase": "down", "state": str(self.paths.state), "components": []}
        supervisor = read_json(self.paths.supervisor) or {"phase": "starting"}
        components = self.ask("GET", "/components")["components"] if supervisor["phase"] == "ready" else []
        return {
            "phase": supervisor["phase"],
            "state": str(self.paths.state),
            "supervisor": supervisor.get("pid"),
            "components": components,
        }

    def env(self) -> dict[str, str]:
        """The variables that a live target would set. Raises StackError when no stack is up."""
        if not is_locked(self.paths.alive):
            raise StackError(f"No stack is up at {self.paths.state}: start one with `assay up`.")
        if (read_json(self.paths.supervisor) or {}).get("phase") != "ready":
            raise StackError("The stack is not ready yet: `assay up` waits for it.")
        return dict(self._answer()["variables"])

    # -- the control address -------------------------------------------------------------------------------

    def ask(self, method: str, path: str) -> Any:
        """Ask the control address. Raises StackError in words."""
        config = read_json(self.paths.config)
        if config is None:
            raise StackError(
                f"{self.paths.config} is missing: the stack is not ready, or its folder was emptied."
            )
        try:
            url = f"http://127.0.0.1:{config['ports']['control']}{path}"
            token = config["secrets"]["control_token"]
        except (KeyError, TypeError) as error:
            raise StackError(f"{self.paths.config} is damaged: end this stack with `assay down`.") from error
        request = urllib.request.Request(
            url,
            method=method,
            headers={"Authorization": f"Bearer {token}"},
            data=b"" if method == "POST" else None,
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=PATIENCE_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise StackError(
                f"The control address refused {method} {path}: {error.read().decode()}"
            ) from error
        except (OSError, ValueError) as error:
            raise StackError(f"The control address does not answer: {error}; end this stack with `assay down`.") \
                from error  # fmt: skip

    def _wait(self, deadline: float, otherwise: str) -> None:
        if time.monotonic() > deadline:
            raise StackError(f"Gave up after {PATIENCE_S:g} s: {otherwise}; try `assay down`.")
        time.sleep(POLL_S)


def _can_close(descriptor: int) -> bool:
    """Whether the end of this input means something: a pipe, a socket or a terminal, not /dev/null or a file."""
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)


def shell_lines(variables: Mapping[str, str]) -> str:
    """KEY=value lines, quoted for a shell, in the order of their names."""
    return "\n".join(f"{name}={shlex.quote(value)}" for name, value in sorted(variables.items()))
