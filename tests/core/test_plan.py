"""Plans and objectives are validated before any traffic."""

from pathlib import Path

import pytest

from core.errors import ConfigError
from core.objective import load_objectives
from core.plan import load_plan
from reports.judging.decidable import refuse_undecidable

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
    plan = load_plan("p", tmp_path, load_objectives(tmp_path / "objectives.toml"))
    refuse_undecidable(plan)
    return plan


def test_a_good_plan_and_its_manifest(tmp_path):
    manifest = load(tmp_path).manifest(("not.listed",))
    assert manifest.checks == ("a.b",)
    assert manifest.objectives[0].min_samples == 100
    every = load(tmp_path, PLAN.replace('["a.b"]', '"all"')).manifest(("a.b", "not.listed"))
    assert every.checks == ("a.b", "not.listed")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('"perf.x" = 2', '"perf.x" = 1'), "needs 100 samples, and profile 'x' yields about 66"),
        (("71s", "51s"), "yields about 92"),
        (("71s", "61s"), "a load must be steady for 65 s, and profile 'x' is for 56 s"),
        (('for = "71s"', 'for = "soon"'), "'soon' is not a duration"),
        (('id = "perf.x"', 'id = "perf.y"'), "'perf.y' is not in objectives.toml"),
        (('name = "x"', 'name = "z"'), "needs profile 'x', which the plan does not run"),
        (('"a.b"', '"a.b", "a.b"'), "line 4: the check 'a.b' is named twice"),
        (("title", "titel"), "p.toml line 2: titel is not known; did you mean 'title'?"),
        (('budget = "3m"', ""), "p.toml line 1: budget is missing"),
        (("[[profiles]]", "[[profiles]"), "line 5"),
        (("users = 5", 'users = "many"'), 'line 7: profiles[0].users should be a whole number, not "many".'),
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
    plan = load(tmp_path, PLAN.replace("users = 5", 'users = 5\nshape = "ramp"\nvariables = { A = "1" }'))
    assert (plan.profiles[0].shape, plan.profiles[0].variables) == ("ramp", {"A": "1"})


def test_a_load_is_measured_again_only_if_the_plan_says_so(tmp_path):
    assert not load(tmp_path).retry_unfit
    assert load(tmp_path, PLAN.replace('budget = "3m"', 'budget = "3m"\nretry_unfit = true')).retry_unfit


def test_a_plan_of_loads_alone_wants_no_check(tmp_path):
    alone = load(tmp_path, PLAN.replace('checks = ["a.b"]\n', ""))
    assert alone.manifest(("a.b", "not.listed")).checks == ()
    assert not alone.wants("a.b")
    assert load(tmp_path, PLAN.replace('["a.b"]', '"all"')).wants("not.listed")


def test_numbers_of_ones_own(tmp_path):
    (tmp_path / "objectives.toml").write_text(OBJECTIVE)
    own = tmp_path / "own.toml"
    own.write_text('["perf.x"]\nlimit = 250\n')
    found = load_objectives(tmp_path / "objectives.toml", own)["perf.x"]
    assert (found.limit, found.metric, found.title) == (250.0, "perf.x", "X")
    own.write_text("[perf.x]\n\nlimt = 250\n")
    with pytest.raises(
        ConfigError, match=r"own\.toml line 3: perf\.x\.limt is not known; did you mean 'limit'"
    ):
        load_objectives(tmp_path / "objectives.toml", own)
    own.write_text('["perf.xx"]\nlimit = 250\n')
    with pytest.raises(ConfigError, match=r"line 1: 'perf\.xx' is no objective.*did you mean 'perf\.x'"):
        load_objectives(tmp_path / "objectives.toml", own)


def test_a_plan_that_requires_nothing_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="requires nothing"):
        load(tmp_path, 'title = "T"\nbudget = "1m"\n')


def test_an_unknown_plan_names_those_there_are(tmp_path):
    load(tmp_path)
    with pytest.raises(ConfigError, match=r"not a plan; (did you mean|known are)"):
        load_plan("q", tmp_path, {})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("limit = 100", ""), 'line 2: "perf.x".limit is missing'),
        (("limit = 100", 'limit = "x"'), 'line 6: "perf.x".limit should be a number, not "x".'),
        (("limit = 100", "limit = true"), "limit should be a number, not true."),
        (('"below"', '"under"'), "direction should be 'below' or 'above'"),
        (("percentile = 95", "percentile = 100"), "percentile should be less than 100"),
        (("samples = 100", "samples = 0"), "samples should be greater than or equal to 1"),
        (("unit", "units"), "line 4: \"perf.x\".units is not known; did you mean 'unit'?"),
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
