"""`assay doctor --load` measures the generator itself, without a target."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.structure.tree import ROOT


def test_the_doctor_says_what_this_machine_sends() -> None:
    done = subprocess.run(
        [sys.executable, "cli.py", "doctor", "--load", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["cores"] >= 1
    assert found["core_sends"] > 0
    assert found["machine_sends"] == found["core_sends"] * found["cores"] * 0.6
    assert done.stderr == ""
