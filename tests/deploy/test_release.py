"""A release, with real processes and sockets: what is not proved goes back, whoever ends the job; somebody else's stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.structure.tree import ROOT

SCRIPT = ROOT / "deploy" / "release" / "release.py"


class Place:
    """An environment that answers what its file holds, and a chat; deploying is writing the file."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file, self.posted = folder, folder / "version", list[dict[str, Any]]()
        place = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps({"version": place.now}).encode()
                self.send_response(200 if place.now else 503)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                place.posted.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *words: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{self.server.server_port}/"
        self.variables = {
            "PATH": os.environ["PATH"],
            "RELEASE_NAME": "production",
            "RELEASE_VERSION": "two",
            "RELEASE_ASK": url,
            "RELEASE_DEPLOY": "echo $RELEASE_VERSION > version",
            "RELEASE_GATE": "true",
            "RELEASE_BACK": "echo $RELEASE_PREVIOUS > version",
            "RELEASE_PATIENCE": "1",
            "RELEASE_PAUSE": "0.05",
            "ASSAY_WEBHOOK": url,
        }
        self.file.write_text("one")

    @property
    def now(self) -> str:
        """What is deployed."""
        return self.file.read_text().strip()

    def start(self, *words: str, **changes: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(SCRIPT), *words],
            cwd=self.folder,
            env=self.variables | changes,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def release(self, *words: str, **changes: str) -> tuple[int, str]:
        """The exit code of a release, and what it said."""
        process = self.start(*words, **changes)
        said, _ = process.communicate(timeout=50)
        return process.returncode, said

    @property
    def events(self) -> list[str]:
        """What the chat was told."""
        return [one["release"]["event"] for one in self.posted]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    found = Place(tmp_path)
    yield found
    found.server.shutdown()
    found.server.server_close()


def test_a_proved_version_stands(place: Place) -> None:
    code, _ = place.release()
    assert (code, place.now, place.events) == (0, "two", ["released"])
    assert not (place.folder / "release.json").exists()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"RELEASE_GATE": "exit 1"}, "the gate is closed (exit code 1)"),
        ({"RELEASE_GATE": "exit 3"}, "the gate is closed (exit code 3)"),
        ({"RELEASE_DEPLOY": "echo two > version; exit 4"}, "the deployment ended with exit code 4"),
        ({"RELEASE_DEPLOY": "true"}, "one is answered, not two"),
        ({"RELEASE_DEPLOY": ": > version"}, "nothing is answered, not two"),
        ({"RELEASE_GATE": ": > version"}, "after the gate nothing is answered"),
    ],
)
def test_what_is_not_proved_goes_back(place: Place, changes: dict[str, str], why: str) -> None:
    code, said = place.release(**changes)
    assert (code, place.now, place.events) == (1, "one", ["rolled back"]), said
    assert why in str(place.posted[0]["text"])
    assert place.posted[0]["release"] == {
        "event": "rolled back", "environment": "production", "version": "two", "previous": "one", "exit": 1,
    }  # fmt: skip


def test_a_version_that_somebody_else_deployed_is_left_alone(place: Place) -> None:
    code, _ = place.release(RELEASE_GATE="echo three > version; exit 1")
    assert (code, place.now, place.events) == (3, "three", ["stopped"])


@pytest.mark.parametrize(
    "changes",
    [
        {"RELEASE_BACK": "exit 1"},
        {"RELEASE_BACK": "true"},
        {"RELEASE_VERSION": "one"},  # judged again, and there is no other to go back to
    ],
)
def test_what_cannot_go_back_calls_a_person(place: Place, changes: dict[str, str]) -> None:
    code, _ = place.release(RELEASE_GATE="exit 1", **changes)
    assert (code, place.events) == (3, ["stuck"])


def test_the_first_release_is_said_to_be_the_first(place: Place) -> None:
    place.file.write_text("")
    code, said = place.release()
    assert (code, place.now, place.events) == (2, "", [])
    assert "RELEASE_FIRST" in said
    code, _ = place.release(RELEASE_FIRST="true")
    assert (code, place.now) == (0, "two")


JUDGING = "echo $$ > judging; sleep 60; echo late > version"


def until_judging(place: Place) -> int:
    """The process group of the gate, once it is at work."""
    while not (there := (place.folder / "judging")).exists() or not there.read_text().strip():
        time.sleep(0.02)
    return int(there.read_text())


def alive_in(group: int, process: psutil.Process) -> bool:
    """Whether a process of this group still runs."""
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, psutil.Error):
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_job_goes_back_and_ends_what_it_had_started(place: Place, number: signal.Signals) -> None:
    process = place.start(RELEASE_GATE=JUDGING)
    gate = until_judging(place)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert (process.returncode, place.now, place.events) == (1, "one", ["rolled back"])
    assert not [p for p in psutil.process_iter() if alive_in(gate, p)]
    assert place.release("settle")[0] == 0


def test_what_a_killed_job_left_goes_back_by_its_last_step(place: Place) -> None:
    process = place.start(RELEASE_GATE=JUDGING)
    gate = until_judging(place)
    process.kill()
    os.killpg(gate, signal.SIGKILL)  # as the runner ends all that a step had started
    process.communicate(timeout=30)
    assert (place.now, place.events) == ("two", [])
    assert place.release("settle")[0] == 1
    assert (place.now, place.events) == ("one", ["rolled back"])
    assert place.release("settle")[0] == 0


def test_a_chat_that_is_away_changes_no_outcome(place: Place) -> None:
    code, said = place.release(ASSAY_WEBHOOK="http://127.0.0.1:9/", RELEASE_GATE="exit 1")
    assert (code, place.now) == (1, "one")
    assert "the webhook did not take it" in said


def test_a_missing_variable_is_one_sentence(place: Place) -> None:
    code, said = place.release(RELEASE_GATE="")
    assert (code, said) == (2, "release: not set: RELEASE_GATE\n")


def test_the_reference_platform_goes_back_by_its_version_s_tag(place: Place) -> None:
    """`deploy/release/platform`: wrangler is asked for the version that deploy.mjs had tagged so."""
    calls = place.folder / "calls"
    wrangler = place.folder / "wrangler"
    wrangler.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {calls}\n')
    wrangler.chmod(0o755)
    done = subprocess.run(
        [str(ROOT / "deploy/release/platform"), "back"],
        env={"PATH": os.environ["PATH"], "WRANGLER": str(wrangler), "RELEASE_PREVIOUS": "one", "RELEASE_VERSION": "two"},
        timeout=30,
    )  # fmt: skip
    words = calls.read_text().splitlines()
    assert done.returncode == 0
    assert words[:4] == ["versions", "deploy", "--version-tag", "one@100%"]
    assert "--tag" in (ROOT / "stack/platform/deploy.mjs").read_text()
