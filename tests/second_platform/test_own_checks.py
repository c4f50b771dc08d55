"""A project's own checks, flows and loads: found in its folder, run with the same fixtures, judged like any other."""

import os
import shutil

import pytest
import yaml  # type: ignore[import-untyped]

from core.evidence import Evidence
from core.load_events import LoadFinished
from core.project import read_env
from tests.second_platform.running import ROOT, second
from tests.structure.workflows import run_action

CHECK = """
from core.passport import check
from checks.wording import greeting

ABOUT = dict(requirement="OURS-1", service="supabase.database", needs=("auth.email", "database.rest"))


@check("todos.teams_empty", "A new person is in no team", **ABOUT)
def test_no_team(person, services, witness):
    found = services.database.rest("GET", "/teams?select=id", token=person.access_token)
    witness("SQL", "no team")
    assert found.json(list) == []


@check("todos.broken_promise", "This one is not kept", **ABOUT)
def test_not_kept(services):
    assert greeting() == "goodbye", "the greeting is as promised"


@check("todos.elsewhere", "Of something that this platform lacks", requirement="OURS-1", service="r2", needs="storage.r2")
def test_elsewhere(services):
    assert services is None


@check("todos.status", "Its status page tells its build", requirement="OURS-1", service="status", needs="status.page")
def test_status(adapter, services, witness):
    assert services.status.build() == "7"
    assert adapter.version(services.platform.port) == "build 7"
    witness("the adapter", "the same build")
"""
FLOW = """
from core.passport import check
from pages import Board  # what expects stands there


@check("todos.flow", "A person sees the board", requirement="OURS-1", service="platform", needs="platform.api")
def test_flow(people, services, witness):
    people("ada").board.is_open()
    witness("the status page", services.status.build())
"""
PAGES = """
from scenarios.browser.pages import AnyPage, Pages


class Board(AnyPage):
    def is_open(self):
        self.open("/healthz")
        self.reads_in(self.page.locator("body"), '"build":"7"', "the build")

    def is_drawn(self):
        self.shown(self.page.locator("body"), "a page")


class TodoPages(Pages):
    def __init__(self, flow, person):
        super().__init__(flow, person)
        self.board = Board(flow, person)
"""
ADAPTER = """
from scenarios.adapter import Adapter


class Todos(Adapter):
    def version(self, port):
        return f"build {super().version(port)}"
"""
SERVICE = """
from clients.http_port import HttpPort
from core.service import Service, Variable

SERVICE = Service(
    id="status",
    title="The status page",
    variables=(Variable("STATUS_URL", url=True),),
    capabilities={"status.page": "a status page answers at STATUS_URL"},
)
ATTRIBUTE = "status"


class Client:
    def __init__(self, run):
        self.port = HttpPort("status", run.target.permit, base=run.target.get("STATUS_URL"))

    def build(self):
        return self.port.request("GET", "/healthz").demand(200).json(dict)["build"]

    def close(self):
        self.port.close()


def probes(run):
    return {"build": Client(run).build}
"""
LOAD = """
from locust import task

from core.load_needs import Needs
from loadengine.api import ClosedUser, Measure
from loadprofiles.users.platform_user import PlatformUser

NEEDS = Needs(uses=("auth.email", "database.rest"), people=2)


class Reader(PlatformUser, ClosedUser):
    def on_start(self):
        self.teams = self.port(Measure("ours"), lambda answer: None if answer.status == 200 else "refused")

    @task
    def read(self):
        headers = self.adapter.rest_headers(self.person.token)
        self.teams.request("GET", f"{self.adapter.supabase}/rest/v1/teams?select=id", headers=headers)
"""


FILES = {
    "checks/test_own.py": CHECK,
    "checks/wording.py": 'def greeting():\n    return "hello"\n',
    "flows/test_flow.py": FLOW,
    "loads/readers.py": LOAD,
    "services/status.py": SERVICE,
    "pages.py": PAGES,
    "adapter.py": ADAPTER,
    "requirements.toml": '[Ours]\n"OURS-1" = "teams work"\n',
}


@pytest.fixture(scope="module")
def platform():
    with second() as it:
        for name, text in FILES.items():
            (it.folder / name).parent.mkdir(exist_ok=True)
            (it.folder / name).write_text(text)
        file = it.folder / "target.toml"
        text = file.read_text().replace(
            "[settings]\n", '[settings]\npages = "pages:TodoPages"\nadapter = "adapter:Todos"\n'
        )
        text = text.replace("[capabilities]\n", '[capabilities]\n"status.page" = "required"\n')
        file.write_text(text + '[permit]\nactions = ["read", "write", "admin", "load"]\n')
        with (it.folder / ".env").open("a") as env:
            env.write(f"STATUS_URL={it.url}\n")
        yield it


