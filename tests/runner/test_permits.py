"""What a permit lacks, and what a target does not name, no command sends: real processes, recorders before every address.

The fuller form, with each permit lacking in turn and a whole stack behind the recorders, is `python -m bench.permits`.
"""

import pytest

from core.events import CheckCollected, CheckFinished, LedgerPlanned, TargetIdentified, TargetResolved
from core.evidence import Evidence
from core.journal import Journal
from core.load_events import LoadLeft, LoadStarted
from core.permit import Action
from core.secret import Redactor
from tests.clients.strange import environment
from tests.runner.permit_cases import LIVE, Place, leading_to, strangers_links, wrong
from tests.runner.recorders import Recorder, Recorders, nothing_here

pytestmark = pytest.mark.timeout(1800)
LOADS = ("uptime", "rooms", "upload")


@pytest.fixture
def place(tmp_path):
    recorders = Recorders(environment(9))
    yield Place(tmp_path, recorders, checks=(), loads=LOADS)
    recorders.close()


def outcomes(one):
    return {event.check: str(event.outcome) for event in Evidence(one.newest()).events(CheckFinished)}


def test_with_read_alone_every_check_that_only_reads_runs_and_nothing_else_is_sent(place, record_property):
    """Every check, browser flows too; and every answer leads to addresses near to those that the target names."""
    stranger = Recorder(nothing_here)
    links = strangers_links(place.recorders.variables, stranger.port)
    place.recorders.answering = leading_to(links)
    place.permit({Action.READ})
    _, said, came = place.run("check", "--workers", "1")
    found = outcomes(place)
    passports = [event.passport for event in Evidence(place.newest()).events(CheckCollected)]
    reading = {passport.id for passport in passports if set(passport.actions) == {Action.READ}}
    ran = {check for check, outcome in found.items() if outcome in ("met", "missed", "broken")}
    record_property("cases", len(found))
    assert wrong(came, {Action.READ}) == []
    assert ran == reading - {"transport.tls", "transport.database"}, said  # this machine has no TLS
    assert len(ran) >= 11
    assert any("mozilla" in r.headers for r in came), "a browser came"
    assert not Evidence(place.newest()).events(LedgerPlanned), "nothing was to be made"
    assert stranger.connections == 0
    assert {r.host for r in came if r.method not in ("TLS", "SQL")} == {f"127.0.0.1:{place.port}"}
    stranger.close()


def test_a_load_that_is_not_permitted_sends_nothing_whoever_starts_it(place, record_property):
    place.permit(set(LIVE) - {Action.LOAD})
    record_property("cases", len(LOADS) + 2)
    code, said, came = place.run("nightly")
    assert code in (1, 3), said
    assert (came, place.recorders.connections) == ([], 0)
    left = Evidence(place.newest()).events(LoadLeft)
    assert [event.profile for event in left] == list(LOADS)
    assert not Evidence(place.newest()).events(LoadStarted)
    judged = str(place.newest())
    for words in (("gate", judged), ("report", judged), ("load", "uptime", "--for", "2s")):
        code, said, came = place.run(*words)
        assert code in (1, 2, 3), said
        assert came == []
    _, said, came = place.locust("rooms")
    assert "no run names one" in said
    assert (came, place.recorders.connections) == ([], 0)


def test_a_load_makes_nobody_where_it_may_not_write(place):
    place.permit({Action.READ, Action.LOAD})
    code, said, came = place.run("load", "uptime", "--users", "2", "--for", "2s")
    assert code in (1, 3), said
    assert wrong(came, {Action.READ, Action.LOAD}) == []
    assert not Evidence(place.newest()).events(LedgerPlanned)


@pytest.mark.parametrize("actions", [set(), {Action.READ}], ids=["nothing", "read"])
def test_doctor_only_reads(place, actions):
    place.permit(actions)
    _, said, came = place.run("doctor")
    assert wrong(came, actions) == []
    assert bool(came) is bool(actions), said


def test_a_sweep_that_may_only_read_removes_nothing(place):
    local = left_by_a_dead_run(place)
    code, said, came = place.run("sweep")
    assert local in said
    assert code == 3
    assert wrong(came, {Action.READ}) == []


def left_by_a_dead_run(place):
    """The ledger of a killed run on this very target, with one person to be removed: what names it."""
    place.permit(LIVE)
    folder = place.runs / "20200101-000000-abcdef"
    journal = Journal(folder, "assay", Redactor())
    target = place.target()
    journal.write(TargetResolved.of(target))
    journal.write(TargetIdentified(target.identity()))
    entry = {"local": "assay-abcdef12345678"}
    journal.write(LedgerPlanned("1", "auth.user", entry, "made"), durable=True)
    journal.close()
    place.permit({Action.READ})
    return "assay-abcdef12345678"


def test_an_outage_is_not_to_be_permitted_and_nothing_is_sent(place):
    place.permit([*LIVE, Action.OUTAGE])
    code, said, came = place.run("doctor")
    assert code == 2
    assert "'outage' is for the embedded target alone" in said
    assert (came, place.recorders.connections) == ([], 0)
