"""The embedded stack as a live target: reached by `assay env`'s variables alone, described by a file in another folder,
commanded from a third one, under other names than the first. Recording proxies stand before platform and Supabase."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest

from core.events import CheckFinished, LedgerPlanned, TargetResolved
from core.evidence import Evidence
from core.load_events import LoadFinished, LoadStarted
from tests.runner.recording_proxy import RecordingProxy
from tests.runner.sandbox import ROOT, Sandbox

LOADS = "x-assay-run"
"""Header of every request that the load generator sends."""
OTHER_NAMES = {
    "VITE_SUPABASE_URL": "NEXT_PUBLIC_SUPABASE_URL",
    "VITE_SUPABASE_ANON_KEY": "SUPABASE_ANON_KEY",
    "SUPABASE_SERVICE_KEY": "SUPABASE_SERVICE_ROLE_KEY",
}

NIGHTLY_CHECK = "database.profile_and_post"
NIGHT = f"""\
title = "A short night"
budget = "5m"
checks = ["{NIGHTLY_CHECK}"]
[[profiles]]
name = "database"
users = 5
rate = 20
for = "6s"
warm_up = "1s"
"""


class Live:
    """Commands on the live target, from a folder that is neither the checkout nor the description's."""

    def __init__(self, folder, stack, variables):
        self.folder, self.stack = folder, stack
        self.runs, self.here, self.there = folder / "runs", folder / "here", folder / "there"
        self.here.mkdir()
        self.there.mkdir()
        self.platform, self.supabase = (
            RecordingProxy(variables[n]) for n in ("PLATFORM_URL", "VITE_SUPABASE_URL")
        )
        variables = variables | {"PLATFORM_URL": self.platform.url, "VITE_SUPABASE_URL": self.supabase.url}
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("ASSAY_", "PYTEST_"))}
        self.environment = {
            **{k: v for k, v in clean.items() if k not in variables},
            **{OTHER_NAMES.get(name, name): value for name, value in variables.items()},
            "ASSAY_RUNS": str(self.runs),
            "ASSAY_HISTORY": str(folder / "history.sqlite"),
        }

    def describe(self, *actions):
        """The description, which permits these."""
        text = (ROOT / "target.example.toml").read_text().split("[permit]")[0]
        (self.there / "ours.toml").write_text(f"{text}\n[permit]\nactions = {json.dumps(list(actions))}\n")

    def start(self, *words, **environment):
        targeted = (
            []
            if words[0] in ("report", "gate")
            else ["--target", "live", "--target-file", "../there/ours.toml"]
        )
        return subprocess.Popen(
            [sys.executable, str(ROOT / "cli.py"), *words, *targeted],
            cwd=self.here,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words, **environment):
        process = self.start(*words, **environment)
        said, _ = process.communicate(timeout=400)
        return process.returncode, said

    def gate(self, plan):
        """The shipped `deploy/ci/gate`, as a pipeline starts it."""
        declared = {"GATE_LIVE": "true", "GATE_PROJECT": "../there", "GATE_PLAN": plan}
        done = subprocess.run(
            [ROOT / "deploy" / "ci" / "gate"],
            cwd=self.here,
            env=self.environment | declared,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def newest(self):
        return max(p for p in self.runs.iterdir() if (p / "journal").is_dir())

    def loaded(self):
        """Requests that the load generator sent to platform or Supabase."""
        return [
            path
            for r in (self.platform, self.supabase)
            for _, path, headers in r.requests
            if LOADS in headers
        ]

    def forget(self):
        self.platform.requests.clear()
        self.supabase.requests.clear()


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    folder = tmp_path_factory.mktemp("live")
    sandbox = Sandbox(folder / "stack")
    holder = subprocess.Popen(
        [sys.executable, "-m", "stack.supervisor", "up", "--hold", "--json", "--state", str(sandbox.state)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert holder.stdout.readline()
    printed = subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), "env", "--json", "--state", str(sandbox.state)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    live = Live(folder, sandbox, json.loads(printed.stdout))
    yield live
    holder.communicate(timeout=60)
    live.platform.close()
    live.supabase.close()


@pytest.mark.timeout(400)
def test_the_doctor_examines_it(live):
    live.describe("read", "write", "admin", "load")
    code, said = live.run("doctor")
    assert code == 0, said
    assert "VITE_SUPABASE_URL" not in said, "nothing is missing"


@pytest.mark.timeout(600)
def test_a_load_probes_all_that_it_probes_on_the_embedded_target(live):
    live.describe("read", "write", "admin", "load")
    live.forget()
    _, said = live.run("load", "uptime", "--users", "5", "--rate", "20", "--for", "6s")
    [finished] = Evidence(live.newest()).events(LoadFinished)
    probes = {series.labels["probe"] for series in finished.series if series.metric == "prod.uptime"}
    assert probes == {"health", "page", "sign-in", "database", "files"}, said
    assert finished.causes == {}, said
    assert live.loaded()
    [target] = Evidence(live.newest()).events(TargetResolved)
    assert target.kind == "live"
    assert not list((ROOT / ".assay" / "doors").glob(f"{live.newest().name}-*"))
    code, shown = live.run("gate", os.path.relpath(live.newest(), live.here))
    assert code != 2, shown
    code, shown = live.run("report", os.path.relpath(live.newest(), live.here))
    assert code != 2, shown
    assert "made no report" not in shown
    assert (live.newest() / "report" / "index.html").exists()


@pytest.mark.timeout(600)
def test_checks_are_met_and_leave_nothing_to_sweep(live):
    live.describe("read", "write", "admin")
    wanted = ("database.profile_and_post", "storage.small_file_to_supabase")
    _, said = live.run("check", *wanted, "--plan", "smoke")
    outcomes = {e.check: e.outcome for e in Evidence(live.newest()).events(CheckFinished)}
    assert outcomes == dict.fromkeys(wanted, "met"), said
    code, said = live.run("sweep", "--dry-run")
    assert code == 0, said


@pytest.mark.timeout(600)
def test_a_small_night_is_run_and_judged_and_nothing_is_left(live):
    """The project's own plan of that name: a check and a load, as `nightly` runs the shipped one."""
    live.describe("read", "write", "admin", "load")
    shutil.copy(live.there / "ours.toml", live.there / "target.toml")  # what makes the folder a project
    (live.there / "plans").mkdir()
    (live.there / "plans" / "nightly.toml").write_text(NIGHT)
    live.forget()
    _, said = live.run("nightly", ASSAY_PROJECT=str(live.there))
    evidence = Evidence(live.newest())
    assert {e.check: e.outcome for e in evidence.events(CheckFinished)} == {NIGHTLY_CHECK: "met"}, said
    [load] = evidence.events(LoadFinished)
    assert (load.profile, load.outcome, load.causes) == ("database", "completed", {}), said
    assert live.loaded()
    assert evidence.events(TargetResolved)[0].kind == "live"
    code, said = live.run("sweep", ASSAY_PROJECT=str(live.there))
    assert code == 0, said


@pytest.mark.timeout(600)
def test_the_shipped_gate_runs_a_plan_s_load_on_it(live):
    live.describe("read", "write", "admin", "load")
    shutil.copy(live.there / "ours.toml", live.there / "target.toml")
    (live.there / "plans").mkdir(exist_ok=True)
    (live.there / "plans" / "load.toml").write_text(
        NIGHT.replace(f'"{NIGHTLY_CHECK}"', "").replace('"6s"', '"3s"')
    )
    live.forget()
    code, said = live.gate("load")
    assert code in (0, 1), said
    [load] = Evidence(live.newest()).events(LoadFinished)
    assert (load.profile, load.outcome, load.causes) == ("database", "completed", {}), said
    assert not Evidence(live.newest()).events(CheckFinished), "a plan of loads alone runs no check"
    assert live.loaded()


def test_a_load_that_is_not_permitted_is_one_sentence_and_sends_nothing(live):
    live.describe("read", "write", "admin")
    live.forget()
    before = set(live.runs.glob("*")) if live.runs.exists() else set()
    code, said = live.run("load", "database", "--for", "5s")
    assert code == 2, said
    assert "the load 'database' needs the permit 'load'" in said
    assert "[permit] actions" in said, "what stands in brackets is no markup"
    assert len(said.strip().splitlines()) == 1
    assert (live.platform.requests, live.supabase.requests) == ([], [])
    assert set(live.runs.glob("*")) == before, "no run was recorded"


@pytest.mark.timeout(600)
def test_a_plans_loads_that_are_not_permitted_are_not_covered_and_send_nothing(live):
    live.describe("read")
    live.forget()
    code, said = live.run("validate", "--plan", "smoke")
    assert code in (1, 3), said
    assert "not covered: the target's permit does not give load" in " ".join(said.split())
    assert live.loaded() == []
    assert not Evidence(live.newest()).events(LoadStarted)
    assert not Evidence(live.newest()).events(LedgerPlanned), "reading only makes nothing"
    assert live.supabase.of("*", "/auth/v1/admin/") == []
    writing = [
        (m, p) for r in (live.platform, live.supabase) for m, p, _ in r.requests if m not in ("GET", "HEAD")
    ]
    assert writing == []


@pytest.mark.timeout(300)
def test_a_killed_runs_load_ends_at_once(live):
    live.describe("read", "write", "admin", "load")
    live.forget()
    run = live.start("load", "uptime", "--users", "5", "--rate", "20", "--for", "60s")
    until = time.monotonic() + 120
    while len(live.loaded()) < 20:
        assert time.monotonic() < until, run.communicate()[0]
        time.sleep(0.1)
    launcher = psutil.Process(run.pid).children()
    run.send_signal(signal.SIGKILL)
    run.communicate(timeout=30)
    time.sleep(1.0)
    sent = len(live.loaded())
    time.sleep(3.0)
    assert len(live.loaded()) == sent, "the load went on without its run"
    psutil.wait_procs(launcher, timeout=60)
    assert not [one for one in launcher if one.is_running()]
    code, said = live.run("sweep")
    assert code == 0, said
    assert not list((ROOT / ".assay" / "doors").glob(f"{live.newest().name}-*"))
