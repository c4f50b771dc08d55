"""The screens of the commands beside the runs, compared with recorded text: 80 and 40 columns, piped and dumb."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runner.recorded_screens import FOLDER, SCREENS, WIDTHS, piped

ROOT = Path(__file__).parents[2]
AGAIN = "python -m tests.runner.recorded_screens"


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", SCREENS)
def test_each_screen_is_as_recorded_and_fits(name: str, width: int) -> None:
    text = piped(name, width)
    assert text == (FOLDER / f"{name}-{width}.txt").read_text(encoding="utf-8"), AGAIN
    wide = [line for line in text.splitlines() if len(line) > width and len(line.split()) > 1]
    assert not wide, "only a single word may be wider"


@pytest.mark.parametrize("term", ["dumb", "xterm-256color"])
def test_a_terminal_shows_the_same_and_a_dumb_one_without_colour(term: str) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": term, "LC_ALL": "C.UTF-8"}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "tests.runner.recorded_screens", "40"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=theirs) as running:
        os.close(theirs)
        parts = []
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # Linux: the other end is closed
                break
            if not part:
                break
            parts.append(part)
    os.close(ours)
    assert running.returncode == 0
    shown = b"".join(parts).decode().replace("\r\n", "\n")
    assert ("\x1b" in shown) is (term != "dumb")
    if term == "dumb":
        assert shown == "".join((FOLDER / f"{name}-40.txt").read_text() for name in SCREENS)
