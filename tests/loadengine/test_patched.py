"""Locust patches the process that imports it, so the engine's tests run in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FILES = sorted(path.name for path in (HERE / "patched").glob("case_*.py"))
FIRST = (
    "from gevent import monkey; monkey.patch_all(); import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"
)


@pytest.mark.parametrize("name", FILES)
def test_in_a_patched_process(name):
    command = [sys.executable, "-c", FIRST, "-q", "--tb=short", "-p", "no:xdist", "-p", "no:schemathesis"]
    command += ["-o", "python_files=case_*.py", str(HERE / "patched" / name)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_every_case_file_is_found():
    assert len(FILES) >= 5
