"""Each profile on the embedded target: clean, it finds nothing wrong; one wrong answer in a hundred it finds and names."""

import resource
import time

import psutil
import pytest

from clients.control import call
from core.events import LedgerPlanned, LedgerUndone
from core.evidence import Evidence
from core.load_events import LoadFinished, LoadKnee, LoadLevel, LoadSteady
from tests.loadprofiles.faulty import Faulty
from tests.loadprofiles.target import ended, held, of, run, start

SHORT = ("--users", "20", "--for", "8s", "--warm-up", "1s")
FULL = {
    "database": (*SHORT, "--rate", "100"),
    "content": (*SHORT, "--rate", "40"),
    "cache": (*SHORT, "--rate", "40"),
    "uptime": (*SHORT, "--rate", "60"),
    "telemetry": (*SHORT, "--rate", "12"),
    "upload": ("--users", "4", "--for", "12s", "--warm-up", "1s"),
}
"""What a busy machine of two cores carries; more would show its limits and not the profiles'."""
EVERY = {"database": 100, "content": 100, "cache": 50, "uptime": 20, "telemetry": 20}
"""One answer in so many is spoilt: enough answers are asked for in a short load that several must be."""
SIZES = {"ASSAY_UPLOAD_MB": "0.2,0.2,6"}


@pytest.fixture(scope="module")
def target():
    with held() as environment:
        yield environment | SIZES


@pytest.mark.parametrize("profile", sorted(FULL))
def test_a_clean_target_gives_no_wrong_answer(target, tmp_path, profile):
    ran = run(profile, tmp_path, target, *FULL[profile])
    assert (ran.code, ran.wrong) == (0, 0), ran.out
    if profile == "content":
        assert ran.count("perf.content", cache="miss") > 30
        assert ran.count("perf.content", cache="hit") > 30
    if profile == "database":
        assert min(ran.count("perf.database", kind=kind) for kind in ("posts", "profile", "insert")) > 20
        kinds = ("search", "page", "drafts", "audit", "hot row", "crowd")
        assert min(ran.count("database", kind=kind) for kind in kinds) > 5
    if profile == "cache":
        assert ran.count("cache.refresh") >= 1
        assert ran.count("cache", kind="stampede") >= 40
    if profile == "telemetry":
        assert {
            s for s in ("sentry", "datadog", "ga4", "mixpanel") if ran.count("perf.telemetry", service=s) > 5
        } == {"sentry", "datadog", "ga4", "mixpanel"}
    if profile == "upload":
        assert ran.count("perf.upload", size="6MB") >= 2
        assert ran.count("perf.upload", size="0.2MB") >= 4
        assert ran.gauges("load.leftovers", None) == [0]


@pytest.mark.parametrize(
    ("profile", "origin", "kind", "paths", "cause"),
    [
        ("database", "VITE_SUPABASE_URL", "altered", "/rest/v1/", "is not as it was written"),
        ("database", "VITE_SUPABASE_URL", "truncated", "/rest/v1/", "the body is no JSON (cut or altered)"),
        ("database", "VITE_SUPABASE_URL", "stranger", "/profiles|eq.draft", "another user's row"),
        ("content", "PLATFORM_URL", "altered", "/api/content", "the page is not as it was written"),
        ("content", "PLATFORM_URL", "truncated", "/api/content", "the body is no JSON (cut or altered)"),
        ("cache", "PLATFORM_URL", "altered", "/api/content", "the page is not as it was written"),
        ("uptime", "PLATFORM_URL", "truncated", "", "the body is no JSON (cut or altered)"),
        ("uptime", "VITE_SUPABASE_URL", "stranger", "/rest/v1/", "id is not what it must be"),
        ("telemetry", "PLATFORM_URL", "truncated", "/api/t", "the answer is no JSON (cut or altered)"),
    ],
)
def test_one_wrong_answer_in_a_hundred_is_found_and_named(
    target, tmp_path, profile, origin, kind, paths, cause
):
    with Faulty(target[origin], kind, paths=paths, every=EVERY[profile]) as proxy:
        ran = run(profile, tmp_path, target, *FULL[profile], **{origin: proxy.url})
    assert proxy.altered > 0, ran.out
    assert ran.wrong >= proxy.altered / 2, ran.causes
    assert any(cause in text for text in ran.causes), ran.causes


