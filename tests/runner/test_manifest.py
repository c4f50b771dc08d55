"""What the suites hold is read from their source, so that nothing can quietly fall out of the plan."""

import pytest

from core.errors import ConfigError
from core.objective import load_objectives
from core.plan import load_plan
from core.run import ROOT
from runner.declared_checks import declared, gating


def suite(tmp_path, text):
    (tmp_path / "suites" / "x").mkdir(parents=True)
    (tmp_path / "suites" / "x" / "test_x.py").write_text(text)
    return tmp_path


def test_checks_are_found_with_their_flags(tmp_path):
    root = suite(
        tmp_path,
        '@check("a.b", "t", requirement="KV", gate=False)\ndef test_a(): ...\n'
        '@passport.check(id="c.d", exclusive=True)\ndef test_c(): ...\ndef helper(): ...\n',
    )
    assert [(c.id, c.gate, c.exclusive) for c in declared(root)] == [
        ("a.b", False, False),
        ("c.d", True, True),
    ]
    assert gating(root) == ("c.d",)


def test_a_file_that_is_not_python_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match="line 1 is not Python"):
        declared(suite(tmp_path, "def broken(:\n"))


def test_an_id_that_is_computed_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="plain text"):
        declared(suite(tmp_path, "@check(NAME)\ndef test_a(): ...\n"))


def test_every_check_that_a_plan_names_exists_and_ids_are_unique():
    found = [c.id for c in declared()]
    assert len(found) == len(set(found))
    objectives = load_objectives(ROOT / "reports" / "objectives.toml")
    for path in (ROOT / "plans").glob("*.toml"):
        plan = load_plan(path.stem, ROOT / "plans", objectives)
        missing = set() if plan.checks == "all" else set(plan.checks) - set(found)
        assert not missing, f"{path.name} names checks that do not exist: {sorted(missing)}"
