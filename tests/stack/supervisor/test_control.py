"""The control address: planned outages, faults, and the news of what died."""

import os
import signal
from pathlib import Path

import pytest

from tests.stack.supervisor.harness import Stack, component, eventually


def test_nothing_is_told_without_the_token(stack):
    _, answer = stack.held()
    for method, path in [("GET", "/components"), ("POST", "/down"), ("POST", "/components/top/kill")]:
        status, said = stack.ask(answer, method, path, token="wrong")
        assert (status, set(said)) == (401, {"error"})
    assert stack.component(answer, "top")["state"] == "ready"


def test_components_are_told_with_all_that_an_error_needs(stack):
    _, answer = stack.held()
    status, found = stack.ask(answer, "GET", "/components")
    assert status == 200
    assert [c["name"] for c in found["components"]] == ["base", "top"]
    for one in found["components"]:
        os.kill(one["pid"], 0)
        assert one["url"] == answer["variables"][f"{one['name'].upper()}_URL"]
        assert "serves" in Path(one["log"]).read_text()


@pytest.mark.parametrize(("action", "state"), [("stop", "stopped"), ("kill", "killed")])
def test_a_planned_outage_is_recorded_as_such_and_ended(stack, action, state):
    _, answer = stack.held()
    before = stack.component(answer, "top")
    status, after = stack.ask(answer, "POST", f"/components/top/{action}")
    assert (status, after["state"]) == (200, state)
    assert after["exit_code"] == (143 if action == "stop" else 137)
    status, again = stack.ask(answer, "POST", "/components/top/start")
    assert (status, again["state"]) == (200, "ready")
    assert again["pid"] != before["pid"]
    assert again["ports"] == before["ports"], "it is found where it was"
    _, answered = stack.ask(answer, "GET", "/events?since=0")
    outage = [
        (e["type"], e["component"], e["action"]) for e in answered["events"] if e["type"].startswith("outage")
    ]
    assert outage == [("outage.planned", "top", action), ("outage.ended", "top", "start")]
    assert "component.died" not in {e["type"] for e in answered["events"]}
    assert answered["events"] == stack.events(), "what is on disk is the same"


def test_restart_is_one_outage_and_repeats_do_no_harm(stack):
    _, answer = stack.held()
    assert stack.ask(answer, "POST", "/components/base/restart")[1]["state"] == "ready"
    assert stack.ask(answer, "POST", "/components/base/start")[1]["state"] == "ready"
    stack.ask(answer, "POST", "/components/base/stop")
    assert stack.ask(answer, "POST", "/components/base/stop")[1]["state"] == "stopped"
    assert [e["type"] for e in stack.events()].count("outage.planned") == 2


def test_an_unplanned_death_is_named_and_nothing_restarts(stack):
    _, answer = stack.held()
    pid = stack.component(answer, "top")["pid"]
    seq = stack.events()[-1]["seq"]
    os.kill(pid, signal.SIGKILL)

    def news():
        return stack.ask(answer, "GET", f"/events?since={seq}")[1]["events"]

    (death,) = eventually(news, "the death is told")
    assert (death["type"], death["component"], death["pid"]) == ("component.died", "top", pid)
    assert (death["exit_code"], death["ended"]) == (137, "killed by SIGKILL")
    assert "top serves" in death["last_lines"]
    assert stack.component(answer, "top")["state"] == "died"
    assert stack.component(answer, "base")["state"] == "ready"
    assert "component.starting" not in {e["type"] for e in news()}

    status = stack.run("status", check=False)
    assert status.returncode == 3
    assert "died" in status.stdout
    refused = stack.run("up", check=False)
    assert refused.returncode == 3
    assert refused.stderr.count("\n") == 1
    assert "lacks top (died" in refused.stderr
    assert stack.ask(answer, "POST", "/components/top/start")[1]["state"] == "ready", (
        "who wants it back may say so"
    )


def test_a_holder_tells_of_a_death(stack):
    holder, answer = stack.held()
    os.kill(stack.component(answer, "top")["pid"], signal.SIGKILL)
    eventually(lambda: any(e["type"] == "component.died" for e in stack.events()), "the death is told")
    stack.run("down")
    holder.wait(20)
    assert "top        died: killed by SIGKILL" in holder.stderr.read()


def test_a_component_that_does_not_come_back_is_named(tmp_path):
    component(tmp_path / "components", "weak", mode="soon")
    stack = Stack(tmp_path, tmp_path / "components")
    try:
        _, answer = stack.held()
        eventually(lambda: stack.component(answer, "weak")["state"] == "died", "it died by itself")
        death = stack.events()[-1]
        assert (death["exit_code"], "it was too much" in death["last_lines"]) == (9, True)
    finally:
        stack.close()


def test_faults_are_passed_on_and_recorded(stack):
    _, answer = stack.held()
    fault = {"route": "/x", "delay_ms": 50}
    assert stack.ask(answer, "POST", "/faults/top", fault) == (200, {"took": fault})
    event = stack.events()[-1]
    assert (event["type"], event["component"], event["fault"]) == ("fault.set", "top", fault)
    stack.ask(answer, "POST", "/components/top/stop")
    status, said = stack.ask(answer, "POST", "/faults/top", fault)
    assert (status, said["error"]) == (409, "top is stopped: it takes no faults now.")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/components/nobody/stop", 404),
        ("POST", "/components/top/explode", 404),
        ("GET", "/nothing", 404),
        ("GET", "/events?since=yesterday", 400),
        ("POST", "/faults/nobody", 404),
    ],
)
def test_a_wrong_request_is_refused_in_words(stack, method, path, status):
    _, answer = stack.held()
    found, said = stack.ask(answer, method, path)
    assert found == status
    assert said["error"].endswith(".")
