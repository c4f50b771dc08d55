"""Which runs may speak for a release."""

from __future__ import annotations

from collections.abc import Callable

from reports import gate
from reports.judging.model import RunVerdict

Judged = Callable[..., RunVerdict]


def test_release_is_refused_for_an_embedded_run(judged: Judged) -> None:
    text, code = gate(judged(), release=True)
    assert code == 2
    assert "refused" in text
    live_text, live_code = gate(judged("live", live=True), release=True)
    assert live_code == 0
    assert "harness proved" not in live_text
    assert "on this machine" not in live_text


def test_a_live_target_on_this_machine_never_reads_as_production(judged: Judged) -> None:
    verdict = judged("live", live=True)
    verdict.target["loopback"] = True
    assert "not about production" in gate(verdict, release=True)[0]