@pytest.mark.parametrize(
    ("origin", "kind", "paths", "cause"),
    [
        ("R2_ENDPOINT", "truncated", r"/r2/s3/.*\w{8}-", "r2 holds other bytes than were sent"),
        ("PLATFORM_URL", "truncated", "/api/upload", "not in the contract's form"),
    ],
)
def test_an_upload_that_is_cut_or_not_told_of_rightly_is_wrong(target, tmp_path, origin, kind, paths, cause):
    with Faulty(target[origin], kind, paths=paths, every=4) as proxy:
        address = proxy.url + ("/cdn-cgi/local/r2/s3" if origin == "R2_ENDPOINT" else "")
        ran = run("upload", tmp_path, target, *FULL["upload"], **{origin: address})
    assert proxy.altered > 0
    assert ran.wrong > 0, ran.out
    assert any(cause in text for text in ran.causes), ran.causes


@pytest.mark.parametrize("profile", ["database", "content"])
def test_a_refusal_is_an_outcome_of_its_own(target, tmp_path, profile):
    origin, paths = (
        ("VITE_SUPABASE_URL", "/rest/v1/") if profile == "database" else ("PLATFORM_URL", "/api/con")
    )
    with Faulty(target[origin], "refused", paths=paths, every=60) as proxy:
        ran = run(profile, tmp_path, target, *FULL[profile], **{origin: proxy.url})
    assert ran.wrong == 0
    refused = sum(counts["refused"] for s in ran.one(LoadFinished).series for counts in s.counts.values())
    assert refused == ran.causes["answered 429"] > 0


def test_a_search_for_the_knee_ends_with_one(target, tmp_path):
    ran = run("database", tmp_path, target, "--shape", "step", "--users", "16", "--for", "60s")
    assert ran.code == 0, ran.out
    knee, levels = ran.one(LoadKnee), [e for e in ran.events if isinstance(e, LoadLevel)]
    assert levels, "each level is in the evidence, with its window"
    assert all(level.end > level.start for level in levels)
    assert knee.peak == 16
    assert knee.users is None or knee.low <= knee.users <= (knee.high or 16)


def test_accepted_and_lost_is_wrong(target, tmp_path):
    """Mixpanel's intake says that it has everything, and keeps every fifth event for nobody."""
    lose = {"rules": [{"where": "mixpanel/api", "lose": True, "times": 5}]}
    call(of(target), "POST", "/faults/vendors", lose)
    try:
        ran = run("telemetry", tmp_path, target, *FULL["telemetry"], "--", "--assay-drain", "20")
    finally:
        call(of(target), "POST", "/faults/vendors", {"rules": []})
    assert ran.causes["accepted and not readable at mixpanel within 90 s"] == 5, ran.causes
    assert ran.wrong == 5


def test_a_host_that_dies_midway_stops_the_load_and_what_was_made_is_undone(target, tmp_path):
    proxy = Faulty(target["PLATFORM_URL"], "altered", paths="nothing")
    with proxy:
        process = start("content", tmp_path, *FULL["content"], **{**target, "PLATFORM_URL": proxy.url})
        until = time.monotonic() + 60
        while not (tmp_path / "journal").exists() or not Evidence(tmp_path).events(LoadSteady):
            assert time.monotonic() < until, "the load never began"
            time.sleep(0.1)
        time.sleep(1)  # so that there is something to lose
    ran = ended(process, tmp_path)
    finished = ran.one(LoadFinished)
    assert ran.code == 1, ran.out
    assert finished.outcome == "stopped"
    assert "ECONN" in finished.reason
    assert finished.count == sum(len(block) for _, _, block in Evidence(tmp_path).blocks())
    planned = {e.entry for e in ran.events if isinstance(e, LedgerPlanned)}
    undone = {e.entry for e in ran.events if isinstance(e, LedgerUndone)}
    assert planned
    assert planned == undone
    assert "Traceback" not in ran.out


def test_a_disk_that_is_full_is_one_sentence_and_what_was_written_is_kept(target, tmp_path):
    process = start("uptime", tmp_path, *FULL["uptime"], **target)
    until = time.monotonic() + 60
    while not (tmp_path / "journal").exists() or not Evidence(tmp_path).events(LoadSteady):
        assert time.monotonic() < until, "the load never began"
        time.sleep(0.1)
    largest = max(path.stat().st_size for path in (tmp_path / "journal").iterdir()) + 1000
    for one in (launcher := psutil.Process(process.pid), *launcher.children(recursive=True)):
        resource.prlimit(one.pid, resource.RLIMIT_FSIZE, (largest, largest))
    ran = ended(process, tmp_path)
    assert ran.code == 3, ran.out
    assert "evidence could not be written" in ran.out
    assert "Traceback" not in ran.out
    assert sum(len(block) for _, _, block in Evidence(tmp_path).blocks()) > 0
