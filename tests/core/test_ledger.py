"""What is created is journaled before the call, undone afterwards, and found again by the sweeper."""

from dataclasses import replace

import pytest

from core.errors import BrokenError, ConfigError
from core.evidence import Evidence
from core.journal import Journal
from core.ledger import Ledger, left_over
from core.passport import Passport, check
from core.permit import Action, Permit
from core.secret import Redactor
from core.target import Target

WRITING = Permit(frozenset({Action.WRITE}), frozenset())


def test_undone_newest_first_and_each_is_tried(tmp_path):
    order = []

    def undo(key):
        order.append(key["name"])
        if key["name"] == "b":
            raise RuntimeError("the service is away")

    ledger = Ledger(Journal(tmp_path, "test", Redactor()), {"thing": undo}, WRITING)
    for name in "abc":
        ledger.plan("thing", name=name)
    failures = ledger.undo_all()
    assert order == ["c", "b", "a"]
    assert len(failures) == 1
    assert "the service is away" in failures[0]
    ledger.journal.flush()
    assert [e.key["name"] for e in left_over(Evidence(tmp_path).events())] == ["b"]


def test_the_plan_is_on_disk_before_the_call(tmp_path):
    ledger = Ledger(
        Journal(tmp_path, "test", Redactor(), background=False), {"thing": lambda key: None}, WRITING
    )
    entry = ledger.plan("thing", name="a")
    [rest] = left_over(Evidence(tmp_path).events())
    assert rest.key == {"name": "a"}
    entry.confirm(id=7)
    [rest] = left_over(Evidence(tmp_path).events())
    assert rest.key == {"name": "a", "id": 7}


def test_nothing_is_created_that_nobody_can_undo(tmp_path):
    with pytest.raises(BrokenError, match="nothing knows how to undo 'moon'"):
        Ledger(Journal(tmp_path, "test", Redactor()), {}, WRITING).plan("moon")


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("id", "Bad Id", "lower-case words"),
        ("title", "", "has no title"),
        ("owner", "", "has no owner"),
        ("requirement", (), "names no requirement"),
        ("requirement", ("not one",), "not an identifier"),
        ("timeout", 60.0, "say why in why_slow"),
        ("needs", (), "says no needs"),
    ],
)
def test_a_passport_is_whole(field, value, says):
    good = {
        "id": "a.b",
        "title": "t",
        "owner": "o",
        "requirement": ("P1.1",),
        "service": "s",
        "needs": ("c",),
    }
    Passport(**good)
    with pytest.raises(ConfigError, match=says):
        Passport(**{**good, field: value})


def test_a_check_is_a_function_with_a_passport():
    @check("a.b", "title", requirement="KV", service="kv", needs="cache.kv")
    def function():
        return 1

    assert function() == 1
    assert function.__passport__.requirement == ("KV",)


def target(kind, **capabilities):
    permit = Permit(frozenset({Action.READ}), frozenset())
    return Target(kind=kind, name="t", capabilities=capabilities, permit=permit, services=(), engines={})


def test_what_a_target_lacks_leaves_a_check_not_applicable():
    passport = Passport(
        "a.b",
        "t",
        "o",
        ("KV",),
        "kv",
        ("cache.kv", "storage.r2", "database.tables.notes"),
        actions=(Action.OUTAGE,),
    )
    both = {"cache.kv": "required", "storage.r2": "absent"}
    assert (
        passport.inapplicable(target("live", **both)) == "the target has no storage.r2, database.tables.notes"
    )
    alone = replace(passport, needs=("cache.kv",))
    assert alone.inapplicable(target("embedded", **both)) == ""
    said = "taking a service away is proved on the embedded target alone"
    assert alone.inapplicable(target("live", **both)) == said
    with pytest.raises(ConfigError, match=r"'cache\.vk', which is neither .* did you mean 'cache\.kv'"):
        replace(passport, needs=("cache.vk",)).inapplicable(target("live", **both))
