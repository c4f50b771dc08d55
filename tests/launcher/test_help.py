"""`--help` and `--version` in a clone in which nothing is installed: they say what there is and install nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from core.version import VERSION
from tests.launcher.recorded_help import FOLDER, helps

ROOT = Path(__file__).parents[2]


def test_the_recorded_help_is_what_the_commands_say() -> None:
    again = "python -m tests.launcher.recorded_help"
    found = helps()
    assert {path.stem for path in FOLDER.glob("*.txt")} == found.keys(), again
    for name, text in found.items():
        assert (FOLDER / f"{name}.txt").read_text(encoding="utf-8") == text, f"{name}: {again}"


def test_a_fresh_clone_shows_help_and_version_and_stays_as_it_is(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    for name in ("launcher", "locks", "core"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("assay", "cli.py", "package.json", "package-lock.json"):
        shutil.copy(ROOT / name, clone / name)
    before = sorted(p.name for p in clone.iterdir())
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    for words, code, says in (
        (["--help"], 0, "Usage: assay [OPTIONS] COMMAND"),
        ([], 2, "Usage: assay [OPTIONS] COMMAND"),
        (["check", "--help"], 0, "Usage: assay check"),
        (["--version"], 0, f"assay {VERSION}"),
    ):
        done = subprocess.run(
            [str(clone / "assay"), *words], capture_output=True, text=True, env=environment, check=False
        )
        assert (done.returncode, says in done.stdout) == (code, True), done.stderr
    assert sorted(p.name for p in clone.iterdir()) == before


def test_the_version_is_the_project_s() -> None:
    assert f'version = "{VERSION}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
