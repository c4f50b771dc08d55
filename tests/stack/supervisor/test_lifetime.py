"""A stack lives exactly as long as somebody holds it, however each party ends."""

import json
import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from stack.supervisor.paths import Paths
from tests.stack.supervisor.harness import ROOT, Stack, component, eventually


def test_a_holder_gets_all_it_needs_and_takes_the_stack_with_it(stack):
    holder, answer = stack.held()
    assert set(answer) == {"variables", "control", "state", "engines", "notes"}
    assert set(answer["variables"]) == {"BASE_URL", "TOP_URL"}
    assert answer["engines"]["base"] == {"kind": "stand-in", "name": "fake base"}
    assert len(stack.processes()) == 5, stack.processes()  # the supervisor, two guards, two components

    holder.stdin.close()
    assert holder.wait(20) == 0
    assert stack.processes() == {}, "when the last holder has ended, so has all else"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_the_holder_leaves_nothing_when_it_has_ended(stack, number, code):
    holder, _ = stack.held()
    holder.send_signal(number)
    assert holder.wait(20) == code
    assert stack.processes() == {}


def test_a_killed_holder_leaves_nothing(stack):
    holder, _ = stack.held()
    holder.kill()
    stack.gone()


def test_a_second_up_attaches_and_outlives_the_first(stack):
    first, one = stack.held()
    second, two = stack.held()
    assert one == two
    first.kill()
    first.wait(20)
    time.sleep(1.0)  # a second without the first holder: far more than the supervisor needs to look
    assert stack.component(two, "top")["state"] == "ready"
    second.stdin.close()
    assert second.wait(20) == 0
    assert stack.processes() == {}


def test_a_detached_stack_stays_until_down(stack):
    assert stack.run("up").stdout.startswith("READY")
    assert stack.run("status").stdout.startswith("ready")
    lines = stack.run("env").stdout.splitlines()
    assert [line.split("=")[0] for line in lines] == ["BASE_URL", "TOP_URL"]
    holder, answer = stack.held()
    holder.stdin.close()
    holder.wait(20)
    assert stack.component(answer, "base")["state"] == "ready", "a holder that came and went ends nothing"
    assert stack.run("down").stdout == "down\n"
    assert stack.processes() == {}
    assert stack.run("down").stdout == "nothing was up\n"
    assert stack.run("status", check=False).returncode == 3
    nothing = stack.run("env", check=False)
    assert (nothing.returncode, "assay up" in nothing.stderr) == (3, True)


def test_down_ends_a_stack_that_others_hold_and_tells_them(stack):
    holder, _ = stack.held()
    stack.run("down")
    assert stack.processes() == {}
    assert holder.wait(20) == 3
    assert "The stack has ended" in holder.stderr.read()


def test_a_killed_supervisor_takes_everything_with_it(stack):
    holder, _ = stack.held()
    os.kill(stack.supervisor(), signal.SIGKILL)
    stack.gone()
    assert holder.wait(20) == 3
    _, again = stack.held()
    assert stack.component(again, "top")["state"] == "ready"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_supervisor_ends_the_stack_in_order(stack, number):
    holder, _ = stack.held()
    os.kill(stack.supervisor(), number)
    assert holder.wait(20) == 3
    stack.gone()


def test_supervisor_and_guards_killed_at_once(stack):
    stack.held()
    guards = [pid for pid, argv in stack.processes().items() if "process_guard.py" in argv]
    assert len(guards) == 2
    for pid in [stack.supervisor(), *guards]:
        os.kill(pid, signal.SIGKILL)
    stack.gone()


@pytest.mark.parametrize("whom", ["component", "guard"])
def test_what_a_dead_component_left_behind_is_ended(tmp_path, whom):
    component(tmp_path / "components", "litter", mode="breeds")
    stack = Stack(tmp_path, tmp_path / "components")
    try:
        _, answer = stack.held()
        before = stack.processes()
        assert len(before) == 4, before  # the supervisor, a guard, the component, its orphaned grandchild
        victim = stack.component(answer, "litter")["pid"]
        if whom == "guard":
            victim = next(pid for pid, argv in before.items() if "process_guard.py" in argv)
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: set(stack.processes()) == {stack.supervisor()}, "only the supervisor is left")
        eventually(lambda: stack.component(answer, "litter")["state"] == "died", "it is known to be dead")
    finally:
        stack.close()


