"""Running a part of a run as a subprocess: output passed on, interrupts handed down, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from core.parent_death import die_with_parent
from core.run import ROOT
from core.stream import SafeStream
from core.user_settings import for_child

GRACE = 20.0


class Part:
    """One subprocess in a process group of its own, which ends when we do. `log` keeps what it printed, masked
    by `mask` and made safe for terminals and CI logs; it is `shown` on standard error, too, when asked for.

    `environment` is all that it gets beside the user's own; variables of the target, which it learns by joining the
    run, are `withheld`.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        log: Path,
        shown: bool,
        mask: Callable[[str], str],
        withheld: Collection[str] = (),
    ) -> None:
        self.name = name
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=for_child(environment, without=withheld),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGINT),
        )
        self._shown = shown
        self._stream = SafeStream(mask)
        self._copier = threading.Thread(target=self._copy, name=f"output of {name}", daemon=True)
        self._copier.start()

    def _copy(self) -> None:
        assert self._process.stdout is not None
        with self.log.open("ab") as file:
            while chunk := self._process.stdout.read1(65536):  # type: ignore[attr-defined]
                self._pass_on(self._stream.take(chunk), file)
            self._pass_on(self._stream.take(b"", last=True), file)

    def _pass_on(self, text: str, file: BinaryIO) -> None:
        data = text.encode()
        file.write(data)
        file.flush()
        if self._shown:
            os.write(2, data)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code; negative for a signal. Raises subprocess.TimeoutExpired."""
        code = self._process.wait(timeout)
        self._copier.join(5)
        return code

    def stop(self) -> None:
        """Asks it to end as Ctrl-C would, then insists."""
        for number, patience in ((signal.SIGINT, GRACE), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
            if self._process.poll() is not None:
                break
            try:
                os.killpg(self._process.pid, number)
                self._process.wait(patience)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue


def run_parts(parts: Sequence[Part], *, timeout: float | None = None) -> dict[str, int]:
    """Waits for all parts; an interrupt stops every one and passes on. A part over time is stopped."""
    codes: dict[str, int] = {}
    try:
        for part in parts:
            try:
                codes[part.name] = part.wait(timeout)
            except subprocess.TimeoutExpired:
                part.stop()
                codes[part.name] = part.wait()
    except BaseException:
        for part in parts:
            part.stop()
        raise
    return codes
