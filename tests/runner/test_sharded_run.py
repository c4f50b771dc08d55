"""Two shards on the embedded target and their merge: the same verdicts as one run, each check in exactly one of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.events import CheckFinished
from core.evidence import Evidence
from tests.runner.sandbox import Sandbox

CHECKS = ("reality.health", "database.profile_and_post", "database.stranger_denied", "cache.kv_hit_and_miss")


def states(run: Path) -> dict[str, str]:
    """Verdict of each check that ran."""
    verdict = json.loads((run / "verdict.json").read_text())
    return {one["id"]: one["state"] for one in verdict["checks"] if one["id"] in CHECKS}


@pytest.mark.timeout(900)
def test_shards_are_judged_as_the_run_that_one_machine_does(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    code, said = sandbox.run("check", *CHECKS)
    whole = sandbox.newest()
    assert states(whole) == dict.fromkeys(CHECKS, "met"), said
    parts = []
    for number in (1, 2):
        assert sandbox.run("check", *CHECKS, "--shard", f"{number}/2")[0] == 0
        parts.append(sandbox.newest())
    ran = [[event.check for event in Evidence(part).events(CheckFinished)] for part in parts]
    assert [len(ids) for ids in ran] == [2, 2]
    assert sorted(ran[0] + ran[1]) == sorted(CHECKS)
    merged, said = sandbox.run("merge", *map(str, parts))
    assert merged == code, said
    assert states(sandbox.newest()) == states(whole)
