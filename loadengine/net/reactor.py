"""Thousands of sockets on one epoll descriptor which the gevent hub watches as if it were one socket.

gevent gives every socket a libev watcher; at a thousand connections their upkeep costs more than the
requests. Here all lean sockets (and the pacing timer) are registered once, edge to nothing, in an epoll
instance of our own; the hub sees a single readable descriptor and this module hands the ready sockets out
from one loop. No thread is involved, so ordinary gevent code (Locust, its web UI, `FastHttpUser`) runs
beside it undisturbed. Measured against a watcher a socket, an epoll thread and uvloop in a thread: the
cheapest of the synchronous ways at 64 and at 1,000 connections (figures in `bench/README.md`).

A handler is called as `handler(events)` in the hub, so it must not block: it switches to a greenlet that
waits, or does a little work itself. Wake-ups may be spurious: readers tolerate `BlockingIOError`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import time
import traceback
from collections.abc import Callable
from typing import Any

import gevent.monkey
from gevent import get_hub
from greenlet import greenlet

Handler = Callable[[int], Any]

READ, WRITE = 1, 4
"""Event bits, as in EPOLLIN and EPOLLOUT."""
TIMED_OUT = -1
"""What a waiting greenlet is woken with when its deadline passed."""

_BATCH = 128
_ROUNDS = 4  # batches handled before the hub's other callbacks get their turn
_CLOCK_MONOTONIC, _ABSOLUTE, _NONBLOCK_CLOEXEC = 1, 1, 0o4000 | 0o2000000
_now = time.monotonic_ns


def _ignore(events: int) -> None:
    """Handler of a descriptor that nobody owns (any more)."""


class Reactor:
    """One per process; create it in the process and the thread that will use it."""

    def __init__(self, on_error: Callable[[Exception], None] = traceback.print_exception) -> None:
        """`on_error` hears what a handler raised; the others get their turn all the same."""
        self._on_error = on_error
        self.hub = get_hub()
        self.wait: Callable[[], Any] = greenlet.switch.__get__(self.hub)
        """Leaves the current greenlet for the hub; returns what the handler was called with.

        The greenlet's own switch, without gevent's guard: for code that registered a handler first.
        """
        self.handlers: list[Handler] = [_ignore] * 1024
        self.deadlines: list[int] = [0] * 1024
        """By descriptor: when its waiter is woken with TIMED_OUT (monotonic ns), 0 for never."""
        self._epoll = gevent.monkey.get_original("select", "epoll")()
        self._poll = self._epoll.poll
        self._watcher = self.hub.loop.io(self._epoll.fileno(), READ)
        self._watcher.start(self._ready)

    def add(self, fd: int, handler: Handler, events: int = READ) -> None:
        """Watches `fd` until `remove`; `handlers[fd]` may be replaced at any time without a system call."""
        while fd >= len(self.handlers):
            self.deadlines.extend([0] * len(self.handlers))
            self.handlers.extend([_ignore] * len(self.handlers))
        self.handlers[fd] = handler
        self._epoll.register(fd, events)

    def change(self, fd: int, events: int) -> None:
        """Watches `fd` for other events."""
        self._epoll.modify(fd, events)

    def remove(self, fd: int) -> None:
        """Forgets `fd`; call before closing it."""
        self.handlers[fd] = _ignore
        self.deadlines[fd] = 0
        try:
            self._epoll.unregister(fd)
        except OSError as error:
            if error.errno not in (errno.EBADF, errno.ENOENT):
                raise

    def sweep(self) -> None:
        """Wakes every waiter whose deadline has passed; called a few times a second, from the hub."""
        if not any(self.deadlines):
            return
        now = _now()
        for fd, deadline in enumerate(self.deadlines):
            if deadline and deadline < now:
                self.deadlines[fd] = 0
                self.handlers[fd](TIMED_OUT)

    def close(self) -> None:
        """Stops watching everything."""
        self._watcher.stop()
        self._epoll.close()

    def _ready(self) -> None:
        poll, handlers = self._poll, self.handlers
        for _ in range(_ROUNDS):
            ready = poll(0, _BATCH)
            for fd, events in ready:
                try:
                    handlers[fd](events)
                except Exception as error:
                    self._on_error(error)
            if len(ready) < _BATCH:
                return


class Pacer:
    """An alarm at absolute monotonic nanoseconds, on a timerfd.

    libev's timers follow a cached clock in milliseconds (0.6 ms late at the median, 1.2 ms at p99);
    a timerfd in the same epoll is 0.1 and 0.2 ms late.
    """

    def __init__(self, reactor: Reactor, callback: Callable[[], None]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._setting = (ctypes.c_long * 4)()
        self._reference = ctypes.byref(self._setting)
        self._reactor = reactor
        self._callback = callback
        reactor.add(self._fd, self._fire)

    def arm(self, at: int) -> None:
        """Calls back once at monotonic nanosecond `at`, at once when it has passed; replaces the last alarm."""
        at = max(at, 1)  # zero would disarm
        self._setting[2], self._setting[3] = divmod(at, 1_000_000_000)
        self._libc.timerfd_settime(self._fd, _ABSOLUTE, self._reference, None)

    def close(self) -> None:
        """Releases the timer."""
        self._reactor.remove(self._fd)
        os.close(self._fd)

    def _fire(self, events: int) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return
        self._callback()
