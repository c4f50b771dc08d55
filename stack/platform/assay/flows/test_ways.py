"""P6.1: the same platform by keyboard alone, on a phone, over a slow network, and with back and reload."""

from __future__ import annotations

from playwright.sync_api import Route

from clients.identities import make_actor, new_identity, plan_user
from clients.made_files import MadeFile
from clients.service_clients import ServiceClients
from core.errors import ConfigError
from core.expect import expect, expect_equal
from core.ledger import Ledger
from core.passport import check
from core.run import Run
from fixtures.browser.flow import BrowserFlow
from scenarios.browser.conftest import NewMember, NewPerson, Witness
from scenarios.browser.facts import mailed_link, payload, room_words
from scenarios.browser.pages import AnyPage
from stack.platform.assay.flows.stored_files import same_bytes

SCREEN = {"width": 390, "height": 844}
PHONE = {
    "viewport": SCREEN,
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}
LATENCY_MS, BYTES_PER_S = 150, 200_000
SLOW = "a whole flow in a real browser"


def tab_to(page: AnyPage, name: str, *, most: int = 60) -> None:
    """Presses Tab until the element with this accessible name has the focus."""
    reached = "() => (document.activeElement?.labels?.[0]?.innerText || document.activeElement?.innerText || '').trim()"
    for _ in range(most):
        page.page.keyboard.press("Tab")
        if page.page.evaluate(reached).startswith(name):
            return
    expect(
        False,
        f"'{name}' can be reached with the Tab key",
        expected=f"within {most} steps",
        service="platform",
    )


@check(
    "browser.keyboard_only",
    "A person writes and publishes a post with the keyboard alone",
    requirement="P6.1",
    service="platform",
    needs=("platform.web", "settings.pages", "auth.email", "database.rest", "people.form"),
    timeout=60,
    why_slow=SLOW,
)
def test_keyboard(run: Run, services: ServiceClients, member: NewMember, witness: Witness) -> None:
    """No mouse after log-in; the row is read back, and what looks like HTML is shown as it was typed."""
    ada, actor = member("ada")
    title, body = f"By <i>keyboard</i> {run.tag()} & more", "no <b>mouse</b> <img src=x onerror=alert(1)>"
    ada.post.start()
    tab_to(ada.account, ada.post.title)
    ada.person.page.keyboard.type(title)
    tab_to(ada.account, ada.post.body)
    ada.person.page.keyboard.type(body)
    tab_to(ada.account, ada.post.save_button)
    ada.person.begin_action(f"pressed Enter on '{ada.post.save_button}'")
    ada.person.page.keyboard.press("Enter")
    ada.post.is_shown(title)
    ada.post.says_body(body)
    rows = services.database.witness_rows("posts", author_id=actor.id)
    witness(services.database.channel, "the post that was typed")
    expect_equal(
        [row["title"] for row in rows], [title], "the post is kept as typed", service="supabase.database"
    )


@check(
    "browser.phone",
    "On a phone nothing is cut off and a person can upload and talk",
    requirement="P6.1",
    service="platform",
    needs=(
        "platform.web",
        "settings.pages",
        "auth.email",
        "database.rest",
        "storage.supabase",
        "people.form",
    ),
    timeout=60,
    why_slow=SLOW,
)
def test_phone(
    run: Run, flow: BrowserFlow, services: ServiceClients, member: NewMember, witness: Witness
) -> None:
    """No page scrolls sideways at 390 pixels; an upload is read back."""
    unknown = {"is_mobile"} if flow.kind == "firefox" else set()  # Firefox has no such mode
    ada, _ = member("ada", **{name: value for name, value in PHONE.items() if name not in unknown})
    wide = []
    for path in (*ada.public, *ada.signed_in):
        ada.account.open(path)
        # Held against the screen: a phone's innerWidth grows with a page that is too wide for it.
        if ada.person.page.evaluate("() => document.documentElement.scrollWidth") > SCREEN["width"] + 1:
            wide.append(path)
    expect_equal(wide, [], "no page scrolls sideways on a phone", service="platform")
    file = MadeFile(f"phone-{run.tag()}.bin", 5000, run.tag())
    ada.file.upload(payload(file))
    same_bytes(services, ada.file.shows(file.name, store="supabase"), file, witness)


