"""A platform with other pages: a user's own page objects beside target.toml take the place of ours, without forking."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clients.services import catalogue
from core.errors import ConfigError
from core.events import CheckFinished, FlowStep
from core.evidence import Evidence
from core.target import resolve
from runner.check_parts import UNUSED_PLUGINS
from scenarios.browser.pages import pages_of
from stack.platform.assay.pages import ReferencePages
from tests.runner.sandbox import ROOT, Sandbox

OWN = '\n[settings]\npages = "{}"\n'
CHECK = "browser.session_restored"


def described(folder: Path, pages: str) -> Path:
    file = folder / "target.toml"
    file.write_text((ROOT / "target.example.toml").read_text() + (OWN.format(pages) if pages else ""))
    return file


def complete() -> dict[str, str]:
    every = [variable for service in catalogue() for variable in service.variables]
    return {v.name: f"https://{v.name.lower()}.example" if v.url else "some-value" for v in every}


def outcome(sandbox: Sandbox, variables: dict[str, str], file: Path, folder: Path) -> CheckFinished:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "scenarios/browser", "-q", "--tb=short", *UNUSED_PLUGINS),
            *("--checks", CHECK, "--target", "live", "--target-file", str(file)),
            *("--run-dir", str(folder)),
        ],
        cwd=ROOT,
        env={**sandbox.environment, **variables},
        capture_output=True,
        text=True,
        timeout=200,
    )
    events = Evidence(folder).events(CheckFinished)
    assert events, done.stdout[-2000:] + done.stderr[-2000:]
    return events[-1]


@pytest.mark.timeout(300)
def test_a_flow_runs_on_the_pages_that_target_toml_names(tmp_path):
    sandbox = Sandbox(tmp_path / "place")
    held = subprocess.Popen(
        [sys.executable, "-m", "stack.supervisor", "up", "--hold", "--json", "--state", str(sandbox.state)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    own = tmp_path / "own"
    own.mkdir()
    shutil.copy(Path(__file__).with_name("own_pages.py"), own / "own_pages.py")
    try:
        variables = json.loads(held.stdout.readline())["variables"]
        finished = outcome(sandbox, variables, described(own, "own_pages:OwnPages"), tmp_path / "with")
        assert finished.outcome == "met", finished.message
        steps = [event.name for event in Evidence(tmp_path / "with").events(FlowStep)]
        assert steps[0] == "ada: meldete sich an", "the user's page was the one that acted"
    finally:
        held.communicate(timeout=60)
        sandbox.down()


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("nowhere_at_all:Pages", "cannot be imported"),
        ("json:Nothing", "cannot be imported"),
        ("json:JSONDecoder", "is not a subclass"),
    ],
)
def test_a_wrong_name_is_one_sentence(tmp_path, named, says):
    target = resolve("live", catalogue(), environment=complete(), file=described(tmp_path, named))
    with pytest.raises(ConfigError, match=says):
        pages_of(target, tmp_path)


def test_what_extends_the_reference_has_its_pages(tmp_path):
    target = resolve("live", catalogue(), environment=complete(), file=described(tmp_path, ""))
    assert pages_of(target) is ReferencePages
