"""Two at once, and killed in the middle: against an index that holds its answer back."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.launcher.conftest import Checkout


class SlowIndex:
    """A package index on loopback: tells when the wheel is asked for, answers it when allowed to."""

    def __init__(self, wheels: Path) -> None:
        self.asked, self.allowed = threading.Event(), threading.Event()
        self.downloads = 0
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.rstrip("/").rsplit("/", 1)[-1]
                if self.path.startswith("/simple/"):
                    links = "".join(
                        f'<a href="/wheels/{path.name}">{path.name}</a>' for path in wheels.iterdir()
                    )
                    body = f"<!DOCTYPE html><html><body>{links}</body></html>".encode()
                    kind = "text/html"
                else:
                    index.downloads += 1
                    index.asked.set()
                    index.allowed.wait(180)
                    body, kind = (wheels / name).read_bytes(), "application/octet-stream"
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/simple"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.allowed.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def index(checkout: Checkout) -> Iterator[SlowIndex]:
    slow = SlowIndex(checkout.wheels)
    checkout.env = {k: v for k, v in checkout.env.items() if k not in ("PIP_NO_INDEX", "PIP_FIND_LINKS")}
    checkout.env |= {"PIP_INDEX_URL": slow.url, "PIP_NO_CACHE_DIR": "1"}
    yield slow
    slow.close()


def _start(checkout: Checkout) -> subprocess.Popen[str]:
    return subprocess.Popen(
        checkout.argv("status"), env=checkout.env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_two_first_runs_at_once_install_once(checkout: Checkout, index: SlowIndex) -> None:
    with _start(checkout) as first:
        assert index.asked.wait(180)
        with _start(checkout) as second:
            assert second.stderr is not None
            assert "another setup is at work" in second.stderr.readline()
            index.allowed.set()
            said, errors = second.communicate(timeout=300)
            assert second.returncode == 0, errors
            assert json.loads(said)["tiny"] == "1.0"
        said, errors = first.communicate(timeout=300)
        assert first.returncode == 0, errors
        assert json.loads(said)["tiny"] == "1.0"
    assert index.downloads == 1


def test_after_kill_9_the_next_run_waits_for_the_orphan_and_starts_afresh(
    checkout: Checkout, index: SlowIndex
) -> None:
    with _start(checkout) as first:
        assert index.asked.wait(180)
        first.kill()
    assert not (checkout.packages / "assay_tiny").exists()
    (checkout.venv / "half-made").write_text("")
    with _start(checkout) as second:
        assert second.stderr is not None
        assert "another setup is at work" in second.stderr.readline()  # pip outlived its launcher
        index.allowed.set()
        said, errors = second.communicate(timeout=300)
    assert second.returncode == 0, errors
    assert json.loads(said)["tiny"] == "1.0"
    assert not (checkout.venv / "half-made").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_installer_too(
    checkout: Checkout, index: SlowIndex, number: signal.Signals
) -> None:
    with _start(checkout) as first:
        assert index.asked.wait(180)
        first.send_signal(number)
        _, errors = first.communicate(timeout=180)
    assert first.returncode == 3
    assert "the next run finishes the setup" in errors
    assert "Traceback" not in errors
    index.allowed.set()
    done = checkout.run("status")
    assert done.returncode == 0, done.stderr
    assert "another setup" not in done.stderr
