"""An interrupt at any moment leaves one of the four exit codes, and of a run that began its verdict and its report."""

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from core.events import RunFinished
from core.evidence import Evidence
from runner import stops

ROOT = Path(__file__).parents[2]
TARGET = 'env_files = [".env"]\n[capabilities]\n"platform.api" = "required"\n[permit]\nactions = ["read"]\n'
PLAN = 'title = "Slow"\nbudget = "1m"\nchecks = ["own.slow"]\n'
CHECK = """
import time

from core.expect import expect
from core.passport import check


@check("own.slow", "It takes its time", requirement="P1.1", service="platform", needs=("platform.api",), actions=("read",))
def test_slow(services, witness):
    time.sleep(1)
    witness("the clock", "a second")
    expect(services is not None, "there are services")
"""
MOMENTS = 5


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slow") / "assay"
    (folder / "plans").mkdir(parents=True)
    (folder / "checks").mkdir()
    (folder / "target.toml").write_text(TARGET)
    (folder / "plans" / "own.toml").write_text(PLAN)
    (folder / "checks" / "test_own.py").write_text(CHECK)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (folder / ".env").write_text(f"PLATFORM_URL=http://127.0.0.1:{server.server_port}\n")
    yield folder
    server.shutdown()
    server.server_close()


def started(project: Path) -> subprocess.Popen[str]:
    """The command as the launcher hands over: with both signals blocked."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("ASSAY_", "PYTEST_"))}
    return subprocess.Popen(
        [sys.executable, str(ROOT / "cli.py"), "check", "--plan", "own", "--project", str(project)],
        cwd=project,
        env={**environment, "ASSAY_HISTORY": str(project / "history.sqlite")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, stops.SIGNALS),
    )


def runs_of(project: Path) -> set[Path]:
    return set((project / "runs").glob("*")) if (project / "runs").is_dir() else set()


def test_an_interrupt_at_any_moment_leaves_a_judged_run(project):
    began = time.monotonic()
    whole = started(project)
    said, _ = whole.communicate(timeout=120)
    assert whole.returncode == 0, said
    lasts = time.monotonic() - began
    known, ended = runs_of(project), set()
    for number in range(MOMENTS):
        process = started(project)
        time.sleep(lasts * number / (MOMENTS - 1))
        for _ in range(1 + number % 3):  # some people press it again and again
            process.send_signal(stops.SIGNALS[number % 2])
            time.sleep(0.05)
        said, _ = process.communicate(timeout=120)
        assert "Traceback" not in said
        new = runs_of(project) - known
        known |= new
        if not new:  # it had not begun
            assert (process.returncode, "stopped by the user" in said) == (3, True), said
            continue
        (run,) = new
        finished = Evidence(run).events(RunFinished)[-1]
        verdict = json.loads((run / "verdict.json").read_text())
        assert (run / "report" / "index.html").stat().st_size > 1000, said
        assert verdict["state"] == ("met" if finished.outcome == "completed" else "broken"), said
        assert process.returncode == verdict["exit"], said
        ended.add(str(finished.outcome))
    assert "interrupted" in ended, "some moment met the run in its middle"
