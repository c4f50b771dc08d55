"""`assay nightly` is the nightly plan, judged, kept in history and reported like any other run."""

import pytest
import typer

import cli
from loadprofiles import shapes
from runner import preparation, verdict
from runner import session as running
from runner.preparation import prepare


def test_it_runs_the_nights_plan_and_exits_by_its_verdict(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(running, "run_plan", lambda request: asked.append(request) or tmp_path)
    monkeypatch.setattr(verdict, "judge_and_write", lambda directory, release: 1)
    with pytest.raises(typer.Exit) as ended:
        cli.nightly(target="embedded")
    assert ended.value.exit_code == 1
    [request] = asked
    assert (request.plan, request.with_checks, request.with_load) == ("nightly", True, True)


def test_the_nights_plan_takes_about_an_hour_and_decides_every_number_of_the_seed():
    plan, objectives = prepare("nightly")
    assert 45 * 60 <= sum(profile.duration for profile in plan.profiles) <= 75 * 60
    decided = {planned.id for planned in plan.objectives}
    assert decided >= {o for o in objectives if o.startswith(("perf.", "prod."))}
    assert plan.checks == "all"


def test_a_plan_with_an_unknown_profile_or_shape_is_refused(monkeypatch, tmp_path):
    text = 'title = "T"\nbudget = "1m"\n[[profiles]]\nname = "NAME"\nusers = 1\nfor = "5s"\nshape = "SHAPE"\n'
    monkeypatch.setattr(preparation, "PLANS", tmp_path)
    for name, shape, said in (
        ("nothing", "ramp", "is no load profile"),
        ("database", "round", "'round' is no shape"),
    ):
        (tmp_path / "p.toml").write_text(text.replace("NAME", name).replace("SHAPE", shape))
        with pytest.raises(running.ConfigError, match=said):
            prepare("p")
    assert "round" not in shapes.NAMES
