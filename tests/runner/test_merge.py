"""Shards of a run: what each does, and that the merged run is judged as if one machine had done it all."""

from pathlib import Path
from typing import Any

import pytest

from core.errors import ConfigError
from core.events import Attachment, PlatformVersion, RunShard
from core.evidence import Evidence
from core.outcome import RunOutcome
from core.shard import Shard
from reports.judging.judge import judge
from runner.check_parts import shard_of
from runner.declared_checks import declared
from runner.merge import merge
from tests.reports.made import CHECKS, Made

NAMES = [check[0] for check in CHECKS]
FIRST, SECOND = set(NAMES[::2]), set(NAMES[1::2])


def shard(folder: Path, number: int, of: int = 2, **changes: Any) -> Path:
    """The `number`-th of two shards of the made run."""
    skip, elsewhere = (SECOND, {"upload"}) if number == 1 else (FIRST, {"database", "rooms"})
    changes.setdefault("extra", [RunShard(number, of)])
    return Made(folder, skip=skip, elsewhere=elsewhere, **changes).write()


def states(directory: Path) -> dict[str, object]:
    verdict = judge(directory, waivers=[])
    return {
        **{check.id: check.state for check in verdict.checks},
        **{objective.id: objective.state for objective in verdict.objectives},
        **{profile.name: profile.state for profile in verdict.profiles},
        "exit": verdict.exit,
        "samples": verdict.samples,
        "headline": verdict.headline,
    }


@pytest.mark.parametrize("outcome", ["met", "missed", "broken"])
def test_two_shards_are_judged_as_the_whole_run(tmp_path, outcome):
    outcomes = (
        {"kv.hit-and-miss": {"outcome": outcome, "message": "the cache never hits"}}
        if outcome != "met"
        else {}
    )
    whole = Made(tmp_path / "whole", outcomes=outcomes).write()
    parts = [shard(tmp_path / f"part-{number}", number, outcomes=outcomes) for number in (1, 2)]
    merged = merge(parts[::-1], tmp_path / "runs")
    assert states(merged) == states(whole)
    assert judge(merged, waivers=[]).run == merged.name


def test_hosts_with_other_clocks_are_put_in_order_by_the_wall(tmp_path):
    parts = [shard(tmp_path / f"part-{number}", number) for number in (1, 2)]
    for file in (parts[1] / "journal").glob("*.jsonl"):  # a host whose monotonic clock began at another time
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join([lines[0].replace('"boot": "', '"boot": "another '), *lines[1:]]))
    merged = Evidence(merge(parts, tmp_path / "runs"))
    times = [one.t for one in merged.recorded()]
    assert times == sorted(times)


def test_a_shards_files_are_found_in_the_merged_run(tmp_path):
    extra = [RunShard(1, 2), Attachment(NAMES[0], "seen", "evidence/seen.txt", "text/plain")]
    one = shard(tmp_path / "one", 1, extra=extra)
    (one / "evidence").mkdir()
    (one / "evidence" / "seen.txt").write_text("what was seen")
    merged = merge([one, shard(tmp_path / "two", 2)], tmp_path / "runs")
    [attachment] = Evidence(merged).events(Attachment)
    assert (merged / attachment.path).read_text() == "what was seen"


def test_a_missing_shard_is_broken_by_its_number(tmp_path):
    verdict = judge(merge([shard(tmp_path / "one", 1)], tmp_path / "runs"), waivers=[])
    assert verdict.exit == 3
    assert "shard 2 of 2 is missing" in verdict.headline


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"finished": False}, "shard 2 of 2 did not finish"),
        ({"outcome": RunOutcome.INTERRUPTED}, "the run was interrupted: shard 2 of 2"),
    ],
)
def test_a_shard_that_did_not_end_well_is_broken_by_its_number(tmp_path, changes, says):
    parts = [shard(tmp_path / "one", 1), shard(tmp_path / "two", 2, **changes)]
    verdict = judge(merge(parts, tmp_path / "runs"), waivers=[])
    assert verdict.exit == 3
    assert says in verdict.headline


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"commit": "another"}, "another commit of Assay"),
        ({"live": True}, "another target"),
        ({"loads": {"database": 30}}, "another plan"),
        ({"extra": [RunShard(2, 3)]}, "another number of shards"),
        ({"extra": [RunShard(1, 2)]}, "shard 1 is there twice"),
        ({"extra": [RunShard(2, 2), PlatformVersion("2")]}, "another version of the platform"),
        ({"extra": []}, "is no shard but a whole run"),
    ],
)
def test_what_is_not_of_one_run_is_refused(tmp_path, changes, says):
    parts = [shard(tmp_path / "one", 1), shard(tmp_path / "two", 2, **changes)]
    with pytest.raises(ConfigError, match=says):
        merge(parts, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_every_check_is_in_exactly_one_shard():
    checks = declared()
    for of in range(1, 10):
        shards = [shard_of(checks, Shard(number, of)) for number in range(1, of + 1)]
        assert sorted(c.id for part in shards for c in part) == sorted(c.id for c in checks)
        sizes = [len(part) for part in shards]
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "a/b", "1/", "-1/2"])
def test_a_shard_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="write K/N, such as 2/4"):
        Shard.parse(text)
