"""Plans and objectives are validated before any traffic."""

from pathlib import Path

import pytest

from core.errors import ConfigError
from core.objective import load_objectives
from core.plan import load_plan

ROOT = Path(__file__).parents[2]
OBJECTIVE = """
["perf.x"]
title = "X"
unit = "ms"
direction = "below"
limit = 100
percentile = 95
samples = 100
service = "s"
requirement = "perf.database"
profile = "x"
"""
PLAN = """
title = "T"
budget = "3m"
checks = ["a.b"]
[[profiles]]
name = "x"
users = 5
for = "71s"
warm_up = "5s"
yields = { "perf.x" = 2 }
[[objectives]]
id = "perf.x"
"""


def load(tmp_path, plan=PLAN, objective=OBJECTIVE):
    (tmp_path / "objectives.toml").write_text(objective)
    (tmp_path / "p.toml").write_text(plan)
    return load_plan("p", tmp_path, load_objectives(tmp_path / "objectives.toml"))


def test_a_good_plan_and_its_manifest(tmp_path):
    manifest = load(tmp_path).manifest(("not.listed",))
    assert manifest["checks"] == ["a.b"]
    assert manifest["objectives"][0]["min_samples"] == 100
    every = load(tmp_path, "every_check = true\n" + PLAN).manifest(("not.listed",))
    assert every["checks"] == ["a.b", "not.listed"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('"perf.x" = 2', '"perf.x" = 1'), "needs 100 samples, and profile 'x' yields about 66"),
        (("71s", "51s"), "yields about 92"),
        (("71s", "61s"), "a load must be steady for 65 s, and profile 'x' is for 56 s"),
        (('for = "71s"', 'for = "soon"'), "'soon' is not a duration"),
        (('id = "perf.x"', 'id = "perf.y"'), "'perf.y' is not in objectives.toml"),
        (('name = "x"', 'name = "z"'), "needs profile 'x', which the plan does not run"),
        (('"a.b"', '"a.b", "a.b"'), "names the check 'a.b' twice"),
        (("title", "titel"), "'titel' is not known"),
        (('budget = "3m"', ""), "'budget' is missing"),
        (("[[profiles]]", "[[profiles]"), "line 5"),
        (("users = 5", 'users = "many"'), "many"),
        (('budget = "3m"', 'budget = "20s"'), "its loads last 71 s, longer than its budget of 20 s"),
        (('id = "perf.x"', 'id = "perf.x"\nsamples = 58'), "fewer than 59 say nothing"),
    ],
)
def test_a_wrong_plan_is_one_sentence(tmp_path, change, says):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, PLAN.replace(*change))
    assert says in str(caught.value)


def test_availability_needs_the_samples_that_its_limit_demands(tmp_path):
    share = OBJECTIVE.replace("percentile = 95\n", "").replace('"ms"', '"%"').replace('"below"', '"above"')
    share = share.replace("limit = 100", "limit = 99.9")
    with pytest.raises(ConfigError, match="fewer than 2995 say nothing"):
        load(tmp_path, objective=share)
    with pytest.raises(ConfigError, match="needs 2995 samples, and profile 'x' yields about 132"):
        load(tmp_path, objective=share.replace("samples = 100", "samples = 2995"))


def test_a_shape_and_variables_of_a_profile(tmp_path):
    plan = load(tmp_path, PLAN.replace("users = 5", 'users = 5\nshape = "ramp"\nvariables = { A = 1 }'))
    assert (plan.profiles[0].shape, plan.profiles[0].variables) == ("ramp", {"A": "1"})


def test_a_plan_that_requires_nothing_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="requires nothing"):
        load(tmp_path, 'title = "T"\nbudget = "1m"\n')


def test_an_unknown_plan_names_those_there_are(tmp_path):
    load(tmp_path)
    with pytest.raises(ConfigError, match="known are"):
        load_plan("q", tmp_path, {})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("limit = 100", ""), "line 2: 'limit' is missing"),
        (("limit = 100", 'limit = "x"'), "'limit' has the wrong type"),
        (("limit = 100", "limit = true"), "'limit' has the wrong type"),
        (('"below"', '"under"'), "write below or above"),
        (("percentile = 95", "percentile = 100"), "lies outside 0 to 100"),
        (("samples = 100", "samples = 0"), "no data never decides"),
        (("unit", "units"), "'units' is not known"),
    ],
)
def test_a_wrong_objective_points_at_its_line(tmp_path, change, says):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, objective=OBJECTIVE.replace(*change))
    assert says in str(caught.value)


def test_the_shipped_plans_and_objectives_load():
    objectives = load_objectives(ROOT / "reports" / "objectives.toml")
    for path in (ROOT / "plans").glob("*.toml"):
        load_plan(path.stem, ROOT / "plans", objectives)
