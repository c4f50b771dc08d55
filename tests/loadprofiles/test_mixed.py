"""The mixed profile on the embedded target: counted by the server, the same with three workers, no wrong answer unseen."""

import math

import pytest

from core.load_events import LoadFinished
from tests.loadprofiles.faulty import Faulty
from tests.loadprofiles.target import held, run

FULL = ("--users", "40", "--rate", "120", "--for", "10s", "--warm-up", "1s")


@pytest.fixture(scope="module")
def target():
    with held() as environment:
        yield environment


@pytest.fixture(scope="module")
def alone(target, tmp_path_factory):
    """One clean load from one process."""
    return run("mixed", tmp_path_factory.mktemp("alone"), target, *FULL)


def test_a_clean_day_holds_and_the_server_counts_everybody(alone):
    assert alone.code == 0, alone.out
    assert alone.wrong == 0, alone.causes
    assert set(alone.gauges("prod.scale")) == {40}
    assert set(alone.gauges("prod.scale.sockets")) == {40}
    assert alone.gauges("prod.scale", "ramp"), "the ramp is in the evidence"
    assert alone.gauges("prod.scale.addresses")[-1] == 40, (
        "each at an address of its own, as the server sees it"
    )
    assert alone.count("auth", kind="who am I") >= 40


def test_three_workers_measure_what_one_does(alone, target, tmp_path):
    ran = run("mixed", tmp_path, target, *FULL, "--workers", "3")
    assert ran.code == 0, ran.out
    assert ran.wrong == 0, ran.causes
    finished = ran.one(LoadFinished)
    assert finished.reconciled is True
    assert len(finished.counted_by_workers) == 3
    assert min(ran.gauges("prod.scale")) == 40, "the identities of different workers are different people"
    for metric, kind in (("perf.database", "posts"), ("perf.database", "profile")):
        first, second = (one.count(metric, kind=kind) for one in (alone, ran))
        assert abs(first - second) < 5 * math.sqrt(first + second), "Poisson arrivals at the same rate"


@pytest.mark.parametrize(
    ("origin", "kind", "paths", "causes"),
    [
        ("VITE_SUPABASE_URL", "stranger", "/rest/v1/(profiles|posts)", {"another user's row"}),
        ("VITE_SUPABASE_URL", "altered", "/rest/v1/", set()),
        ("PLATFORM_URL", "altered", "/api/content", {"the page is not as it was written"}),
        ("PLATFORM_URL", "truncated", "/api/content", {"the body is no JSON (cut or altered)"}),
        ("PLATFORM_URL", "lost", "", {"a message was left out before this one"}),
    ],
)
def test_one_wrong_answer_in_a_hundred_is_found_out(target, tmp_path, origin, kind, paths, causes):
    with Faulty(target[origin], kind, paths=paths, after=100) as proxy:
        ran = run("mixed", tmp_path, target, *FULL, **{origin: proxy.url})
    assert ran.code == 0, ran.out
    assert proxy.altered > 0
    # what everybody may read is right in a stranger's answer too
    assert ran.wrong >= max(1, proxy.altered / (6 if kind == "stranger" else 2))
    assert causes <= set(ran.causes), ran.causes


def test_refusals_are_an_outcome_of_their_own(target, tmp_path):
    with Faulty(target["PLATFORM_URL"], "refused", paths="/api/content", every=5, after=100) as proxy:
        ran = run("mixed", tmp_path, target, *FULL, PLATFORM_URL=proxy.url)
    assert ran.wrong == 0
    assert ran.count("perf.content", "refused") == proxy.altered > 0
    assert ran.causes["answered 429"] == proxy.altered
