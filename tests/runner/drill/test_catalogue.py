"""The catalogue: what ships can be used, what is wrong is one sentence with file and line, batches keep defects apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.services import catalogue as services
from core.config import load_toml
from core.errors import ConfigError
from core.project import find_project
from reports.judging.checks import Requirements
from reports.judging.overrides import Sources
from runner import declared_checks
from runner.drill.batches import batches, shard
from runner.drill.catalogue import (
    SHIPPED,
    Change,
    Defect,
    Entry,
    Load,
    Proxy,
    Source,
    Sql,
    read_catalogue,
    select,
)  # fmt: skip
from runner.drill.drill import changed_by
from runner.drill.figures import table
from runner.drill.plants import changed
from runner.drill.results import Seen, judged, summarise

GOOD = """
title = "A policy is gone"
requirement = "P1.3"
service = "supabase.database"
words = "Everybody read everything."
source = "OWASP API1:2023"
caught_by = ["database.rls_matrix"]
says = "posts"
[[plant]]
sql = "select 1"
restore = "select 2"
"""


def read(folder):
    sources = Sources(find_project().own)
    return read_catalogue(
        folder, declared_checks.declared(), sorted(sources.objectives()), services(), sources.requirements
    )


def entry(**more):
    expected = {
        "title": "t",
        "requirement": "P1.3",
        "service": "r2",
        "words": "w",
        "source": "s",
        "caught_by": ["a"],
    }
    plant = Sql(sql="a", restore="b")
    return Entry(**{**expected, "plant": (plant,), **more})


def defect(name, **more):
    return Defect(name, entry(**more), "0", SHIPPED)


def test_every_shipped_defect_can_be_read_and_every_source_that_it_patches_holds_its_words():
    root = SHIPPED.parent
    found = read(SHIPPED)
    assert len({d.id for d in found}) == len(found)
    objectives = Sources(find_project().own).objectives()
    for one in found:
        for name, changes in one.entry.load.objectives.items() if one.entry.load else ():
            changed_by(objectives[name], changes)
        texts = {}
        for plant in one.entry.plant:
            if isinstance(plant, Source):
                file = root / "stack" / plant.source
                text = texts.get(file) or file.read_text()
                texts[file] = changed(text, plant.find, plant.replace, f"{one.id}: {file}", every=plant.all)


def test_every_requirement_has_five_faults_and_one_of_them_is_the_smoke_drill_s():
    found = read(SHIPPED)
    names = {
        i for g in load_toml(Sources(find_project().own).requirements, Requirements).root.values() for i in g
    }
    faults = [d for d in found if not d.entry.healthy]
    for name in names:
        mine = [d for d in faults if d.entry.requirement == name]
        assert len(mine) >= 5, name
        assert sum(d.entry.smoke for d in mine) == 1, name
    chosen = select(found, ["smoke"])
    assert len(batches(chosen)) <= 3, "the smoke drill is to last four minutes"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('requirement = "P1.3"', 'requirement = "P1.33"', "line 3: 'P1.33': did you mean 'P1.3'?"),
        (
            "database.rls_matrix",
            "database.rls_matrx",
            "line 7: there is no check or objective 'database.rls_matrx'",
        ),
        ('service = "supabase.database"', 'service = "database"', "line 4: 'database'"),
        ("says =", "say =", "line 8: say is not known"),
        ('restore = "select 2"', "", "restore is missing"),
        ('caught_by = ["database.rls_matrix"]', "healthy = true", "watched_by is missing"),
        ('sql = "select 1"', 'skl = "select 1"', "line 9: a plant has one of the keys sql"),
    ],
)
def test_what_is_wrong_is_refused_by_file_and_line(tmp_path, old, new, says):
    (tmp_path / "a.toml").write_text(GOOD.replace(old, new))
    with pytest.raises(ConfigError) as error:
        read(tmp_path)
    assert says in str(error.value)


def test_words_of_only_choose_by_id_requirement_service_and_kind(tmp_path):
    for name in ("P1.3/one", "P1.3/two", "KV/three"):
        file = tmp_path / f"{name}.toml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(GOOD)
    found = read(tmp_path)
    assert [d.id for d in select(found, ["P1.3/one"])] == ["P1.3/one"]
    assert [d.id for d in select(found, ["KV"])] == ["KV/three"]
    assert (
        len(select(found, ["sql"]))
        == len(select(found, ["supabase.database"]))
        == len(select(found, ["*"]))
        == 3
    )
    with pytest.raises(ConfigError, match=r"P1\.3/one"):
        select(found, ["P1.3/onne"])


CHECKS = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=3, unique=True)


@given(st.lists(st.tuples(CHECKS, st.booleans(), st.booleans()), max_size=30), st.integers(1, 4))
def test_batches_hold_each_defect_once_and_nothing_that_could_meet(made, parts):
    defects = [
        defect(
            str(i), alone=alone, healthy=healthy, watched_by=names * healthy, caught_by=names * (not healthy)
        )
        for i, (names, alone, healthy) in enumerate(made)
    ]
    groups = batches(defects)
    assert sorted(d.id for group in groups for d in group) == sorted(d.id for d in defects)
    for group in groups:
        assert len(group) == 1 or not any(d.entry.alone for d in group)
        checks = [name for d in group for name in d.checks]
        assert len(set(checks)) == len(checks)
        assert len({d.entry.healthy for d in group}) == 1
    shards = [shard(groups, f"{k}/{parts}") for k in range(1, parts + 1)]
    assert sorted(map(id, (g for one in shards for g in one))) == sorted(map(id, groups))


LOADS = st.none() | st.builds(Load, profile=st.sampled_from("pq"), users=st.integers(1, 2))


@given(st.lists(st.tuples(CHECKS, LOADS), max_size=20))
def test_a_batch_has_one_load_of_each_profile_and_no_load_beside_checks(made):
    defects = [defect(str(i), caught_by=names, load=load) for i, (names, load) in enumerate(made)]
    groups = batches(defects)
    assert sum(map(len, groups)) == len(defects)
    for group in groups:
        loads = [d.entry.load for d in group]
        assert all(loads) or not any(loads)
        assert len({one.profile for one in loads if one}) == len(
            {one.model_dump_json() for one in loads if one}
        )


def test_an_objective_is_changed_by_the_keys_of_a_load_and_by_no_others():
    one = Sources(find_project().own).objectives()["perf.upload"]
    changed_one = changed_by(one, {"limit": 2, "labels": {"size": "25MB"}})
    assert (changed_one.limit, changed_one.labels, changed_one.id) == (2, {"size": "25MB"}, one.id)
    assert changed_by(one, {}) is one
    with pytest.raises(ConfigError, match=r"perf\.upload: limt"):
        changed_by(one, {"limt": 2})


def test_the_table_of_figures_counts_faults_alone_by_their_kind():
    defects = [
        defect("a"),
        defect("b", subtle=True),
        defect("c", healthy=True, watched_by=["a"], caught_by=()),
    ]
    results = [judged(d, {"a": Seen("missed" if d.id == "a" else "met", "")}) for d in defects]
    text = table(defects, results, ["a"])
    assert "| all | 2 | 1 | 1 | 0 | 0 | 50.0% | 1.3% to 98.7% |" in text
    assert "| subtle | 1 | 0 | 1 | 0 | 0 | 0.0% |" in text
    assert "| `sql` | 2 |" in text


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "/"])
def test_a_shard_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="--shard"):
        shard([], text)


@pytest.mark.parametrize(
    ("state", "words", "outcome"),
    [
        ("missed", "the AUDIT lacks it", "caught"),
        ("missed", "something else", "misled"),
        ("met", "", "slipped"),
        ("broken", "audit", "broken"),
        ("not_covered", "", "broken"),
    ],
)
def test_only_a_missed_check_in_the_right_words_has_caught_a_defect(state, words, outcome):
    assert judged(defect("x", says="audit"), {"a": Seen(state, words)}).outcome == outcome


@pytest.mark.parametrize(
    ("state", "outcome"), [("met", "quiet"), ("missed", "accused"), ("broken", "broken")]
)
def test_a_healthy_variant_is_accused_by_a_missed_check_alone(state, outcome):
    one = defect("x", healthy=True, watched_by=("a",), caught_by=())
    assert judged(one, {"a": Seen(state, "")}).outcome == outcome


@pytest.mark.parametrize(
    ("healthy", "state", "outcome"),
    [
        (False, "met", "broken"),
        (False, "missed", "caught"),
        (True, "met", "broken"),
        (True, "missed", "accused"),
    ],
)
def test_a_defect_whose_rules_changed_nothing_was_never_there(healthy, state, outcome):
    idle = Proxy(proxy="platform", answer=Change(delay=1))
    named = {"healthy": True, "watched_by": ("a",), "caught_by": ()} if healthy else {}
    assert judged(defect("x", plant=[idle], **named), {"a": Seen(state, "")}, [idle]).outcome == outcome
    both = defect("x", plant=[idle, Sql(sql="select 1", restore="select 1")], **named)
    assert judged(both, {"a": Seen("met", "")}, [idle]).outcome == ("quiet" if healthy else "slipped")


def test_what_could_not_be_judged_counts_apart_and_a_check_without_a_fault_is_toothless():
    defects = [defect("x"), defect("y"), defect("z")]
    states = {"x": "missed", "y": "met", "z": "broken"}
    results = [judged(d, {"a": Seen(states[d.id], "")}) for d in defects]
    summary = summarise(results, defects, ["a", "b"])
    assert (summary.caught, summary.faults, summary.sensitivity) == (1, 2, 0.5)
    assert list(summary.toothless) == ["b"]
