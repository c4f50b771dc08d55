"""P4.3 and P6.3 as people live them: consent judged by every request, export, and an account that is gone."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from clients.made_files import MadeFile
from clients.service_clients import ServiceClients
from core.clock import eventually
from core.expect import expect, expect_equal
from core.passport import check
from core.run import Run
from scenarios.browser.conftest import NewMember, NewPerson, Witness
from scenarios.browser.facts import payload, requested, room_words
from scenarios.browser.pages import Pages

WEB = ("http", "https", "ws", "wss")
MARKS = ("_dd_s", "_ga", "_gid", "mp_")
"""How the names begin under which DataDog, GA4 and Mixpanel keep an identity in browsers."""
VISITED = ("/", "/posts", "/login")
OWNED = (
    ("profiles", "id"),
    ("posts", "author_id"),
    ("files", "owner_id"),
    ("uploads", "owner_id"),
    ("consents", "user_id"),
    ("audit_log", "actor"),
    ("audit_log", "subject"),
)
"""Tables, and their columns that name a person."""


def counted(person: Pages) -> list[str]:
    """Every request of this person's browser that carries analytics, by whatever road."""
    return [r["url"] for r in person.person.seen.requests if person.privacy.is_analytics(r["url"])]


def strangers(person: Pages, run: Run) -> list[str]:
    """Hosts that this person's browser asked, beside those that the target consists of."""
    known = [run.target.find(name) for name in ("PLATFORM_URL", "VITE_SUPABASE_URL", "BUILDER_API_URL")]
    friends = {urlsplit(url).netloc for url in known if url} | set(person.privacy.friends)
    asked = {urlsplit(r["url"]) for r in person.person.seen.requests}
    return sorted({url.netloc for url in asked if url.scheme in WEB and url.netloc not in friends})


def recognised(person: Pages) -> list[str]:
    """What vendors keep in this person's browser, by which they would know it again: cookies and storage."""
    state = person.person.context.storage_state()
    names = [cookie["name"] for cookie in state["cookies"]]
    names += [item["name"] for origin in state["origins"] for item in origin["localStorage"]]
    return sorted(name for name in names if name.startswith(MARKS))


def goes_through(person: Pages, paths: tuple[str, ...]) -> None:
    """Opens one page after the other, and leaves the last, so that whatever was held back is sent."""
    for path in paths:
        person.account.open(path)
    person.person.page.goto("about:blank")


@check(
    "browser.consent",
    "Nothing is counted before consent or after declining it; with consent the visit arrives at the vendor",
    requirement=("P6.1", "P4.3", "P6.3", "prod.compliance"),
    service="mixpanel",
    needs=(
        "telemetry.mixpanel",
        "platform.web",
        "settings.pages",
        "auth.email",
        "database.rest",
        "people.form",
    ),
    timeout=120,
    why_slow="an accepted event is readable at the vendor only after indexing",
)
def test_consent(
    run: Run, services: ServiceClients, people: NewPerson, member: NewMember, witness: Witness
) -> None:
    """Every request that leaves each browser is judged; the positive control is the one who agrees.

    The silent ones are judged again once the agreeing one's visits went out, which came later: nobody can
    say that their requests were only late.
    """
    undecided, declining = people("undecided"), people("declining")
    goes_through(undecided, VISITED)
    declining.account.open("/")
    declining.privacy.decline()
    goes_through(declining, VISITED)
    agreeing, actor = member("agreeing")
    agreeing.privacy.accept()
    goes_through(agreeing, VISITED)
    agreeing.account.open("/posts")
    expect(
        requested(agreeing, agreeing.privacy.is_analytics),
        "the visits of a person who agreed are counted",
        expected="requests that carry analytics within 20 s",
        saw="none",
        service="platform",
    )
    kept = services.database.witness_rows("consents", user_id=actor.id)
    expect_equal([c["analytics"] for c in kept], [True], "the account keeps the consent", service="platform")
    for person, when in ((undecided, "before consent"), (declining, "after analytics were declined")):
        person.person.page.evaluate("() => 1")  # hands over what the browser reported meanwhile
        sent = counted(person)
        expect(
            not sent,
            f"nothing is counted {when}: the consent banner stops analytics",
            expected="no request that carries analytics",
            saw=f"{len(sent)} such requests, to {', '.join(sorted({urlsplit(u).path for u in sent}))}",
            service="platform",
        )
        expect_equal(strangers(person, run), [], f"no request goes to a stranger {when}", service="platform")
    expect(
        recognised(agreeing),
        "a person who agreed is known again (positive control)",
        expected=f"something kept whose name begins with {' or '.join(MARKS)}",
        saw="nothing",
        service="platform",
    )
    expect_equal(
        recognised(undecided),
        [],
        "before consent nothing is kept in the browser by which a vendor would know it again",
        service="platform",
    )
    seen = eventually(
        lambda: services.mixpanel.export("page_view", distinct_id=actor.id),
        within=90,
        every=0.2,
        claim="the visit of a person who agreed is readable at Mixpanel",
        service="mixpanel",
    )
    witness("Mixpanel export", f"{len(seen)} page views of the person who agreed")
    expect(
        "@" not in json.dumps(seen),
        "no address is sent with a visit",
        saw="an '@' in the events",
        service="mixpanel",
    )


