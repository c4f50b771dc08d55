"""Runs one component so that nothing of it outlives the supervisor, the component, or a request to stop.

    python -I -S process_guard.py PARENT REPORT_FD GRACE_S -- ARGV...

Standard library alone and no other module of ours: it must start in milliseconds. It leads a session of
its own, adopts orphans (so that workerd is found when its node was killed), and
- on SIGTERM, or when the supervisor dies: sends SIGTERM to the component, and SIGKILL to all after GRACE_S;
- on SIGUSR1: sends SIGKILL to the component and all its descendants at once;
- when the component ends: kills what it left behind, and ends with its exit code (128 + N for signal N).
If the guard itself is killed the kernel kills the component. Linux does the adopting; elsewhere the
session's process group stands in for it.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LINUX = sys.platform == "linux"


def prctl(option: int, value: int) -> None:
    """Linux's prctl(2); nothing elsewhere."""
    if LINUX:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def families() -> dict[int, list[int]]:
    """The children of every living process, by the parents that /proc names."""
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue
        parent = int(stat.rpartition(")")[2].split()[1])
        found.setdefault(parent, []).append(int(entry.name))
    return found


def descendants(root: int) -> list[int]:
    """Every living process below `root`; nothing where there is no /proc."""
    if not LINUX:
        return []
    children = families()
    found: list[int] = []
    queue = [root]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def kill_all() -> None:
    """SIGKILL to everything below us; returns when all of it is gone."""
    while True:
        if LINUX:
            for pid in descendants(os.getpid()):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
        else:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(0, signal.SIGTERM)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def start(argv: list[str], handled: tuple[signal.Signals, ...]) -> int:
    """Start the component; the kernel kills it when we die. Returns its process id."""
    guard = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != guard:
            os._exit(1)
        for number in handled:
            signal.signal(number, signal.SIG_DFL)
        os.execvp(argv[0], argv)  # noqa: S606
    except BaseException as error:
        os.write(2, f"cannot run {argv[0]}: {error}\n".encode())
        os._exit(127)


def main() -> int:
    """Keep one component until it ends; see the module's own words."""
    parent, report, grace = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    argv = sys.argv[5:]
    inbox, outbox = os.pipe()
    os.set_blocking(outbox, False)
    handled = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD)
    for number in handled:
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(outbox, warn_on_full_buffer=False)
    os.set_inheritable(report, False)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        return 1
    component = start(argv, handled)
    os.write(report, b"%d\n" % component)
    os.close(report)

    deadline: float | None = None
    while True:
        wait = 0.5 if deadline is None else max(0.0, deadline - time.monotonic())
        ready, _, _ = select.select([inbox], [], [], wait)
        signals = set(os.read(inbox, 4096)) if ready else set()
        status = reap(component)
        if status is not None:
            kill_all()
            return status
        if signal.SIGUSR1 in signals or (deadline is not None and time.monotonic() >= deadline):
            # The component first: its status is still wanted when the rest is killed.
            with suppress(ProcessLookupError):
                os.kill(component, signal.SIGKILL)
            deadline = time.monotonic() + 0.5
            continue
        orphaned = not LINUX and os.getppid() != parent
        if deadline is None and (orphaned or signals & {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}):
            with suppress(ProcessLookupError):
                os.kill(component, signal.SIGTERM)
            deadline = time.monotonic() + grace


def reap(component: int) -> int | None:
    """Collect every process that ended; the component's exit code if it was among them."""
    result = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return result
        if pid == 0:
            return result
        if pid == component:
            code = os.waitstatus_to_exitcode(status)
            result = code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
