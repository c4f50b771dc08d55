"""Every failure is one sentence that says what happened and what to do, and leaves nothing behind."""

import json
import resource
import shutil
import socket
from pathlib import Path

import pytest

from stack.supervisor.component import load
from stack.supervisor.errors import StackError
from stack.supervisor.paths import Paths
from tests.stack.supervisor.harness import Stack, component


def failure(stack, *words, code=3, verb="up", **keywords):
    """Run a command that must fail, and return its last line."""
    done = stack.run(verb, *words, check=False, **keywords)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert stack.processes() == {}
    return done.stderr.splitlines()[-1]


@pytest.fixture
def broken(tmp_path, fakes):
    """A stack with a third component; `broken(mode)` says how it fails."""
    made = []

    def make(mode, **keywords):
        component(fakes, "weak", mode=mode, **keywords)
        made.append(Stack(tmp_path, fakes))
        return made[-1]

    yield make
    for stack in made:
        stack.close()


def test_a_component_that_ends_at_once_is_quoted(broken):
    stack = broken("dies")
    done = stack.run("up", check=False)
    assert done.returncode == 3
    log = stack.state / "logs" / "weak.log"
    assert done.stderr.splitlines()[-1] == (
        f"weak ended before it was ready: exit code 7; it said: the reason why it cannot start; its log: {log}"
    )
    assert "    the first line\n    the reason why it cannot start\n" in done.stderr
    assert log.read_text() == "the first line\nthe reason why it cannot start\n"
    assert stack.processes() == {}


def test_a_component_that_is_never_ready_is_named(broken):
    said = failure(broken("hangs", start_s=0.5))
    assert said.startswith("weak was not ready within 0.5 s")


def test_a_death_while_others_start_is_named_and_not_what_follows_from_it(broken, fakes):
    component(fakes, "late", mode="hangs")
    assert failure(broken("soon")).startswith(
        "weak died while others started: exit code 9; it said: it was too"
    )


def test_after_a_failed_start_the_next_one_works_and_the_logs_are_kept(broken, fakes):
    stack = broken("dies")
    failure(stack)
    (fakes / "weak.py").unlink()
    stack.run("up")
    assert "the reason why" in (stack.state / "logs.1" / "weak.log").read_text()


def test_a_wanted_port_in_use(stack):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = failure(stack, f"--port=top={port}", code=2)
    assert said == f"Port {port}, wanted for top, is in use: end what listens there or choose another."
    _, answer = stack.held(f"--port=top={port}")
    assert answer["variables"]["TOP_URL"] == f"http://127.0.0.1:{port}"


def test_an_unknown_port_and_a_malformed_one(stack):
    assert (
        failure(stack, "--port=rain=4000", code=2) == "No port is named 'rain'; there are control, base, top."
    )
    assert "is not NAME=NUMBER" in failure(stack, "--port=top=high", code=2)


def test_a_folder_that_cannot_be_written(tmp_path, fakes):
    (tmp_path / "file").write_text("in the way")
    stack = Stack(tmp_path / "file", fakes)
    said = failure(stack, code=2)
    assert said.startswith(f"The stack's folder {stack.state} cannot be written: ")
    assert said.endswith("give another one with --state.")


@pytest.mark.parametrize("size", [150, 250, 350, 450, 600])
def test_a_disk_that_fills_while_starting(stack, size, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # the limit would cut Python's own cache short

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    done = stack.run("up", check=False, preexec_fn=limit)
    assert "Traceback" not in done.stderr
    if size < 300 or done.returncode:  # CONFIG.json alone is larger
        assert done.returncode == 3
        assert "File too large" in done.stderr.splitlines()[-1]
        assert stack.processes() == {}
        stack.run("up")


def test_a_nearly_full_disk(tmp_path, monkeypatch):
    paths = Paths(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 5 * 2**20))
    with pytest.raises(
        StackError, match=r"^Only 5 MB are free at .*: free some, or give a folder on another disk"
    ):
        paths.begin()


@pytest.mark.parametrize("name", ["stack.json", "CONFIG.json", "supervisor.json"])
@pytest.mark.parametrize("content", ["", "[]", '{"phase": "ready"}'])
def test_damaged_state_is_said_and_down_mends_it(stack, name, content):
    holder, _ = stack.held()
    (stack.state / name).write_text(content)
    done = stack.run("up", check=False)
    assert done.returncode in (0, 3)
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert "`assay down`" in done.stderr.splitlines()[-1]
    for verb in ("status", "env"):
        assert "Traceback" not in stack.run(verb, check=False).stderr
    stack.run("down")
    assert stack.processes() == {}
    holder.wait(20)
    stack.run("up")


def test_left_over_files_of_a_dead_stack_do_no_harm(stack):
    stack.state.mkdir()
    for name in ("stack.json", "CONFIG.json", "supervisor.json", "events.jsonl"):
        (stack.state / name).write_text('{"phase": "ready", "half')
    stack.run("up")
    assert stack.run("status").returncode == 0


def test_secrets_lie_in_private_files_only(stack):
    _, answer = stack.held()
    hidden = [answer["control"]["token"], "hush-base", "hush-top"]
    for path in stack.state.rglob("*"):
        text = path.read_text() if path.is_file() else ""
        if any(secret in text for secret in hidden):
            assert path.name in ("CONFIG.json", "stack.json")
            assert path.stat().st_mode & 0o777 == 0o600
    assert stack.state.stat().st_mode & 0o777 == 0o700
    for argv in stack.processes().values():
        assert not any(secret in argv for secret in hidden)
    config = json.loads((stack.state / "CONFIG.json").read_text())
    assert set(config) == {"state", "logs", "ports", "variables", "secrets", "options"}
    assert Path(config["state"]).parent == stack.state
    assert Path(config["logs"]).is_dir()


@pytest.mark.parametrize(
    ("needs", "reason"),
    [(["nobody"], "cannot be met"), (["weak"], "cannot be met"), (["top"], "cannot be met")],
)
def test_needs_that_cannot_be_met(fakes, needs, reason):
    component(fakes, "weak", needs=needs)
    component(fakes, "top", needs=["weak"])
    with pytest.raises(StackError, match=reason):
        load(fakes)


def test_a_module_without_a_component(fakes, tmp_path):
    (fakes / "empty.py").write_text("")
    with pytest.raises(StackError, match="defines no COMPONENT"):
        load(fakes)
    with pytest.raises(StackError, match="holds no component"):
        load(tmp_path / "nowhere")