def test_own_checks_run_with_the_shipped_ones(platform):
    named = (
        "todos.teams_empty",
        "todos.broken_promise",
        "todos.elsewhere",
        "todos.status",
        "todos.flow",
        "security.headers",
    )
    done = platform.assay("check", *named, "--plan", "todos")
    found = {name: str(event.outcome) for name, event in platform.outcomes().items()}
    said = done.stdout[-4000:] + done.stderr[-2000:]
    assert found == {
        "todos.teams_empty": "met",
        "todos.broken_promise": "missed",
        "todos.elsewhere": "not_applicable",
        "todos.status": "met",
        "todos.flow": "met",
        "security.headers": "met",
    }, said
    assert "the greeting is as promised" in platform.outcomes()["todos.broken_promise"].message
    assert not list(platform.folder.rglob(".assay"))
    assert not list(platform.folder.rglob(".pytest_cache"))


def test_doctor_counts_them(platform):
    done = platform.assay("doctor", "--plan", "todos")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert "todos.elsewhere" in done.stdout
    assert "status" in done.stdout
    listed = platform.assay("check", "--list").stdout.split()
    assert {"todos.flow", "todos.status", "security.headers"} <= set(listed)


def test_an_id_of_a_shipped_check_or_an_unknown_requirement_is_refused(platform):
    own = platform.folder / "checks" / "test_more.py"
    try:
        for text, says in (
            (CHECK.replace("todos.teams_empty", "security.headers"), "'security.headers' is there already"),
            (CHECK.replace("todos.", "more.").replace("OURS-1", "OURS-2"), "did you mean 'OURS-1'?"),
        ):
            own.write_text(text)
            done = platform.assay("check", "--plan", "todos")
            assert done.returncode == 2
            assert says in done.stderr
    finally:
        own.unlink()


def test_an_own_load_is_run_by_its_name(platform):
    before = platform.left()
    done = platform.assay("load", "readers", "--users", "2", "--for", "4s")
    said = done.stdout[-3000:] + done.stderr[-2000:]
    assert "no load profile" not in said, said
    assert "readers" in said, said
    assert done.returncode in (0, 1), said
    assert platform.left() == before


def test_the_load_described_holds_every_answer(platform):
    before = platform.left()
    done = platform.assay("load", "described", "--users", "2", "--for", "4s")
    newest = max((platform.folder / "runs").glob("*-*"), key=lambda path: path.name)
    [ended] = Evidence(newest).events(LoadFinished)
    assert (str(ended.outcome), done.returncode in (0, 1)) == ("completed", True), done.stdout[-3000:]
    assert "answers are not right" not in done.stdout
    assert platform.left() == before


def test_a_described_route_that_is_not_there_is_missed_with_its_line(platform):
    file = platform.folder / "target.toml"
    text = file.read_text()
    line = text.splitlines().index('private = ["/v2/me", "/v2/files"]') + 1
    file.write_text(text.replace('private = ["/v2/me", "/v2/files"]', 'private = ["/v2/me", "/v2/gone"]'))
    try:
        platform.assay("check", "security.private_routes", "--plan", "todos")
    finally:
        file.write_text(text)
    event = platform.outcomes()["security.private_routes"]
    assert event.outcome == "missed"
    assert f"GET /v2/gone, which target.toml:{line} describes, lets a person in" in event.message


def test_ten_lines_of_a_team_s_workflow_run_the_gate(platform, tmp_path):
    team = platform.folder.parent / "team"
    (team / ".github" / "workflows").mkdir(parents=True)
    shutil.copytree(platform.folder, team / "assay", ignore=shutil.ignore_patterns("runs", ".env"))
    plan = 'title = "Few"\nbudget = "2m"\nchecks = ["todos.status", "security.headers"]\n'
    (team / "assay" / "plans" / "own.toml").write_text(plan)
    shutil.copy(ROOT / "deploy" / "ci" / "workflow.yml", team / ".github" / "workflows" / "gate.yml")
    job = yaml.safe_load((team / ".github" / "workflows" / "gate.yml").read_text())["jobs"]["gate"]
    secrets = read_env(platform.folder / ".env")
    environment = {
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_OUTPUT": str(tmp_path / "outputs"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "HOME": os.environ["HOME"],
        "RUNNER_TEMP": str(tmp_path),
        **secrets,
    }
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    code, output = run_action(action, job["steps"][1]["with"], team, environment, timeout=300)
    verdicts = list((tmp_path / "assay-runs").glob("*/verdict.json"))
    assert code == 0, output[-3000:]
    assert len(verdicts) == 1
    assert "met" in (tmp_path / "summary.md").read_text()
    assert not any(value in output for name, value in secrets.items() if "KEY" in name)
