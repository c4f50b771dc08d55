"""Consent, export and erasure: what a person has is found, and afterwards nothing is, anywhere."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from .conftest import Person, Stack, until
from .test_files import MIB, put
from .test_rooms import joined


def consent(stack: Stack, person: Person, yes: bool) -> None:
    stack.as_user(person, "POST", "/rest/v1/rpc/save_consent", json={"analytics": yes}).raise_for_status()


def test_events_go_only_with_consent(stack: Stack, person: Person) -> None:
    event = {"name": "probe_event", "params": {"a": 1}, "client_id": "1.1"}
    assert stack.http.post("/api/track", json=event).status_code == 403
    assert stack.http.post("/api/track", json={**event, "consent": "granted"}).json() == {"accepted": True}
    granted = {**event, "consent": "granted"}
    assert person.http.post("/api/track", json=granted).status_code == 403
    consent(stack, person, True)
    assert person.http.post("/api/track", json=granted).status_code == 202
    debug = person.http.post("/api/track?debug=1", json=granted)
    assert debug.json()["validationMessages"] == []
    consent(stack, person, False)
    assert person.http.post("/api/track", json=granted).status_code == 403
    assert person.http.post("/api/track", json={**granted, "name": "9bad"}).status_code == 400
    form = {"data": '[{"event":"x","properties":{}}]'}
    assert stack.http.post("/api/telemetry/mixpanel/track/", data=form).status_code == 403


def test_export_then_erasure(stack: Stack, person: Person) -> None:
    room, witness = f"p-{secrets.token_hex(5)}", stack.person()
    put(person, "small.txt", b"mine", mime="text/plain")
    put(person, "large.bin", os.urandom(6 * MIB))
    post = {"title": f"mine {room}", "status": "published"}
    stack.as_user(person, "POST", "/rest/v1/posts", json=post).raise_for_status()
    consent(stack, person, True)
    with joined(stack, person, room) as it, joined(stack, witness, room) as other:
        it.get("welcome")
        other.get("welcome")
        it.say("my words")
        document = person.http.get("/api/privacy/export").json()
        assert document["user"]["email"] == person.email
        assert [p["title"] for p in document["posts"]] == [post["title"]]
        assert {f["name"] for f in document["files"]} == {"small.txt", "large.bin"}
        link = next(f for f in document["files"] if f["name"] == "small.txt")["links"][0]["url"]
        assert stack.http.get(link).content == b"mine"
        assert [m["body"] for m in document["room_messages"][room]] == ["my words"]
        assert document["consents"]["analytics"] is True
        assert len(document["audit_log"]) >= 6

        wrong = person.http.post("/api/privacy/erase", json={"confirm": "someone@else.test"})
        assert wrong.status_code == 400
        done = person.http.post("/api/privacy/erase", json={"confirm": person.email})
        assert done.status_code == 200, done.text
        assert set(done.json()["erased"].values()) == {"done"}
        assert other.get("erased")["user_id"] == person.id

    assert stack.sql("select 1 from auth.users where id = %s", person.id) == []
    for table, column in [
        ("profiles", "id"),
        ("posts", "author_id"),
        ("files", "owner_id"),
        ("uploads", "owner_id"),
        ("consents", "user_id"),
    ]:
        assert stack.sql(f"select 1 from public.{table} where {column} = %s", person.id) == [], table
    assert (
        stack.sql("select 1 from audit_log where to_jsonb(audit_log)::text like %s", f"%{person.id}%") == []
    )
    assert until(lambda: stack.r2_keys(person.id) == [] and stack.storage_keys(person.id) == [])
    messages = witness.http.get(f"/api/rooms/{room}/history").json()["messages"]
    assert [(m["id"], m["body"], m["user"]["id"]) for m in messages] == [(1, "", "")]
    assert person.http.get("/api/me").status_code == 401
    assert person.http.get("/api/files").status_code == 401


def test_erasure_goes_past_every_page_of_a_listing(stack: Stack, person: Person) -> None:
    """A listing shows 100 objects, KV's 1,000 keys; folders of a person's own making lie below."""
    head = {"content-type": "image/png"}
    for number in range(130):
        folder = ("", "old/", "old/older/")[number % 3]
        path = f"/storage/v1/object/avatars/{person.id}/{folder}{number}.png"
        stack.as_user(person, "POST", path, content=b"\x89PNG\r\n\x1a\n", headers=head).raise_for_status()
    done = person.http.post("/api/privacy/erase", json={"confirm": person.email})
    assert set(done.json()["erased"].values()) == {"done"}, done.text
    left = stack.sql("select name from storage.objects where name like %s", f"{person.id}/%")
    assert left == []


def test_a_title_cut_at_its_limit_stays_text(stack: Stack) -> None:
    """GA4 takes 100 letters of a parameter; the 100th may be an emoji, which is two units of UTF-16."""
    title = "t" * 99 + "\U0001f600" + "more"
    event = {"name": "cut_event", "params": {"page_title": title}, "client_id": "1.1", "consent": "granted"}
    answer = stack.http.post("/api/track", json=event)
    assert answer.json() == {"accepted": True}
    half = stack.http.post(
        "/api/track", content=b'{"name": "cut_event", "params": {"page_title": "half \\ud83d"}, "client_id": "1.1", '
        b'"consent": "granted"}'
    )  # fmt: skip
    assert half.json() == {"accepted": True}


@contextmanager
def fault(stack: Stack, component: str, **what: Any) -> Iterator[None]:
    """A planned fault of a component, for as long as the block lasts."""
    address = f"http://127.0.0.1:{stack.config['ports'][component]}/__control/faults"
    wrapped = component == "vendors"  # its faults are an object with rules
    stack.control(address, {"rules": [what]} if wrapped else [what]).raise_for_status()
    try:
        yield
    finally:
        stack.control(address, {"rules": []} if wrapped else []).raise_for_status()


AWAY: dict[str, tuple[str, dict[str, Any]]] = {
    "storage": ("supabase", {"path": "/storage/v1", "status": 503}),
    "r2": ("platform", {"binding": "R2"}),
    "kv": ("platform", {"binding": "KV"}),
    "mixpanel": ("vendors", {"where": "mixpanel", "status": 503}),
    "ga4": ("vendors", {"where": "ga4", "status": 503}),
    "database": ("supabase", {"path": "/rest/v1/rpc/privacy_erase", "status": 503}),
    "auth": ("supabase", {"path": "/auth/v1/admin", "status": 503}),
}


@pytest.mark.parametrize("part", AWAY)
def test_erasure_names_what_is_away_and_is_completed_by_asking_again(
    stack: Stack, person: Person, part: str
) -> None:
    put(person, "small.txt", b"mine", mime="text/plain")
    put(person, "large.bin", os.urandom(6 * MIB))
    component, what = AWAY[part]
    with fault(stack, component, **what):
        first = person.http.post("/api/privacy/erase", json={"confirm": person.email})
    assert first.status_code == 207, first.text
    erased = first.json()["erased"]
    assert erased[part].startswith("failed")
    assert erased["auth"].startswith("failed"), "the account goes last, or nobody could ask again"
    assert {name for name, said in erased.items() if said != "done"} <= {part, "auth", "files", "storage"}
    again = person.http.post("/api/privacy/erase", json={"confirm": person.email})
    assert (again.status_code, set(again.json()["erased"].values())) == (200, {"done"}), again.text
    assert stack.sql("select 1 from auth.users where id = %s", person.id) == []
    assert stack.sql("select 1 from public.files where owner_id = %s", person.id) == []
    assert stack.r2_keys(person.id) == []
    assert stack.storage_keys(person.id) == []
    assert person.http.get("/api/me").status_code == 401
