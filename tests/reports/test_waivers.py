"""waivers.toml: five fields, an end, and one sentence for every mistake."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from core.errors import ConfigError
from reports.judging.waivers import load_waivers

GOOD = (
    '[[waiver]]\ncheck = "kv.hit"\nreason = "vendor"\nowner = "ada"\nticket = "OPS-1"\nexpiry = 2027-01-31\n'
)
TODAY = dt.date(2026, 11, 22)


def test_a_waiver_and_its_end(tmp_path: Path) -> None:
    (tmp_path / "w.toml").write_text(GOOD + GOOD.replace("2027-01-31", '"2026-11-21"'))
    one, two = load_waivers(tmp_path / "w.toml", TODAY)
    assert (one.check, one.expiry, one.expired) == ("kv.hit", "2027-01-31", False)
    assert two.expired


def test_it_still_counts_on_its_last_day(tmp_path: Path) -> None:
    (tmp_path / "w.toml").write_text(GOOD)
    (waiver,) = load_waivers(tmp_path / "w.toml", dt.date(2027, 1, 31))
    assert not waiver.expired


def test_no_file_is_no_waiver(tmp_path: Path) -> None:
    assert load_waivers(tmp_path / "none.toml") == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD.replace('ticket = "OPS-1"\n', ""), r"w\.toml line 1: waiver\[0\]\.ticket is missing"),
        (GOOD.replace('"OPS-1"', '"  "'), "line 5: .*ticket should be text, and not blank"),
        (GOOD.replace("2027-01-31", '"soon"'), "line 6: .*expiry should be a date like 2027-01-31"),
        (GOOD + "excuse = 1\n", "line 7: .*excuse is not known; known are check"),
        (GOOD.replace("[[waiver]]", "[waiver]"), "line 1: waiver should be a list"),
        (GOOD.replace("[[waiver]]", "[[waivers]]"), "line 1: waivers is not known; did you mean 'waiver'"),
        ("[[waiver", "not TOML: "),
    ],
)
def test_each_mistake_is_a_sentence(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "w.toml").write_text(text)
    with pytest.raises(ConfigError, match=says):
        load_waivers(tmp_path / "w.toml", TODAY)
