"""The rooms profile on the embedded target: right rooms are found right, one wrong message in a hundred is found out."""

import re

import pytest

from core.events import LedgerUndone, Note
from core.load_events import LoadFinished
from tests.loadprofiles.faulty import Faulty
from tests.loadprofiles.target import ended, held, run, start

FULL = ("--users", "100", "--rate", "40", "--for", "8s", "--warm-up", "1s")
"""Ten rooms of ten, 360 deliveries a second."""


@pytest.fixture(scope="module")
def target():
    with held() as environment:
        yield environment


def test_everybody_returns_from_storms_and_no_acknowledged_message_is_lost(target, tmp_path):
    ran = run("rooms", tmp_path, target, *FULL, ASSAY_ROOMS_STORM="2")
    assert ran.code == 0, ran.out
    assert (ran.wrong, ran.causes) == (0, {})
    assert ran.count("rooms.join") == 100
    storms = [e.text for e in ran.events if isinstance(e, Note) and "reconnect storm" in e.text]
    cut = sum(int(re.search(r"(\d+) sockets", text).group(1)) for text in storms)
    assert storms[0].startswith("reconnect storm: 100 sockets cut within")
    assert cut - 100 <= ran.count("rooms.rejoin") <= cut  # the last storm may be cut short by the end
    assert ran.count("rooms.storm") >= 1
    assert ran.count("rooms.history") == 10
    assert ran.count("perf.rooms") > 800
    assert ran.count("rooms.in_storm") > 0


@pytest.mark.parametrize(
    ("kind", "cause", "rule"),
    [
        ("lost", "a message was left out before this one", "no gap"),
        ("duplicated", "a message came twice", "none twice"),
        ("altered", "a message came altered", "same for all"),
        ("swapped", "a message came out of order", "one order"),
    ],
)
def test_one_wrong_message_in_a_hundred_is_found_out(target, tmp_path, kind, cause, rule):
    with Faulty(target["PLATFORM_URL"], kind, where="rooms") as proxy:
        ran = run("rooms", tmp_path, target, *FULL, PLATFORM_URL=proxy.url, ASSAY_ROOMS_STORM="0")
    assert ran.code == 0, ran.out
    assert proxy.altered >= 20
    assert ran.wrong >= proxy.altered / 2
    assert ran.causes[cause] >= proxy.altered / 2
    assert sum(n for text, n in ran.causes.items() if rule in text) >= 5  # rooms whose history is broken
    if kind == "lost":
        # some of what is lost comes after all: whoever returns for a cut of their own is told it anew
        assert ran.causes["not delivered in time"] >= proxy.altered / 4


def test_a_host_that_dies_midway_stops_the_load_in_words(target, tmp_path):
    with Faulty(target["PLATFORM_URL"], "altered", every=10**9, where="rooms") as proxy:
        words = ("--users", "20", "--rate", "20", "--for", "60s", "--warm-up", "1s")
        process = start("rooms", tmp_path, *words, **{**target, "PLATFORM_URL": proxy.url})
        while proxy.seen < 200:
            assert process.poll() is None, process.communicate()[0]
            proxy.wait(0.1)
    ran = ended(process, tmp_path)
    finished = ran.one(LoadFinished)
    assert ran.code == 1, ran.out
    assert finished.outcome == "stopped"
    assert "failed" in finished.reason or "wrong" in finished.reason, finished.reason
    assert ran.count("rooms.rejoin", "error") > 0
    assert [e for e in ran.events if isinstance(e, LedgerUndone) and e.kind == "auth.crowd"]
