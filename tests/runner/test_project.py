"""The command finds a team's own project, wherever its option stands, and refuses a bad description before any traffic."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from core.user_settings import for_child

ROOT = Path(__file__).parents[2]


def assay(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    clean = ("ASSAY_PROJECT", "ASSAY_TARGET", "ASSAY_RUN")
    return subprocess.run(
        [sys.executable, "-m", "cli", *words], cwd=folder,
        env=for_child({"PYTHONPATH": str(ROOT), "COLUMNS": "300"}, without=clean),
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "line", "says"),
    [
        ("[platform]\nwhoam = { path = '/' }\n", 2, "did you mean 'whoami'?"),
        ("[people]\nregister = 'yes'\n", 2, "should be true or false"),
        ("[database.tables.x]\nrow = {}\n", 1, "database.tables.x.may is missing"),
        (
            "[database.tables.x]\nrow = { a = '{no}' }\nmay = { owner = '', stranger = '', nobody = '' }\n",
            2,
            "{no}",
        ),
        ("[database.functions]\nanon = ['f']\nclosed = ['f']\n", 3, "closed and open"),
    ],
)
@pytest.mark.parametrize("where", ["before", "after", "beside", "below"])
def test_a_bad_description_is_one_sentence_with_file_and_line(tmp_path, wrong, line, says, where):
    folder = tmp_path / "assay" if where == "below" else tmp_path
    folder.mkdir(exist_ok=True)
    (folder / "target.toml").write_text(wrong)
    named = ("--project", str(folder))
    words = {"before": (*named, "doctor"), "after": ("doctor", *named)}.get(where, ("doctor",))
    done = assay(ROOT if where in ("before", "after") else tmp_path, *words)
    assert done.returncode == 2, done.stdout + done.stderr
    assert says in done.stderr
    assert f"target.toml line {line}:" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_project_that_is_not_there_is_one_sentence(tmp_path):
    done = assay(tmp_path, "doctor", "--project", "nowhere")
    assert done.returncode == 2
    assert "nowhere is no folder" in done.stderr


def test_doctor_shows_its_table_although_variables_are_missing(tmp_path):
    (tmp_path / "target.toml").write_text('[capabilities]\n"auth.email" = "required"\n')
    done = assay(tmp_path, "doctor")
    assert done.returncode == 2
    assert "supabase.auth" in done.stdout
    assert "SUPABASE_PUBLISHABLE_KEY" in done.stdout, "the names that count too"
    assert "VITE_SUPABASE_URL" in done.stderr
    report = json.loads(assay(tmp_path, "doctor", "--json").stdout)
    assert "VITE_SUPABASE_URL" in report["missing"]
    assert {one["service"] for one in report["services"]} > {"supabase.auth", "r2"}


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ('checks = ["auth.jwt-claim"]\n', "'auth.jwt-claim'"),
        (
            'checks = []\n[[results]]\nid = "e2e"\nformat = "junit"\nfiles = "*.xml"\nnewer_than = "2h"\n'
            'requirement = ["OURS-2"]\n',
            "did you mean 'OURS-1'?",
        ),
    ],
)
def test_a_plan_that_names_what_does_not_exist_is_refused(tmp_path, plan, says):
    (tmp_path / "target.toml").write_text("")
    (tmp_path / "requirements.toml").write_text('[Ours]\n"OURS-1" = "people can join"\n')
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "own.toml").write_text(f'title = "own"\nbudget = "1m"\n{plan}')
    done = assay(tmp_path, "check", "--plan", "own")
    assert done.returncode == 2, done.stdout + done.stderr
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_a_wrong_objective_of_a_project_is_refused_with_its_line(tmp_path):
    (tmp_path / "target.toml").write_text("")
    (tmp_path / "objectives.toml").write_text("[perf.room]\nlimit = 5\n")
    done = assay(tmp_path, "check", "--plan", "smoke")
    assert done.returncode == 2
    assert "objectives.toml line 1: 'perf.room' is no objective" in done.stderr
