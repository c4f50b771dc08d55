"""The composite action: its shell lines run in another repository's layout, with a stand-in for ./assay."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml  # type: ignore[import-untyped]

from tests.structure.test_workflow import STAND_IN, UNTRUSTED
from tests.structure.tree import ROOT
from tests.structure.workflows import run_action, run_steps

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
TEAM = ROOT / "deploy" / "ci" / "workflow.yml"


class Job:
    """A team's checkout, the action's own folder, and what ./assay was asked for."""

    def __init__(self, place: Path) -> None:
        self.team, self.action, self.temp = place / "team", place / "action", place / "temp"
        (self.team / "assay").mkdir(parents=True)
        self.temp.mkdir()
        for name in (
            "deploy/ci/gate",
            "deploy/ci/tell.py",
            "package-lock.json",
            "plans/gate.toml",
            "locks/assay.txt",
        ):
            (self.action / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.action / name)
        (self.action / "assay").write_text(STAND_IN)
        (self.action / "assay").chmod(0o755)

    def run(self, inputs: dict[str, str], *, fork: bool = False, code: int = 0) -> tuple[int, str, list[Any]]:
        environment = {
            "GITHUB_ACTION_PATH": str(self.action),
            "GITHUB_OUTPUT": str(self.temp / "outputs"),
            "RUNNER_TEMP": str(self.temp),
            "SUPABASE_SERVICE_KEY": "a key",
            "STAND_IN_EXIT": str(code),
            "PIP_INDEX_URL": "https://index.example/simple",
        }
        ended, output = run_action(ACTION, inputs, self.team, environment, {UNTRUSTED: str(fork).lower()})
        calls = [
            json.loads(line)
            for folder in (self.team, self.action)
            for line in (
                (folder / "calls.jsonl").read_text().splitlines() if (folder / "calls.jsonl").exists() else ()
            )
        ]
        return ended, output, calls


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def test_a_live_target_is_judged_by_the_team_s_project(job: Job) -> None:
    code, _, (setup, gate) = job.run({"plan": "own", "expect-version": "abc", "target": "staging"})
    assert code == 0
    named = ["--target", "staging", "--plan", "own", "--release", "--project", "assay"]
    words = ["validate", *named, "--expect-version", "abc"]
    assert gate["words"] == words
    assert setup["words"] == ["setup", *words]
    assert gate["env"]["SUPABASE_SERVICE_KEY"] == "a key"
    assert gate["env"]["ASSAY_RUNS"] == str(job.temp / "assay-runs")
    assert (job.temp / "outputs").read_text().count("\n") == 2


def test_installers_know_no_secret(job: Job) -> None:
    _, _, (setup, _) = job.run({})
    assert "a key" not in setup["env"].values()
    assert setup["env"]["PIP_INDEX_URL"]


@pytest.mark.parametrize(
    ("inputs", "fork", "plan"),
    [
        ({}, True, "smoke"),
        ({"plan": "own"}, True, "smoke"),
        ({"target": "embedded", "plan": "gate"}, False, "gate"),
    ],
)
def test_without_a_live_target_the_embedded_one_is_judged_and_said(
    job: Job, inputs: dict[str, str], fork: bool, plan: str
) -> None:
    code, output, (_, gate) = job.run(inputs, fork=fork)
    assert code == 0
    assert gate["words"] == ["validate", "--target", "embedded", "--plan", plan]
    assert "not about a release" in output


@pytest.mark.parametrize("code", [1, 2, 3])
def test_the_exit_code_is_the_verdict_s(job: Job, code: int) -> None:
    assert job.run({}, code=code)[0] == code


def test_actions_are_pinned_and_what_is_published_is_chosen() -> None:
    steps = ACTION["runs"]["steps"]
    used = [step["uses"] for step in steps if "uses" in step]
    assert all(re.search(r"@[0-9a-f]{40}$", use) for use in used)
    upload = next(step for step in steps if "upload-artifact" in step.get("uses", ""))
    names = {
        line.strip().rpartition("/")[2] for line in upload["with"]["path"].splitlines() if "runs/" in line
    }
    assert names == {"verdict.json", "summary.md", "access.md", "junit.xml", "results.csv"}
    assert "secrets." not in (ROOT / "action.yml").read_text()
    assert all(step.get("shell") == "bash" for step in steps if "run" in step)


def test_the_team_s_workflow_has_ten_lines_and_inputs_that_exist() -> None:
    text = TEAM.read_text()
    assert len(text.splitlines()) == 10
    (checkout, gate) = yaml.safe_load(text)["jobs"]["gate"]["steps"]
    assert re.search(r"@[0-9a-f]{40}$", checkout["uses"])
    assert set(gate["with"]) <= set(ACTION["inputs"])


class Recorder(ThreadingHTTPServer):
    """GitHub's comments of one pull request, and a chat's webhook; keeps what was asked of it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Comments)
        self.comments: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str]] = []
        self.posted: list[str] = []
        self.refuses = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Comments(BaseHTTPRequestHandler):
    server: Recorder

    def _answer(self) -> None:
        self.server.asked.append((self.command, self.path))
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        answer: Any = {}
        at = urlsplit(self.path)
        if self.server.refuses:
            self.send_error(403)
            return
        if at.path == "/hook":
            self.server.posted.append(body["text"])
        elif self.headers["Authorization"] != "Bearer a token":
            self.send_error(401)
            return
        elif self.command == "GET":
            page = int(parse_qs(at.query)["page"][0])
            answer = self.server.comments[(page - 1) * 100 : page * 100]
        elif self.command == "PATCH":
            (one,) = (c for c in self.server.comments if at.path.endswith(f"/comments/{c['id']}"))
            one["body"] = body["body"]
        else:
            made = {"id": len(self.server.comments), "body": body["body"], "user": {"type": "Bot"}}
            self.server.comments.append(made)
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = _answer

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    server = Recorder()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def _tell(job: Job, recorder: Recorder, run: str, text: str, *, comment: bool = True) -> tuple[int, str]:
    directory = job.temp / "assay-runs" / run
    directory.mkdir(parents=True)
    (directory / "comment.md").write_text(f"<!-- assay -->\n{text}\n")
    (directory / "slack.txt").write_text(text)
    (step,) = (s for s in ACTION["runs"]["steps"] if "tell.py" in s.get("run", ""))
    context = {
        "inputs.comment == 'true' && inputs.token || ''": "a token" if comment else "",
        "github.event.pull_request.number": "7",
        "inputs.slack": f"{recorder.url}/hook",
    }
    environment = {
        "GITHUB_ACTION_PATH": str(job.action),
        "RUNNER_TEMP": str(job.temp),
        "GITHUB_REPOSITORY": "team/todos",
        "GITHUB_API_URL": recorder.url,
    }
    return run_steps([step], context, job.team, environment)


