"""The pool of people on the embedded target: signed in, different, and gone afterwards, whatever became of the load."""

import json
import os
import subprocess
import sys

import pytest

from core.events import LedgerPlanned
from core.evidence import Evidence
from core.ledger import left_over
from core.load_events import LoadFinished
from core.run import Run
from tests.loadprofiles.faulty import Faulty
from tests.loadprofiles.target import ROOT, ended, held, of, run, start

MAKE = """
import json, os, sys
from core.run import Run
from loadprofiles.users.identity_pool import made
with made(Run.join("test"), 12) as people:
    print(json.dumps([vars(person) for person in people]), flush=True)
    if len(sys.argv) > 1:
        os._exit(9)
"""
COUNT = """
import sys, psycopg
from core.run import Run
with psycopg.connect(Run.join("test").target.get("SUPABASE_DB_URL")) as db:
    print(db.execute("select count(*) from auth.users where email like %s", (sys.argv[1] + "%",)).fetchone()[0])
"""
UNDO = """
import sys
from core.ledger import undo
from core.run import Run
from clients.undo import undoers
run = Run.join("sweep")
print(undo(run.journal, undoers(run), "1", "auth.crowd", {"start": sys.argv[1]}))
"""


@pytest.fixture(scope="module")
def target():
    with held() as environment:
        yield environment


def python(code, target, run_dir, *words):
    with Run.begin(run_dir, of(target), "test").handed() as joining:
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, words)],
            cwd=ROOT,
            env={**os.environ, **joining, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
        )
    return done.returncode, done.stdout.strip(), done.stderr


def start_of(run_dir):
    (planned,) = Evidence(run_dir).events(LedgerPlanned)
    assert planned.kind == "auth.crowd"
    return planned.key["start"]


def test_a_pool_is_signed_in_different_people_who_are_gone_afterwards(target, tmp_path):
    code, out, error = python(MAKE, target, tmp_path)
    assert code == 0, error
    people = json.loads(out)
    for field in ("id", "username", "token", "refresh_token", "email"):
        assert len({person[field] for person in people}) == 12
    assert len({len(person["username"]) for person in people}) == 1, "no name is the beginning of another"
    events = Evidence(tmp_path).events()
    assert left_over(events) == []
    assert people[0]["password"] not in "".join(p.read_text() for p in (tmp_path / "journal").glob("*.jsonl"))
    assert python(COUNT, target, tmp_path, start_of(tmp_path))[1] == "0"


def test_a_pool_whose_maker_was_killed_is_found_by_its_ledger(target, tmp_path):
    code, _, error = python(MAKE, target, tmp_path, "die")
    assert code == 9, error
    start = start_of(tmp_path)
    assert python(COUNT, target, tmp_path, start)[1] == "12"
    (left,) = left_over(Evidence(tmp_path).events())
    assert left.kind == "auth.crowd"
    assert python(UNDO, target, tmp_path, start)[1] == "None"
    assert python(COUNT, target, tmp_path, start)[1] == "0"


def test_a_launcher_that_belongs_to_no_run_is_one_sentence(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "loadprofiles.run", "mixed", "--users", "2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2, done.stderr
    assert (
        done.stderr.strip()
        == "assay load: this process belongs to no run; start it by `assay`, which begins one."
    )


@pytest.mark.parametrize("profile", ["rooms", "mixed"])
@pytest.mark.parametrize(
    ("words", "variables", "code", "said"),
    [
        (["--users", "0"], {}, 2, "would load nothing"),
        (["--users", "2"], {"PLATFORM_URL": "http://127.0.0.1:9"}, 3, "PLATFORM_URL does not answer"),
        (
            ["--users", "2"],
            {"VITE_SUPABASE_URL": "http://127.0.0.1:9"},
            3,
            "VITE_SUPABASE_URL does not answer",
        ),
    ],
)
def test_what_cannot_begin_says_so_and_makes_nobody(target, tmp_path, profile, words, variables, code, said):
    run_dir = tmp_path / "run"
    ran = run(profile, run_dir, target, *words, **variables)
    assert ran.code == code
    assert said in ran.out
    assert len(ran.out.strip().splitlines()) == 1
    assert not run_dir.exists()


def test_people_who_cannot_be_removed_stand_in_the_ledger(target, tmp_path):
    with Faulty(target["VITE_SUPABASE_URL"], "altered", paths="/rest/v1/", every=10**9) as proxy:
        words = ("--users", "10", "--rate", "30", "--for", "60s", "--warm-up", "1s")
        process = start("database", tmp_path, *words, **{**target, "VITE_SUPABASE_URL": proxy.url})
        while proxy.seen < 100:
            assert process.poll() is None, process.communicate()[0]
            proxy.wait(0.1)
    ran = ended(process, tmp_path)
    assert ran.code == 1, ran.out
    assert ran.one(LoadFinished).outcome == "stopped"
    assert "ECONNREFUSED" in ran.one(LoadFinished).reason
    assert "left behind: auth.crowd could not be undone" in ran.out
    (left,) = [entry for entry in left_over(ran.events) if entry.kind == "auth.crowd"]
    assert python(UNDO, target, tmp_path, left.key["start"])[1] == "None"
    assert python(COUNT, target, tmp_path, left.key["start"])[1] == "0"
