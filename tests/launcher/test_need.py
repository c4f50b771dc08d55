"""Set-up by need: what each command makes, and what it leaves alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

import cli
from launcher.need import EVERYTHING, FLAGS, OWN_MIGRATIONS, PYTHON_ALONE, Need, need_of
from tests.launcher.conftest import ROOT, Checkout, pin, wheel

FLOWS_TOO = Need(embedded=False, browser=True, postgres=False, extensions=())


@pytest.fixture
def team(tmp_path: Path) -> Path:
    """A team's repository with a project without pages, in assay/."""
    project = tmp_path / "assay"
    (project / "plans").mkdir(parents=True)
    (project / "target.toml").write_text('[capabilities]\n"auth.email" = "required"\n')
    (project / "target.web.toml").write_text('[capabilities]\nplatform.web = "required"\n')
    (project / "plans" / "own.toml").write_text('title = "T"\nbudget = "1m"\nchecks = "all"\n')
    (project / "plans" / "few.toml").write_text(
        'title = "T"\nbudget = "1m"\nchecks = ["database.rls_matrix"]\n'
    )
    return tmp_path


@pytest.mark.parametrize(
    ("line", "need"),
    [
        ("doctor", PYTHON_ALONE),
        ("load described --users 5 --for 10s", PYTHON_ALONE),
        ("check --plan own", PYTHON_ALONE),
        ("check --plan own -k a.b --target-file assay/target.toml", PYTHON_ALONE),
        ("check --target web --plan own", FLOWS_TOO),
        ("check --plan few --target web", PYTHON_ALONE),
        ("--project assay check database.rls_matrix --target=web", PYTHON_ALONE),
        ("check content.page_live browser.register --target web", FLOWS_TOO),
        ("validate --target embedded", EVERYTHING),
        ("init other", PYTHON_ALONE),
        ("report", PYTHON_ALONE),
        ("check --migrations supabase/migrations --base main", OWN_MIGRATIONS),
        ("init --migrations supabase/migrations", OWN_MIGRATIONS),
        ("test", EVERYTHING),
        ("up", EVERYTHING),
        ("", EVERYTHING),
        ("check --plan nowhere", PYTHON_ALONE),
    ],
)
def test_what_a_command_needs(team: Path, line: str, need: Need) -> None:
    flow = next(
        iter(re.findall(r'@check\(\s*"([^"]+)"', (ROOT / "scenarios/browser/test_accounts.py").read_text()))
    )
    assert need_of(line.replace("browser.register", flow).split(), {}, ROOT, team) == need


def test_tests_beside_migrations_need_pgtap(tmp_path: Path) -> None:
    tests = tmp_path / "supabase" / "tests" / "database"
    tests.mkdir(parents=True)
    (tmp_path / "supabase" / "migrations").mkdir()
    words = ["check", "--migrations", "supabase/migrations"]
    assert need_of(words, {}, ROOT, tmp_path) == OWN_MIGRATIONS
    (tests / "rls.sql").write_text("select 1;")
    assert need_of(words, {}, ROOT, tmp_path).extensions == ("pgtap",)
    assert not need_of(["init", *words[1:]], {}, ROOT, tmp_path).extensions


@pytest.mark.parametrize(
    "made", ["create extension vector;", 'CREATE EXTENSION IF NOT EXISTS\n"vector" WITH schema x;']
)
def test_migrations_that_create_vector_need_a_server_that_has_it(tmp_path: Path, made: str) -> None:
    migrations = tmp_path / "migrations"
    migrations.mkdir()
    (migrations / "1_first.sql").write_text("create extension vectors; -- vector")
    for command in ("check", "init", "doctor"):
        assert need_of([command, "--migrations", "migrations"], {}, ROOT, tmp_path) == OWN_MIGRATIONS
    (migrations / "2_more.sql").write_text(made)
    for command in ("check", "init", "doctor"):
        assert need_of([command, "--migrations", "migrations"], {}, ROOT, tmp_path).vector
    (migrations / "3_more.sql").write_text(
        'create extension "HypoPG"; create extension if not exists postgis;'
    )
    need = need_of(["check", "--migrations", "migrations"], {}, ROOT, tmp_path)
    assert need.extensions == ("hypopg", "postgis"), "Debian has packages of these"


def test_a_flow_of_ones_own_needs_a_browser(team: Path) -> None:
    flows = team / "assay" / "flows"
    flows.mkdir()
    (flows / "test_own.py").write_text('@check("todos.flow", "…")\ndef test_flow(): ...\n')
    assert need_of(["check", "--plan", "own"], {}, ROOT, team) == FLOWS_TOO
    assert need_of(["check", "todos.flow"], {}, ROOT, team) == FLOWS_TOO
    assert need_of(["check", "--plan", "few"], {}, ROOT, team) == PYTHON_ALONE


def test_without_a_project_the_target_is_the_embedded_one(tmp_path: Path) -> None:
    assert need_of(["check"], {}, ROOT, tmp_path) == EVERYTHING
    reference = {"ASSAY_PROJECT": str(ROOT / "stack" / "platform" / "assay")}
    assert need_of(["check"], reference, ROOT, tmp_path) == EVERYTHING
    assert need_of(["doctor"], {"ASSAY_TARGET": "live"}, ROOT, tmp_path) == PYTHON_ALONE


def test_flags_are_those_of_the_command_line() -> None:
    group = typer.main.get_command(cli.app)
    found = {
        name
        for command in group.commands.values()  # type: ignore[attr-defined]
        for option in command.params
        if getattr(option, "is_flag", False)
        for name in option.opts
    }
    assert found - {"--open", "--fast", "--hold"} <= set(FLAGS)


def test_a_live_run_installs_nothing_of_the_embedded_target(checkout: Checkout, team: Path) -> None:
    sha = wheel(checkout.wheels, "assay_second", "1.0", {"__init__.py": ""})
    (checkout.root / "locks" / "bugsink.txt").write_text(pin("assay-second", "1.0", sha))
    (checkout.root / "package-lock.json").write_text("damaged")
    (checkout.root / "locks" / "browser").mkdir()
    (checkout.root / "stack" / "postgres").mkdir(parents=True)
    project = str(team / "assay")
    assert checkout.run("setup", "check", "--project", project, "--plan", "own").returncode == 0
    assert checkout.good("check", "--project", project, "--plan", "own")["tiny"] == "1.0"
    state = checkout.root / ".assay"
    assert sorted(stamp.stem for stamp in (state / "stamps").iterdir()) == ["python"]
    assert not (state / "bugsink-venv").exists()
    checkout.refused("check", "--target", "embedded")  # which is built of all that
    assert (state / "bugsink-venv").exists()