def test_the_pull_request_has_one_comment_that_each_run_changes(job: Job, recorder: Recorder) -> None:
    somebody = {"body": "<!-- assay -->\nopen, believe me", "user": {"type": "User"}}
    recorder.comments = [{"id": n, "body": f"talk {n}", "user": {"type": "User"}} for n in range(120)]
    recorder.comments.append({"id": 120, **somebody})
    assert _tell(job, recorder, "20261201-010000-aaaaaa", "closed: 1 check missed")[0] == 0
    assert _tell(job, recorder, "20261201-020000-bbbbbb", "open")[0] == 0
    ours = [c["body"] for c in recorder.comments if c["user"]["type"] == "Bot"]
    assert ours == ["<!-- assay -->\nopen\n"]
    assert recorder.comments[120] == {"id": 120, **somebody}
    assert recorder.posted == ["closed: 1 check missed", "open"]
    assert [method for method, path in recorder.asked if "comments" in path] == [
        "GET", "GET", "POST", "GET", "GET", "PATCH",
    ]  # fmt: skip


def test_what_cannot_be_told_is_a_warning_and_changes_no_verdict(job: Job, recorder: Recorder) -> None:
    recorder.refuses = True
    code, output = _tell(job, recorder, "20261201-010000-aaaaaa", "closed")
    assert code == 0
    assert output.count("::warning title=Assay::") == 2
    assert "status 403" in output
    assert recorder.url not in output, "a webhook's address is its password"
    recorder.refuses, recorder.asked = False, []
    _tell(job, recorder, "20261201-020000-bbbbbb", "open", comment=False)
    assert recorder.asked == [("POST", "/hook")]


def test_the_step_tells_only_where_it_was_asked_to() -> None:
    (step,) = (s for s in ACTION["runs"]["steps"] if "tell.py" in s.get("run", ""))
    assert step["if"] == "always() && (inputs.comment == 'true' || inputs.slack != '')"
    assert ACTION["inputs"]["comment"]["default"] == "false"
    assert ACTION["inputs"]["slack"]["default"] == ""
