"""Locust as a process: more open files, served first, ended with whoever started it, its output masked."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from core.parent_death import die_with_parent
from core.run import ROOT
from core.secret import Redactor
from core.stream import SafeStream

_NOFILE = 60_000


def run_locust(command: Sequence[str], environment: dict[str, str], redactor: Redactor) -> int:
    """Runs Locust to its end; hands on an interrupt, so that it ends its own way and nothing is lost.

    What it prints is masked here, where its people's secrets are known: whoever started the launcher knows none of them.
    """
    process = subprocess.Popen(
        command,
        env=environment,
        cwd=ROOT,
        preexec_fn=_preparing_child(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    shown = threading.Thread(target=_show, args=(process, SafeStream(redactor.text)))
    shown.start()
    stopping = False

    def stop(number: int, frame: object) -> None:
        nonlocal stopping
        if not stopping:
            stopping = True
            process.send_signal(signal.SIGTERM)

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        code = process.wait()
        shown.join(10)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return code if code in (0, 1, 2) else 3


def _show(process: subprocess.Popen[bytes], stream: SafeStream) -> None:
    assert process.stdout is not None
    while data := os.read(process.stdout.fileno(), 65536):
        print(stream.take(data), end="", flush=True)
    print(stream.take(b"", last=True), end="", flush=True)


def _preparing_child() -> Callable[[], None]:
    """More open files; the load ends with whoever started it; and a session of its own that is served first.

    Linux weighs whole sessions against each other before it looks at any process's own priority.
    """
    tie = die_with_parent(signal.SIGTERM)

    def prepare() -> None:
        tie()
        os.setsid()
        with contextlib.suppress(OSError):  # not on every kernel, not allowed to everybody
            Path("/proc/self/autogroup").write_text("-10")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _NOFILE if hard == resource.RLIM_INFINITY else min(_NOFILE, hard)
        if soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

    return prepare
