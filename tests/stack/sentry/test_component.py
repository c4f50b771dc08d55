"""The pair as one component of the stack: one life, one end, and what a restart keeps."""

from __future__ import annotations

import os
import signal
import uuid

import httpx
import psutil

from tests.stack.sentry.test_ingest import envelope, error, send
from tests.stack.vendors.eventually import until
from tests.stack.vendors.running import make


def test_a_restart_keeps_errors_and_ends_with_no_process_left(tmp_path):
    running = make("sentry", tmp_path)
    running.start()
    event = error("kept", event_id=uuid.uuid4().hex)
    assert send(running, envelope(({"type": "event"}, event), event_id=event["event_id"])).status_code == 200
    children = psutil.Process(running.process.pid).children(recursive=True)
    assert children
    assert running.stop() == 0
    assert psutil.wait_procs(children, timeout=3)[1] == []
    running.start()
    token = {"Authorization": "Bearer " + running.env["SENTRY_AUTH_TOKEN"]}
    url = f"{running.root}/api/0/projects/assay/platform/events/{event['event_id']}/"
    assert httpx.get(url, headers=token, timeout=30).status_code == 200
    assert running.stop() == 0


def test_bugsinks_death_ends_the_component_and_the_components_death_ends_bugsink(tmp_path):
    running = make("sentry", tmp_path)
    running.start()
    (master,) = psutil.Process(running.process.pid).children()
    os.kill(master.pid, signal.SIGKILL)
    assert running.process.wait(timeout=10) == 1
    assert "ended by itself" in (tmp_path / "sentry.log").read_text()
    running.process.stdout.close()
    running.start()
    children = psutil.Process(running.process.pid).children(recursive=True)
    os.kill(running.process.pid, signal.SIGKILL)
    running.process.wait(timeout=5)
    running.process.stdout.close()
    assert until(lambda: not any(child.is_running() and child.status() != "zombie" for child in children))