@check(
    "browser.slow_network",
    "Over a slow network a post is saved once, however often the person clicks",
    requirement="P6.1",
    service="supabase.database",
    needs=("platform.web", "settings.pages", "auth.email", "database.rest", "people.form"),
    timeout=60,
    why_slow=SLOW,
)
def test_slow_network(
    run: Run, flow: BrowserFlow, services: ServiceClients, member: NewMember, witness: Witness
) -> None:
    """The first answer to the insert is lost; the person clicks again; one row is there."""
    if flow.kind != "chromium":
        raise ConfigError("only Chromium lets its network be slowed.")
    ada, actor = member("ada")
    network = ada.person.context.new_cdp_session(ada.person.page)
    network.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": LATENCY_MS,
            "downloadThroughput": BYTES_PER_S,
            "uploadThroughput": BYTES_PER_S,
        },
    )
    title = f"Slowly {run.tag()}"
    ada.post.start()
    ada.post.fill_in(title, "however slow")
    lost: list[int] = []

    def lose_first_answer(route: Route) -> None:
        if route.request.method == "POST" and not lost:
            lost.append(route.fetch().status)
            route.abort("connectionreset")
        else:
            route.continue_()

    ada.person.page.route("**/rest/v1/posts*", lose_first_answer)
    ada.post.save()
    ada.post.tells_an_error()
    ada.post.save()
    ada.post.is_shown(title)
    expect_equal(
        lost, [201], "the first insert was accepted and its answer lost", service="supabase.database"
    )
    rows = services.database.witness_rows("posts", author_id=actor.id)
    witness(services.database.channel, "one row in spite of two clicks")
    expect_equal(len(rows), 1, "the post is kept once", service="supabase.database")


@check(
    "browser.back_and_reload",
    "Back, forward and reload keep a person where they were, with nothing lost or doubled",
    requirement="P6.1",
    service="platform",
    needs=(
        "platform.web",
        "settings.pages",
        "platform.api",
        "auth.email",
        "database.rest",
        "rooms.websocket",
        "people.form",
        "people.register",
        "people.confirmed_by_mail",
    ),
    timeout=60,
    why_slow=SLOW,
)
def test_back_and_reload(
    run: Run, services: ServiceClients, ledger: Ledger, people: NewPerson, witness: Witness
) -> None:
    """In the middle of each flow: registering, a post just saved, a room just joined, a message just sent."""
    email, username, password = new_identity(run, services)
    entry = plan_user(ledger, email)
    ada = people("ada")
    ada.account.register(username, email, password)
    ada.account.reload()
    ada.person.page.go_back()
    ada.account.follow_mail(mailed_link(services, email))
    ada.account.is_signed_in_as(username)
    identifier = services.auth.find_id(email)
    expect(identifier, "the registered person exists at Supabase Auth", service="supabase.auth")
    entry.confirm(id=identifier)
    post = ada.post.write(f"Back {run.tag()}", "words")
    ada.person.page.go_back()
    ada.person.page.go_forward()
    ada.post.says_body("words")
    ada.post.reload()
    ada.post.says_body("words")
    room = f"reload-{run.tag()}"
    ada.room.join(room)
    ada.room.say("before the reload")
    ada.room.reload()
    ada.room.reads("before the reload")
    ada.room.say("after the reload")
    ada.person.page.go_back()
    ada.person.page.go_forward()
    ada.room.reads("after the reload")
    later = make_actor(run, services, ledger)
    kept = room_words(services, room, later.access_token)
    witness("room history", "each message once")
    expect_equal(
        kept, ["before the reload", "after the reload"], "each message is kept once", service="rooms"
    )
    rows = services.database.witness_rows("posts", author_id=identifier)
    expect_equal([row["id"] for row in rows], [post], "the post is kept once", service="supabase.database")
