"""The terminal, compared with recorded text: at 80 and 40 columns, piped, dumb and in ASCII."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from core.console import to_ascii
from core.events import CheckFinished, CheckStarted
from core.journal import Journal
from core.outcome import CheckOutcome
from core.secret import Redactor
from reports.judging.model import RunVerdict
from reports.rendering.columns import Column, laid_out
from runner.progress import Line, checks_going
from tests.reports.made import Made
from tests.reports.recorded_terminal import FOLDER, screen, texts

ROOT = Path(__file__).parents[2]
AGAIN = "python -m tests.reports.recorded_terminal"


def test_the_screens_are_as_recorded(tmp_path: Path) -> None:
    found = dict(texts(tmp_path))
    assert found.keys() == {path.name for path in FOLDER.glob("*.txt")}, AGAIN
    for name, text in found.items():
        assert text == (FOLDER / name).read_text(encoding="utf-8"), f"{name}: {AGAIN}"


def test_no_line_is_wider_than_the_terminal_and_no_number_is_cut(tmp_path: Path) -> None:
    for name, text in texts(tmp_path):
        width = int(name.removesuffix(".txt").rpartition("-")[2])
        assert max(map(len, text.splitlines())) <= width, name
        assert "…" not in text, name


@given(
    st.lists(st.tuples(st.text("abc ", max_size=30), st.integers(0, 10**12)), max_size=4), st.integers(8, 120)
)
def test_what_does_not_wrap_stands_whole_or_not_at_all(rows: list[tuple[str, int]], width: int) -> None:
    columns = (Column("a", wraps=5), Column("number", right=True, leaves=2), Column("b", leaves=1))
    cells = [[text, f"{value:,}", "bb"] for text, value in rows]
    for row, lines in zip(cells, laid_out(columns, cells, width)[1:], strict=True):
        digits = any(character.isdigit() for line in lines for character in line)
        assert row[1] in lines[0].split() or not digits
        assert "".join("".join(lines).split()).replace(row[1], "").startswith(row[0].replace(" ", "")[:5])


def test_a_locale_without_utf_8_gets_ascii() -> None:
    environment = {**os.environ, "LC_ALL": "C", "COLUMNS": "80"}
    code = "import sys; from core.console import adapt; adapt(sys.stdout); print('✓ met … p95 ≥ 3 ✗ é')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=True
    )
    assert done.stdout == b"+ met ... p95 >= 3 x \\xe9\n"
    assert to_ascii("· ○ ∞ →") == "- o inf ->"


def test_a_dumb_terminal_gets_no_escape_sequence(tmp_path: Path) -> None:
    directory = Made(tmp_path / "run").write()
    code = (
        "import sys; import reports; from pathlib import Path; reports.show(reports.judge(Path(sys.argv[1])))"
    )
    for term, escapes in (("dumb", False), ("xterm-256color", True)):
        ours, theirs = pty.openpty()
        environment = {**os.environ, "TERM": term, "COLUMNS": "80"}
        environment.pop("NO_COLOR", None)
        subprocess.run(
            [sys.executable, "-c", code, str(directory)], cwd=ROOT, env=environment, stdout=theirs, check=True
        )
        os.close(theirs)
        shown = os.read(ours, 65536).decode()
        os.close(ours)
        assert ("\x1b" in shown) is escapes, term
        assert "Gate open" in shown


def test_a_green_plan_with_a_line_a_part_stays_short(judged: Callable[..., RunVerdict]) -> None:
    lines = screen(judged(), 100).splitlines()
    parts, others = 7, 4  # target, checks, browser, exclusive, three loads; what was sent where
    assert len(lines) + parts + others <= 45


class _Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def _finish(directory: Path) -> None:
    journal = Journal(directory, "checks", Redactor(), background=False)
    for number, outcome in enumerate((CheckOutcome.MET, CheckOutcome.MISSED)):
        journal.write(CheckStarted(f"a.check-{number}", 1))
        journal.write(CheckFinished(f"a.check-{number}", 1, outcome, "", "r2", "", "", 0.1))
    journal.close()


def test_a_part_is_one_line_on_a_pipe_and_a_living_one_on_a_terminal(tmp_path: Path) -> None:
    for stream in (StringIO(), _Terminal()):
        directory = tmp_path / type(stream).__name__
        directory.mkdir()
        line = Line(stream)
        with checks_going(line, directory, "checks", 3) as going:
            _finish(directory)
            going.tail.poll()
            line.update(going.tail.text(3))
        last = re.sub(r"[\d.]+ s$", "T", stream.getvalue().splitlines()[-1].rpartition("\x1b[K")[2])
        assert last.endswith("checks (3 checks): 1 met, 1 missed, 1 did not run, T")
        assert ("\r" in stream.getvalue()) is stream.isatty()