@check(
    "browser.export_and_erase",
    "A person exports everything, deletes the account, and nothing of theirs is found afterwards",
    requirement=("P6.1", "P6.3", "prod.compliance"),
    service="platform",
    needs=(
        "platform.web",
        "settings.pages",
        "platform.api",
        "auth.email",
        "database.rest",
        "storage.r2",
        "storage.supabase",
        "rooms.websocket",
        "people.form",
    ),
    timeout=90,
    why_slow="an export and an erasure across every service",
)
def test_export_and_erase(run: Run, services: ServiceClients, member: NewMember, witness: Witness) -> None:
    """The export names what was made; afterwards no service has anything, nobody reads it, and the token is dead."""
    (ada, actor), (_, other) = member("ada"), member("ben")
    tag = run.tag()
    room = f"gone-{tag}"
    ada.privacy.decline()
    ada.post.write(f"Post {tag}", "mine")
    file = MadeFile(f"mine-{tag}.bin", 3000, tag)
    ada.file.upload(payload(file))
    ada.file.shows(file.name, store="supabase")
    ada.room.join(room)
    ada.room.say(f"words of {tag}")
    expect_equal(
        room_words(services, room, other.access_token), [f"words of {tag}"], "others read their words before"
    )
    exported = ada.privacy.export().decode()
    for mark in (f"Post {tag}", file.name, f"words of {tag}", actor.email):
        expect(mark in exported, f"the export holds {mark!r}", service="platform")
    ada.privacy.erase(actor.email)
    ada.account.is_signed_out()
    for table, column in OWNED:
        rows = services.database.witness_rows(table, **{column: actor.id})
        expect_equal(
            rows, [], f"no row of the person is left in {table} ({column})", service="supabase.database"
        )
    expect_equal(
        services.auth.find_id(actor.email), None, "the person is gone from Auth", service="supabase.auth"
    )
    left = eventually(
        lambda: [*services.storage.keys(f"{actor.id}/"), *services.r2.s3.keys(f"{actor.id}/")],
        until=lambda keys: not keys,
        within=30,
        claim="no object of the person is left in either store",
        service="supabase.storage",
    )
    expect_equal(left, [], "no object of the person is left in either store")
    said = room_words(services, room, other.access_token)
    witness("SQL, admin API, Storage API, R2 API, room history", "nothing of the erased person is left")
    expect(tag not in str(said), "nobody reads the erased person's words", saw=said, service="rooms")
    answer = services.platform.call("GET", "/api/files", token=actor.access_token)
    expect_equal(answer.status, 401, "the erased person's token is refused", service="platform")
