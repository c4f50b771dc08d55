"""What a run found where its own things were planned, and left since it may be somebody's, is told."""

from collections.abc import Callable

from core.events import LedgerLeft, LedgerPlanned
from reports.judging.model import RunVerdict


def test_what_may_be_somebodys_is_told_and_is_nothing_that_was_left_behind(
    judged: Callable[..., RunVerdict],
) -> None:
    extra = [
        LedgerPlanned("1", "r2.object", {"key": "a"}, ""),
        LedgerPlanned("2", "builder.entry", {"path": "/"}, ""),
        LedgerLeft("2", "builder.entry", "the page 'Home' is somebody's"),
    ]
    verdict = judged(extra=extra)
    assert "not touched: the page 'Home' is somebody's" in verdict.notes
    assert any(note.startswith("1 thing that the run made may still be there") for note in verdict.notes)
