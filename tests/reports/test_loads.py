"""What the loads told of themselves: users, health, levels of a search, and the pictures of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import reports
from core.events import Gauge, ManifestObjective
from reports import History
from reports.judging.judge import judge
from reports.judging.load_timelines import MOST, _thin
from reports.judging.model import RunVerdict
from reports.rendering.page.build import build
from tests.reports.made import LEVELS, Made

Judged = Callable[..., RunVerdict]


def test_users_and_health_over_the_whole_load(judged: Judged) -> None:
    load = judged().measurements["loads"]["database"]
    assert load["users"][0] == [0.0, 10]
    assert load["users"][-1] == [89.0, 50]
    assert load["steady"] == [1.0, 89.5]
    assert len(load["users"]) == 90
    assert len(load["health"]) >= 90
    assert load["unhealthy"] == []


def test_long_curves_keep_the_gravest_of_each_stretch() -> None:
    points = [[float(i), 1.0] for i in range(3600)]
    points[1234][1] = 900.0
    kept = _thin(points)
    assert len(kept) <= MOST
    assert [1234.0, 900.0] in kept


def test_each_level_is_judged_from_its_own_samples(judged: Judged) -> None:
    verdict = judged(levels=True)
    load = verdict.measurements["loads"]["database"]
    assert load["knee"] == {"users": 581, "low": 560, "high": 604, "sure": True, "peak": 1600}
    levels = verdict.measurements["perf.database"][0]["levels"]
    assert [(level["users"], level["holds"]) for level in levels] == list(LEVELS)
    for level in levels:
        assert level["low"] <= level["value"] <= level["high"]
        assert 200 < level["samples"] < 350


def test_the_objective_s_page_draws_them(tmp_path: Path) -> None:
    directory = Made(tmp_path / "run", levels=True).write()
    build(judge(directory, waivers=[]), directory / "report")
    page = (directory / "report" / "objective-perf.database.html").read_text()
    for text in (
        "Where it stops holding",
        "knee: 581 users hold",
        "Database, typical query: 581 users hold",
        "All levels together",
        "Users",
        "fit throughout",
        "Reach: stalls of up to",
    ):
        assert text in page, text
    other = (directory / "report" / "objective-perf.rooms.html").read_text()
    assert "Where it stops holding" not in other
    assert "The load: rooms" in other


def test_a_level_objective_draws_its_readings(judged: Judged, tmp_path: Path) -> None:
    wanted = ManifestObjective("prod.scale", None, 3, "database", True)
    readings = [Gauge("prod.scale", 1000 + n, "users") for n in range(4)]
    verdict = judged(objectives=[wanted], extra=readings)
    (scale,) = (o for o in verdict.objectives if o.id == "prod.scale")
    assert (scale.state, scale.value) == ("met", 1000)
    build(verdict, tmp_path / "report")
    assert "Each reading" in (tmp_path / "report" / "objective-prod.scale.html").read_text()


def test_two_runs_share_their_curves(tmp_path: Path) -> None:
    one = judge(Made(tmp_path / "one").write(), waivers=[])
    two = judge(Made(tmp_path / "two", seed=2).write(), waivers=[])
    page = reports.compare(one, two, tmp_path / "compare.html").read_text()
    for text in ("Distribution, posts", "p95 over time, posts", ">earlier<", ">later<"):
        assert text in page, text


def test_what_changed_since_the_last_run(tmp_path: Path) -> None:
    history = History(tmp_path / "history.sqlite")
    first = judge(Made(tmp_path / "one", age_days=1).write(), waivers=[], history=history)
    history.record(first)
    slow = {"perf.database": 28.0, "perf.upload": 3100.0, "perf.rooms": 6.0}
    gone = {"outcome": "missed", "message": "gone"}
    run = Made(tmp_path / "two", latency=slow, outcomes={"kv.hit-and-miss": {**gone, "seconds": 9.0}}).write()
    verdict = judge(run, waivers=[], history=history)
    assert verdict.since_last["newly_failing"] == ["kv.hit-and-miss"]
    assert [s["check"] for s in verdict.since_last["slower"]] == ["kv.hit-and-miss"]
    build(verdict, tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text()
    assert "perf.database (24.9 ms to" in page
    assert page.index("The cache misses, then hits") < page.index("From registration to upload")
    history.close()
