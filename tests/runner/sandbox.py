"""A place for whole runs: a stack's state, a folder of runs, a history, all of the test's own."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from core.events import CheckFinished
from core.evidence import Evidence

ROOT = Path(__file__).parents[2]


class Sandbox:
    """A folder with a state for stacks and a folder for runs."""

    def __init__(self, folder: Path) -> None:
        self.state, self.runs = folder / "stack", folder / "runs"
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("ASSAY_", "PYTEST_"))},
            "ASSAY_STATE": str(self.state),
            "ASSAY_RUNS": str(self.runs),
            "ASSAY_HISTORY": str(folder / "history.sqlite"),
        }

    def start(self, *words, **environment):
        return subprocess.Popen(
            [sys.executable, "-m", "cli", *words],
            cwd=ROOT,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words, **environment):
        process = self.start(*words, **environment)
        said, _ = process.communicate(timeout=300)
        return process.returncode, said

    def newest(self) -> Path:
        return max(p for p in self.runs.iterdir() if (p / "journal").is_dir())

    def wait_for(self, *kinds, within=120):
        until = time.monotonic() + within
        while time.monotonic() < until:
            if self.runs.exists() and any((p / "journal").is_dir() for p in self.runs.iterdir()):
                events = Evidence(self.newest()).recorded(*kinds)
                if events:
                    return events
            time.sleep(0.05)
        raise AssertionError(f"no {kinds} came")

    def components(self):
        done = subprocess.run(
            [sys.executable, "-m", "stack.supervisor", "status", "--json", "--state", str(self.state)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=30,
        )
        return {c["name"]: c for c in json.loads(done.stdout)["components"]}

    def outcomes(self):
        return {e.check: e.outcome for e in Evidence(self.newest()).events(CheckFinished)}

    def down(self):
        subprocess.run(
            [sys.executable, "-m", "stack.supervisor", "down", "--state", str(self.state)],
            cwd=ROOT,
            capture_output=True,
            timeout=60,
        )
