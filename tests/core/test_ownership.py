"""A run's tag shows that a thing is the run's own, and only that run's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.events import LedgerLeft
from core.evidence import Evidence
from core.journal import Journal
from core.ledger import Ledger, left_over
from core.ownership import NotOursError, carries_tag, demand_tag
from core.permit import Action, Permit
from core.run import name_directory
from core.secret import Redactor


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_tag_is_known_wherever_it_stands_and_is_no_other_runs(before, after):
    run, other = name_directory().name, "20260101-000000-zzzzzz"
    tag = f"{run[-6:]}{'0a' * 4}"
    assert carries_tag(run, f"{before}{tag}{after}")
    assert not carries_tag(other, tag)
    assert demand_tag(run, f"x/{tag}", "a key") == f"x/{tag}"


@pytest.mark.parametrize("text", ["", "assay", "assay-", None, "20260101-000000-abcdef", "abcdef1234567"])
def test_what_carries_no_tag_is_refused(text):
    assert not carries_tag("20260101-000000-abcdef", text)
    with pytest.raises(NotOursError, match="carries no tag of run"):
        demand_tag("20260101-000000-abcdef", text, "a key")


def test_what_is_not_ours_is_told_and_left_for_good(tmp_path):
    def undo(key):
        raise NotOursError("the page 'Home' is somebody's")

    permit = Permit(frozenset({Action.WRITE}), frozenset())
    ledger = Ledger(Journal(tmp_path, "test", Redactor()), {"page": undo}, permit)
    ledger.plan("page", path="/")
    assert ledger.undo_all() == [], "nothing of ours was left behind"
    ledger.journal.flush()
    events = Evidence(tmp_path).events()
    assert [e.why for e in events if isinstance(e, LedgerLeft)] == ["the page 'Home' is somebody's"]
    assert left_over(events) == []
