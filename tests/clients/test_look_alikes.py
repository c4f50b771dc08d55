"""What is somebody's stays, in every service: after checks that failed to create, after normal ends, and after sweeps."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest

from clients import embedded
from clients.bulk_identities import make as make_crowd
from clients.identities import make_actor, plan_user
from clients.personal_rows import remove_person
from clients.service_clients import ServiceClients
from clients.services import catalogue
from clients.services.builder import page_entry
from clients.services.kv import content_keys
from clients.undo import undoers
from core.description.people import PersonUndo
from core.events import LedgerLeft, LedgerUndone
from core.evidence import Evidence
from core.ledger import Ledger, left_over, undo
from core.run import Run, new_directory
from tests.clients.customer import Customer

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def stack():
    with embedded.attach() as stack:
        yield stack


@pytest.fixture
def run(stack, tmp_path):
    run = Run.begin(new_directory(tmp_path), stack.target(catalogue()), "test")
    yield run
    run.journal.close()


@pytest.fixture
def services(run):
    with ServiceClients(run) as services:
        yield services


@pytest.fixture
def customer(run, services):
    customer = Customer(services, run.tag())
    yield customer
    customer.remove()


def plans(run, customer):
    """An entry of every kind as a run plans it: what it names was never made, or the service named somebody's."""
    tag = run.tag()
    person = str(uuid.uuid4())
    never_made = [
        ("builder.entry", {"path": f"/assay/{tag}"}),
        ("kv.prefix", {"prefix": content_keys(f"/assay/{tag}")}),
        ("r2.object", {"key": f"{person}/{tag}"}),
        ("storage.object", {"bucket": "files", "key": f"{person}/{tag}"}),
        ("storage.object", {"bucket": "no-such-bucket", "key": f"{person}/{tag}"}),
        ("sentry.rule", {"name": f"assay {tag}"}),
        ("sentry.receiver", {"address": f"http://127.0.0.1:9/{tag}"}),
        ("datadog.monitor", {"name": f"assay {tag}"}),
        ("auth.user", {"local": f"assay-{tag}"}),
        ("auth.crowd", {"start": f"assay-{tag}-"}),
        ("database.row", {"table": "posts", "match": {"title": f"assay {tag}"}}),
    ]
    somebodys = [
        ("builder.entry", {"path": f"/{customer.word}"}),
        ("builder.entry", {"path": ""}),
        *(("builder.entry", {"path": f"/assay/{tag}", "id": one}) for one in customer.entries),
        *(("kv.prefix", {"prefix": prefix}) for prefix in ("", "content:", *customer.keys[:3])),
        *(("r2.object", {"key": key}) for key in customer.objects),
        *(("storage.object", {"bucket": "files", "key": key}) for key in customer.files),
        ("sentry.rule", {"name": f"assay {customer.word}"}),
        ("sentry.rule", {"name": f"assay {tag}", "id": customer.rule}),
        ("sentry.receiver", {}),
        ("sentry.receiver", {"address": f"http://127.0.0.1:9/{customer.word}"}),
        ("datadog.monitor", {"name": f"assay {customer.word}"}),
        ("datadog.monitor", {"name": f"assay {tag}", "id": customer.monitor}),
        ("auth.user", {"local": f"assay-{customer.word}"}),
        ("auth.user", {"local": customer.word}),
        *(("auth.user", {"local": f"assay-{tag}", "id": one}) for one in customer.people),
        ("database.row", {"table": "posts", "match": {"title": f"assay {customer.word}"}}),
        ("auth.crowd", {"start": ""}),
        ("auth.crowd", {"start": "assay-"}),
        ("auth.crowd", {"start": f"assay-{customer.word}"}),
    ]
    return never_made, somebodys


def test_what_was_never_made_and_what_is_somebodys_is_not_touched(run, services, customer):
    never_made, somebodys = plans(run, customer)
    known = undoers(run)
    assert {kind for kind, _ in never_made} == set(known), "each kind is tried"
    ledger = Ledger(run.journal, known, run.permit)
    for kind, key in (*never_made, *somebodys):
        ledger.plan(kind, **key)
    assert ledger.undo_all() == []
    assert customer.missing() == []
    run.journal.flush()
    events = Evidence(run.directory).events()
    left = [e for e in events if isinstance(e, LedgerLeft)]
    assert len(left) == len(somebodys), [f"{e.kind}: {e.why}" for e in left]
    assert len([e for e in events if isinstance(e, LedgerUndone)]) == len(never_made)
    assert left_over(events) == []


def test_ours_goes_and_the_look_alikes_beside_it_stay(run, services, customer):
    """As a killed run leaves it: planned, made, never confirmed; the sweep knows it by the tag alone."""
    tag = run.tag()
    ledger = Ledger(run.journal, undoers(run), run.permit)
    path, s = f"/assay/{tag}", services
    ledger.plan("kv.prefix", prefix=content_keys(path))
    ledger.plan("builder.entry", path=path)
    draft = s.builder.create(page_entry(path, "ours", tag, published="draft"), webhooks=False)["id"]
    page = s.builder.create(page_entry(path, "ours", tag), webhooks=False)["id"]
    s.kv.put(f"{content_keys(path)}a", b"ours")
    ledger.plan("sentry.receiver", address=f"http://127.0.0.1:9/{tag}")
    s.sentry.add_receiver(f"http://127.0.0.1:9/{tag}")
    ledger.plan("sentry.rule", name=f"assay {tag}")
    s.sentry.create_rule(f"assay {tag}", tag="x", value=tag)
    ledger.plan("datadog.monitor", name=f"assay {tag}")
    s.datadog.create_monitor(f"assay {tag}", "@type:error")
    plan_user(ledger, f"assay-{tag}@{s.auth.domain}")
    made = s.auth.as_admin("POST", "/admin/users", body={"email": f"assay-{tag}@{s.auth.domain}"})
    person = made.demand(200).json(dict)["id"]
    members = make_crowd(run, s.auth, ledger, 2)
    s.r2.s3.put(f"{person}/a.bin", b"ours")
    s.storage.as_admin(
        "POST", f"/object/files/{person}/a.txt", body=b"ours", headers={"Content-Type": "text/plain"}
    )
    run.journal.flush()
    known = undoers(run)
    for entry in left_over(Evidence(run.directory).events()):
        assert undo(run.journal, known, entry.entry, entry.kind, entry.key) is None
    assert customer.missing() == []
    assert [s.builder.entry(one) for one in (page, draft)] == [None, None]
    assert s.kv.keys(content_keys(path)) == []
    assert s.sentry.rules(f"assay {tag}") == s.datadog.monitors(f"assay {tag}") == []
    assert f"http://127.0.0.1:9/{tag}" not in s.sentry.receivers()
    assert [s.auth.user(one) for one in (person, *(m.id for m in members))] == [None] * 3
    assert s.r2.s3.keys(f"{person}/") == s.storage.keys(person, "files") == []


def test_a_person_goes_although_a_store_that_is_described_is_not_there(run, services):
    """Each store apart: a bucket and a table that the target does not have hold nothing."""
    ledger = Ledger(run.journal, undoers(run), run.permit)
    actor = make_actor(run, services, ledger)
    away = (
        PersonUndo(storage="no-such-bucket", prefix="{user}/"),
        PersonUndo(table="no_such_table", column="owner"),
    )
    people = run.target.description.people.model_copy(
        update={"undo": (*away, *run.target.description.people.undo)}
    )
    target = replace(run.target, description=run.target.description.model_copy(update={"people": people}))
    remove_person(replace(run, target=target), actor.id)
    assert services.auth.user(actor.id) is None
