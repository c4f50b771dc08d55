"""P4.3 and P6.3 as people live them: consent judged by every request, export, and an account that is gone."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from playwright.sync_api import expect as shows

from core.clock import eventually
from core.expect import expect, expect_equal
from core.passport import check
from fixtures.browser import Person
from fixtures.files import MadeFile
from fixtures.run import Run
from fixtures.toolbox import Services
from scenarios.browser.conftest import NewMember, NewPerson, Witness
from scenarios.browser.facts import payload

ANALYTICS = ("/api/track", "/api/telemetry/mixpanel", "/api/telemetry/datadog")
VENDORS = ("google-analytics.com", "googletagmanager.com", "mixpanel.com", "datadoghq", "browser-intake")


def analytics_of(person: Person) -> list[str]:
    """Every request of this person's browser that carries analytics, by whatever road."""
    found = []
    for request in person.seen.requests:
        url = urlsplit(request["url"])
        if url.path.startswith(ANALYTICS) or any(vendor in (url.hostname or "") for vendor in VENDORS):
            found.append(request["url"])
    return found


@check(
    "browser.consent",
    "Nothing is counted before consent or after declining it; with consent the visit arrives at the vendor",
    requirement=("P6.1", "P4.3", "P6.3", "prod.compliance"),
    service="mixpanel",
    capability="telemetry.mixpanel",
    timeout=120,
    why_slow="an accepted event is readable at the vendor only after indexing",
)
def test_consent(
    run: Run, services: Services, people: NewPerson, member: NewMember, witness: Witness
) -> None:
    """Every request that leaves each browser is judged; the positive control is the one who agrees."""
    silent = people("silent")
    for path in ("/", "/posts", "/login"):
        silent.account.open(path)
    expect_equal(analytics_of(silent.person), [], "nothing is counted before consent", service="platform")
    silent.privacy.decline()
    for path in ("/", "/posts"):
        silent.account.open(path)
    expect_equal(analytics_of(silent.person), [], "nothing is counted after declining", service="platform")

    agreeing, actor = member("agreeing")
    agreeing.privacy.accept()
    with agreeing.person.page.expect_response(
        lambda r: "/api/telemetry/mixpanel" in r.url and r.ok, timeout=20_000
    ):
        agreeing.account.open("/posts")
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
    capability="platform.web",
    timeout=90,
    why_slow="an export and an erasure across every service",
)
def test_export_and_erase(run: Run, services: Services, member: NewMember, witness: Witness) -> None:
    """The export names what was made; afterwards database, stores and Auth hold nothing, and the token is dead."""
    ada, actor = member("ada")
    tag = run.tag()
    ada.post.write(f"Post {tag}", "mine")
    file = MadeFile(f"mine-{tag}.bin", 3000, tag)
    ada.file.upload(payload(file))
    ada.file.shows(file.name, store="supabase")
    ada.room.join(f"gone-{tag}")
    ada.room.say(f"words of {tag}")
    exported = ada.privacy.export().decode()
    for mark in (f"Post {tag}", file.name, f"words of {tag}", actor.email):
        expect(mark in exported, f"the export holds {mark!r}", service="platform")
    ada.privacy.erase(actor.email)
    shows(ada.account.test_id("current-user")).to_have_count(0)
    for table, column in (("profiles", "id"), ("posts", "author_id"), ("files", "owner_id")):
        rows = services.database.witness_rows(table, **{column: actor.id})
        expect_equal(rows, [], f"no row of the person is left in {table}", service="supabase.database")
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
    witness("SQL, admin API, Storage API, R2 API", "nothing of the erased person is left")
    expect_equal(left, [], "no object of the person is left in either store")
    answer = services.platform.call("GET", "/api/files", token=actor.access_token)
    expect_equal(answer.status, 401, "the erased person's token is refused", service="platform")
