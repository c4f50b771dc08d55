"""The one door into a run: who joins sees what its beginner saw, the private file is private, and gone at the end."""

import json
import os
import signal
import stat
import subprocess
import sys

import pytest

from clients.services import catalogue
from core import project
from core import run as door
from core.errors import ConfigError
from core.events import Note
from core.evidence import Evidence
from core.project import find_project
from core.run import LoadPart, Run
from core.target import ServiceEngine, resolve
from tests.clients.strange import environment

ROOT = door.ROOT
PERSON = {
    "id": "1",
    "username": "ada",
    "token": "token-of-ada",
    "password": "password-of-ada",
    "refresh_token": "r",
}
JOIN = """
import json
from core.events import Note, NoteLevel
from core.run import Run
run = Run.join("child")
text = "the password is " + run.load.people[0]["password"] if run.load.people else ""
run.journal.write(Note(NoteLevel.INFO, text))
print(json.dumps([run.id, run.target.get("VITE_SUPABASE_URL"), sorted(run.permit.actions), run.load.profile]))
"""

WHERE = """
from core.run import Run
print(Run.join("child").target.description.where("people.captcha"))
"""


@pytest.fixture
def run(tmp_path):
    target = resolve(
        "embedded",
        catalogue(),
        environment=environment(9),
        engines={"kv": ServiceEngine("engine", "miniflare")},
        control_url="http://127.0.0.1:8",
        control_token="control-token",
    )
    run = Run.begin(tmp_path / "20261130-000000-abcdef", target, "test")
    yield run
    run.journal.close()


def child(code, joining):
    clean = {name: value for name, value in os.environ.items() if name != door.VARIABLE}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**clean, **joining},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_who_joins_sees_the_whole_run(run, monkeypatch):
    monkeypatch.setattr(project._Process, "project", None)  # and afterwards again
    with run.handed(
        load=LoadPart("rooms", {"warm_up": "3"}, {"ASSAY_ROOMS_STORM": "0"}, (PERSON,))
    ) as joining:
        for name, value in joining.items():
            monkeypatch.setenv(name, value)
        joined = Run.join("child")
    assert find_project().is_reference
    assert joined.directory == run.directory
    theirs, ours = vars(joined.target) | {"description": None}, vars(run.target) | {"description": None}
    assert theirs == ours
    assert joined.target.description.model_dump() == run.target.description.model_dump()
    assert joined.load == LoadPart("rooms", {"warm_up": "3"}, {"ASSAY_ROOMS_STORM": "0"}, (PERSON,))


def test_who_joins_names_file_and_line_as_the_runner_does(tmp_path):
    """What a check says of the description is said in a child: the line travels in the private file."""
    file = tmp_path / "target.toml"
    file.write_text('[capabilities]\n"platform.api" = "required"\n[people]\ncaptcha = true\n')
    target = resolve("live", catalogue(), environment=environment(9), file=file)
    begun = Run.begin(tmp_path / "20261130-000000-abcdef", target, "test")
    with begun.handed() as joining:
        done = child(WHERE, joining)
    begun.journal.close()
    assert done.stdout.strip() == f"{file}:4" == begun.target.description.where("people.captcha"), done.stderr


def test_a_child_needs_one_variable_and_no_other(run):
    with run.handed(load=LoadPart("rooms")) as joining:
        assert list(joining) == ["ASSAY_RUN"]
        done = child(JOIN, joining)
    assert json.loads(done.stdout) == [run.id, "http://127.0.0.1:9", sorted(run.permit.actions), "rooms"], (
        done.stderr
    )


def test_the_file_is_private_outside_the_artifacts_and_gone_at_the_end(run):
    with run.handed() as joining:
        path = door.Path(joining["ASSAY_RUN"])
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert not path.is_relative_to(run.directory)
        assert door.lives(run.id)
    assert not path.exists()
    assert not door.lives(run.id)


def test_the_file_of_a_killed_run_is_removed_by_the_next_one(run, tmp_path):
    code = (
        "import os, sys, signal\nfrom core.run import Run\nrun = Run.join('test')\n"
        "with run.handed() as joining:\n print(joining['ASSAY_RUN'], flush=True)\n os.kill(os.getpid(), signal.SIGKILL)"
    )
    with run.handed() as joining:
        done = child(code, joining)
        assert done.returncode == -signal.SIGKILL
        left = door.Path(done.stdout.strip())
        assert left.exists()
        door.forget_dead()
        assert not left.exists()
        assert door.Path(joining["ASSAY_RUN"]).exists(), "a run that lives keeps its own"


@pytest.mark.parametrize("content", [None, "", "{}", "[]", "x"])
def test_what_cannot_be_joined_is_one_sentence(content, tmp_path):
    named = tmp_path / "door.json"
    if content is not None:
        named.write_text(content)
    done = child("from core.run import Run\ntry: Run.join('x')\nexcept Exception as e: print(type(e).__name__, e)",
                 {"ASSAY_RUN": str(named)})  # fmt: skip
    assert done.stdout.startswith("ConfigError ASSAY_RUN names"), done.stderr
    assert len(done.stdout.splitlines()) == 1


def test_without_the_variable_there_is_no_run_to_join(monkeypatch):
    monkeypatch.delenv("ASSAY_RUN", raising=False)
    with pytest.raises(ConfigError, match="belongs to no run"):
        Run.join("x")


def test_whoever_joins_a_load_masks_its_people(run):
    with run.handed(load=LoadPart("rooms", people=(PERSON,))) as joining:
        assert child(JOIN, joining).returncode == 0
    [note] = Evidence(run.directory).events(Note)
    assert note.text == "the password is ***"