def test_a_component_deaf_to_sigterm_is_killed(tmp_path):
    component(tmp_path / "components", "deaf", mode="stubborn")
    stack = Stack(tmp_path, tmp_path / "components")
    try:
        holder, _ = stack.held()
        holder.stdin.close()
        assert holder.wait(30) == 0
        assert stack.processes() == {}
    finally:
        stack.close()


@pytest.fixture
def hanging(tmp_path):
    component(tmp_path / "components", "quick", mode="breeds")
    component(tmp_path / "components", "slow", mode="hangs")
    stack = Stack(tmp_path, tmp_path / "components")
    yield stack
    stack.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_start_leaves_nothing(hanging, number):
    holder = hanging.hold()
    eventually(lambda: any(e["type"] == "component.ready" for e in hanging.events()), "one component is up")
    holder.send_signal(number)
    assert holder.wait(20) == (-9 if number == signal.SIGKILL else 128 + number)
    if number == signal.SIGKILL:
        hanging.gone()
    assert hanging.processes() == {}


def test_a_start_interrupted_at_any_moment_leaves_nothing(hanging):
    for delay in (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4):
        holder = hanging.hold()
        time.sleep(delay)
        holder.kill()
        holder.wait(20)
        hanging.gone()


def test_racing_ups_share_one_stack(stack):
    holders = [stack.hold() for _ in range(5)]
    answers = {h.stdout.readline() for h in holders}
    assert len(answers) == 1
    assert answers != {""}
    assert len(stack.processes()) == 5, stack.processes()
    for holder in holders:
        holder.stdin.close()
        assert holder.wait(30) == 0
    assert stack.processes() == {}


def test_an_up_during_the_end_of_another_gets_a_stack_of_its_own(stack):
    for _ in range(4):
        first, _ = stack.held()
        first.stdin.close()
        second, two = stack.held()
        assert stack.component(two, "top")["state"] == "ready"
        second.stdin.close()
        assert second.wait(30) == 0
        assert first.wait(30) == 0


def test_several_stacks_live_side_by_side(tmp_path, fakes):
    stacks = [Stack(tmp_path / name, fakes) for name in ("one", "two", "three")]
    try:
        answers = [s.held()[1] for s in stacks]
        urls = {url for a in answers for url in [*a["variables"].values(), a["control"]["url"]]}
        assert len(urls) == 9
        stacks[0].run("down")
        assert stacks[0].processes() == {}
        assert stacks[1].component(answers[1], "top")["state"] == "ready"
    finally:
        for stack in stacks:
            stack.close()


def test_without_a_pipe_for_input_the_holder_stays(stack):
    holder = subprocess.Popen(
        stack.argv("up", "--hold", "--json"), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    stack.started.append(holder)
    assert holder.stdout.readline()
    time.sleep(1.0)  # an input at its end must not be taken for a closed one
    assert holder.poll() is None
    holder.terminate()
    assert holder.wait(20) == 143


def test_remove_ends_a_stack_and_removes_its_folder(stack, tmp_path):
    stack.run("up")
    stack.run("remove")
    assert stack.processes() == {}
    assert not stack.state.exists()
    stack.run("remove")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis").write_text("")
    other = Stack(tmp_path / "precious", stack.components)
    other.state = tmp_path / "precious"
    refused = other.run("remove", check=False)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert (tmp_path / "precious" / "thesis").exists()


def test_options_reach_the_components(stack):
    stack.held('--option=version="abc"', '--option=supabase={"pool_size": 3}')
    options = json.loads((stack.state / "CONFIG.json").read_text())["options"]
    assert (options["version"], options["supabase"]) == ("abc", {"pool_size": 3})
    assert "is not NAME=JSON" in stack.run("up", "--option=version=abc", check=False).stderr


def test_a_stack_older_than_the_sources_is_said_to_be(stack):
    stack.run("up")
    described = json.loads((stack.state / "supervisor.json").read_text())
    (stack.state / "supervisor.json").write_text(json.dumps(described | {"sources": "earlier"}))
    assert "the sources have changed since it started" in stack.run("up").stderr


def test_many_make_the_same_folder_at_once(tmp_path):
    """Workers join together: none may trip over what another leaves or takes away (once, a probe of one name)."""
    paths = Paths(tmp_path / "state")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: paths.make(), range(4000)))
    assert list(paths.state.iterdir()) == []
