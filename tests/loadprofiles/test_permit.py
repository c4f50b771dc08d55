"""A load and its run: started by whoever, it begins only where the target permits load, and contacts what it names."""

import os
import subprocess
import sys

import pytest

from clients.services import catalogue
from core.evidence import Evidence
from core.load_events import LoadFinished
from core.run import ROOT, VARIABLE, LoadPart, Run
from core.target import resolve
from tests.clients.strange import environment
from tests.runner.recording_proxy import RecordingProxy

RAISING = ROOT / "tests" / "loadengine" / "patched" / "raising.py"
PERSON = {
    "id": "1",
    "username": "ada",
    "token": "t" * 12,
    "password": "the-password-of-ada",
    "refresh_token": "r" * 12,
}


@pytest.fixture
def server(tmp_path):
    """A server that answers everything, behind a proxy that records."""
    process = subprocess.Popen(
        [sys.executable, "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    recorder = RecordingProxy(process.stdout.readline().split("(")[1].split(")")[0].rstrip("/"))
    yield recorder
    recorder.close()
    process.kill()
    process.communicate()


def described(folder, server, *actions):
    """A live target whose platform is this server."""
    file = folder / "target.toml"
    named = ", ".join(f'"{action}"' for action in actions)
    file.write_text(f'[capabilities]\n"platform.api" = "required"\n[permit]\nactions = [{named}]\n')
    return resolve("live", catalogue(), environment=environment(9) | {"PLATFORM_URL": server.url}, file=file)


def locust(file, folder, target=None, **variables):
    words = [sys.executable, "-m", "locust", "-f", str(file), "--headless", "-u", "2", "-r", "10", "-t", "2s"]
    words += ["--only-summary", "--loglevel", "WARNING", "--exit-code-on-error", "0"]
    clean = {k: v for k, v in os.environ.items() if k != VARIABLE} | {"PYTHONPATH": str(ROOT)}
    part = LoadPart("raising", {"warm_up": "0.2"}, people=(PERSON,))
    if target is None:
        return subprocess.run(words, env=clean | variables, capture_output=True, text=True, timeout=90)
    run = Run.begin(folder / "run", target, "test")
    with run.handed(load=part) as joining:
        return subprocess.run(
            words, env=clean | variables | joining, capture_output=True, text=True, timeout=90
        )


@pytest.mark.parametrize("profile", ["rooms", "uptime", "telemetry"])
def test_a_profile_without_a_run_is_one_sentence_before_the_start(profile, tmp_path):
    done = locust(ROOT / "loadprofiles" / f"{profile}.py", tmp_path)
    assert done.returncode == 2, done.stderr
    assert "assay load: this profile is about a platform, and no run names one" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_plain_locust_needs_the_permit_too_and_sends_nothing_without(server, tmp_path):
    done = locust(RAISING, tmp_path, described(tmp_path, server, "read", "write", "admin"))
    assert done.returncode == 2, done.stderr
    assert "the load 'raising' needs the permit 'load'" in done.stderr
    assert server.connections == 0
    done = locust(RAISING, tmp_path, described(tmp_path, server, "read", "load"))
    assert server.requests, done.stderr


def test_a_task_that_raises_makes_the_load_broken_and_tells_no_secret(server, tmp_path):
    done = locust(RAISING, tmp_path, described(tmp_path, server, "read", "load"), STUMBLE="yes")
    [finished] = Evidence(tmp_path / "run").events(LoadFinished)
    assert finished.outcome == "broken"
    assert "cannot log in with ***" in finished.reason
    assert done.returncode == 3
    for path in (tmp_path / "run").rglob("*"):
        if path.is_file():
            assert PERSON["password"].encode() not in path.read_bytes(), path
    assert PERSON["password"] not in done.stdout + done.stderr


def test_a_host_that_the_target_does_not_name_is_not_contacted(server, tmp_path):
    stranger = RecordingProxy(server.url)
    done = locust(RAISING, tmp_path, described(tmp_path, server, "read", "load"), STRANGER=stranger.url)
    stranger.close()
    assert stranger.connections == 0
    assert server.requests
    [finished] = Evidence(tmp_path / "run").events(LoadFinished)
    assert finished.outcome == "broken"
    assert "is not one of this target's" in finished.reason, done.stderr
