"""The runner's manners: bad input is one sentence and exit 2, a target that is not there exit 3."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clients.services import catalogue
from core.run import Run
from core.target import resolve
from tests.clients.strange import environment

ROOT = Path(__file__).resolve().parents[2]


def run(run_dir, *words, **variables):
    target = resolve("embedded", catalogue(), environment=variables or environment(9))
    with Run.begin(run_dir, target, "test").handed() as joining:
        done = subprocess.run(
            [sys.executable, "-m", "loadprofiles.run", *words],
            cwd=ROOT,
            env=os.environ | joining,
            capture_output=True,
            text=True,
            timeout=60,
        )
    return done.returncode, done.stderr.strip()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing"], "'nothing' is not a load profile; known are"),
        (["database", "--users", "0"], "would load nothing"),
        (["database", "--for", "never"], "is not a duration"),
        (["database", "--for", "0s"], "too short"),
        (["database", "--for", "5s", "--warm-up", "5s"], "leaves nothing"),
        (["database", "--rate", "-1"], "zero or more"),
        (["database", "--shape", "round"], "'round' is not a shape; known are smoke, steady"),
    ],
)
def test_bad_input_is_one_sentence(words, said, tmp_path):
    code, error = run(tmp_path, *words)
    assert code == 2
    assert said in error
    assert "Traceback" not in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "journal").exists()


def test_a_target_that_is_down_at_the_start(tmp_path):
    code, error = run(tmp_path, "database", **{**environment(9), "PLATFORM_URL": "http://127.0.0.1:9"})
    assert code == 3
    assert "PLATFORM_URL does not answer at 127.0.0.1:9" in error
    assert len(error.splitlines()) == 1


def test_profiles_clash_with_no_importable_module():
    """Locust puts a profile's folder first on the path: its files would shadow modules of these names."""
    names = [
        p.stem for p in (ROOT / "loadprofiles").iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()
    ]
    elsewhere = [p for p in sys.path if Path(p or ".").resolve() != ROOT / "loadprofiles"]
    clashing = []
    for name in names:
        if name == "__init__":
            continue
        spec = importlib.machinery.PathFinder.find_spec(name, elsewhere)
        if name in sys.stdlib_module_names or spec is not None:
            clashing.append(name)
    assert clashing == []
