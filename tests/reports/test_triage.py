"""Triage and what leaves for a pull request, a chat and a page over runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import reports
from core.errors import ConfigError
from reports import History
from reports.judging.model import RunVerdict
from reports.judging.mutes import load_mutes
from reports.judging.waivers import load_waivers
from reports.rendering.page.trends import objective_rows, write_trends
from reports.rendering.sign_off import sign, signoffs
from reports.rendering.writers.comment import MARKER, comment_text, slack_text
from runner import triage

SOON = (dt.date.today() + dt.timedelta(days=20)).isoformat()
MISSED = {"storage.large-file": {"outcome": "missed", "message": "no <object> in R2"}}
SAID: dict[str, str] = {"reason": "the vendor's fault", "owner": "ada", "ticket": "OPS-7", "until": SOON}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "target.toml").write_text('name = "mine"\n')
    monkeypatch.setenv("ASSAY_PROJECT", str(tmp_path))
    return tmp_path


def test_a_waiver_is_written_whole_beside_what_stands_there(files: Path) -> None:
    (files / "waivers.toml").write_text("# ours\n")
    path = triage.waive("auth.second_factor", **SAID)
    (waiver,) = load_waivers(path)
    assert (waiver.check, waiver.owner, waiver.ticket, waiver.expiry) == (
        "auth.second_factor",
        "ada",
        "OPS-7",
        SOON,
    )
    assert path.read_text().startswith("# ours\n")
    triage.waive("perf.database", **SAID)
    assert [w.check for w in load_waivers(path)] == ["auth.second_factor", "perf.database"]
    (mute,) = load_mutes(triage.mute("perf.*", reason="a night", owner="ada", until=SOON))
    assert mute.covers("perf.rooms", dt.date.today())


@pytest.mark.parametrize(
    ("check", "change", "says"),
    [
        ("auth.second_facto", {}, "did you mean 'auth.second_factor'?"),
        ("auth.second_factor", {"until": "soon"}, "is no day"),
        ("auth.second_factor", {"until": "2020-01-01"}, "is over already"),
        ("auth.second_factor", {"until": "2999-01-01"}, "more than 90 days"),
        ("auth.second_factor", {"reason": "  "}, "reason says nothing"),
    ],
)
def test_a_waiver_that_says_too_little_changes_nothing(
    files: Path, check: str, change: dict[str, str], says: str
) -> None:
    with pytest.raises(ConfigError) as error:
        triage.waive(check, **(SAID | change))
    assert says in str(error.value)
    assert sorted(p.name for p in files.iterdir()) == ["target.toml"]


@given(st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip))
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whatever_a_reason_says_is_read_back(files: Path, reason: str) -> None:
    (files / "alerts.toml").unlink(missing_ok=True)
    (mute,) = load_mutes(triage.mute("perf.*", reason=reason, owner="ada", until=SOON))
    assert mute.reason.strip() == reason.strip()


def test_a_sign_off_stays_with_the_run_and_stands_in_its_pdf(
    judged: Callable[..., RunVerdict], tmp_path: Path
) -> None:
    verdict, directory = judged(), tmp_path / "run"
    sign(directory, "Ada", "seen", verdict.state, verdict.headline)
    sign(directory, "Ben", "seen, too", verdict.state, verdict.headline)
    assert [(s.name, s.comment) for s in signoffs(directory)] == [("Ada", "seen"), ("Ben", "seen, too")]
    reports.write(verdict, directory, writers=["pdf"])
    with pytest.raises(ConfigError):
        sign(directory, "Ada", " ", verdict.state, verdict.headline)


def test_a_comment_and_a_message_tell_cause_and_place(judged: Callable[..., RunVerdict]) -> None:
    verdict = judged(outcomes=MISSED)
    comment = comment_text(verdict, "https://ci.example/runs/7")
    assert comment.startswith(MARKER)
    assert len(comment.splitlines()) <= 12
    for text in (comment, slack_text(verdict, "https://ci.example/runs/7")):
        assert "no &lt;object" in text
        assert "Cloudflare R2" in text
        assert "https://ci.example/runs/7" in text


def test_trends_are_one_page_from_the_history(judged: Callable[..., RunVerdict], tmp_path: Path) -> None:
    history = History(tmp_path / "h.sqlite")
    verdict = None
    for night in range(4):
        outcomes: dict[str, Any] = MISSED if night == 2 else {}
        verdict = judged(f"night-{night}", age_days=9 - night, outcomes=outcomes, history=history)
        history.record(verdict)
    assert verdict is not None
    page = write_trends(
        history, "embedded", "smoke", tmp_path / "trends.html", objective_rows(verdict.objectives)
    )
    text = page.read_text(encoding="utf-8")
    for stated in ("night-0", "night-3", "13 of 14", "Database, typical query", "p95 &lt; 100 ms"):
        assert stated in text, stated
    assert "http" not in text.replace("http-equiv", "")
