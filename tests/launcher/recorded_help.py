"""What `--help` of each command says, as launcher/help keeps it for a clone in which nothing is installed yet.

python -m tests.launcher.recorded_help     writes it anew, after a command or option has changed
"""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from cli import app

FOLDER = Path(__file__).parents[2] / "launcher" / "help"


def helps() -> dict[str, str]:
    """The text by command, and under `assay` that of all; 80 columns wide."""
    names = [c.name or (c.callback.__name__ if c.callback else "") for c in app.registered_commands]
    return {"assay": _help(), **{name: _help(name) for name in names}}


def _help(*words: str) -> str:
    done = CliRunner().invoke(
        app, [*words, "--help"], prog_name="assay", env={"COLUMNS": "80"}, terminal_width=80
    )
    assert done.exit_code == 0, done.output
    return done.stdout


def record() -> None:
    """Writes every text."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in helps().items():
        (FOLDER / f"{name}.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    record()
