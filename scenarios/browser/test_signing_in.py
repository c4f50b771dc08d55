"""P6.3: links that a stranger prepared: who signs in by them stays here, and their tokens go nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Request, Route

from clients.identities import Actor
from clients.service_clients import ServiceClients
from core.clock import eventually
from core.errors import ConfigError, Missed
from core.expect import expect, expect_equal
from core.passport import check
from core.run import Run
from scenarios.browser.conftest import NewMember, NewPerson, Witness
from scenarios.browser.facts import mailed_link, requested
from scenarios.browser.pages import Pages

AUTH = "supabase.auth"
ELSEWHERE = "elsewhere.example"
FORMS = (f"https://{ELSEWHERE}/", f"//{ELSEWHERE}/", f"/\\{ELSEWHERE}/")
"""Three ways to write an address elsewhere; the last two look like paths of the platform's own."""
NAMES = (
    *("next", "redirect", "redirect_to", "redirectTo", "redirect_url", "return", "return_to", "returnTo"),
    *("returnUrl", "continue", "callbackUrl", "from", "to", "url", "target", "dest"),
)
"""What platforms call the parameter that says where to go after signing in."""


def bait(address: str) -> str:
    """A query that offers an address under every name."""
    return urlencode(dict.fromkeys(NAMES, address))


def led_astray(victim: Pages, sign_in: Callable[[], None]) -> list[str]:
    """The addresses elsewhere that somebody's browser went to while they signed in, or right after."""
    led: list[str] = []

    def greet(route: Route) -> None:
        led.append(route.request.url)
        route.fulfill(body="elsewhere", content_type="text/plain")

    victim.person.context.route(lambda url: urlsplit(url).hostname == ELSEWHERE, greet)
    try:
        sign_in()
    except (AssertionError, PlaywrightError):
        if not led:  # else the page that should say who is signed in was left for that address
            raise
    moved_on(victim, lambda url: ELSEWHERE not in unquote(url), led)
    return led


def moved_on(person: Pages, there: Callable[[str], bool], led: list[str]) -> None:
    """Waits until the page left the address that the link opened; one that shows everything there is left as it is."""
    page = person.person.page

    def left() -> bool:
        page.evaluate("() => 1")  # Playwright hands events over only while it is spoken to
        return bool(led) or there(page.url)

    try:
        eventually(left, within=5, claim="the page moves on")
    except (Missed, PlaywrightError):  # it stays, or is just being left
        return


def callback_of(services: ServiceClients, ada: Pages, actor: Actor) -> str:
    """The platform's own page that its mailed links lead to, from a link that it mailed."""
    ada.account.ask_for_recovery(actor.email)
    link = mailed_link(services, actor.email, "recovery")
    return parse_qs(urlsplit(link).query).get("redirect_to", [link])[0].partition("?")[0]


def arrival(run: Run, services: ServiceClients, actor: Actor, callback: str) -> tuple[str, list[str]]:
    """(the address that a one-time link to this page leads a browser to, the tokens in it)."""
    link = services.auth.admin.generate_link(
        {"type": "magiclink", "email": actor.email, "options": {"redirect_to": callback}}
    ).properties.action_link
    parts = urlsplit(str(link))
    path = f"{parts.path.partition('/auth/v1')[2]}?{parts.query}"
    answer = services.auth.port.request("GET", path, allow=(302, 303))
    expect(answer.status in (302, 303), "a one-time link leads on", saw=answer.said(), service=AUTH)
    address = answer.headers.get("location", "")
    held = {**parse_qs(urlsplit(address).fragment), **parse_qs(urlsplit(address).query)}
    tokens = [held[name][0] for name in ("access_token", "refresh_token", "code") if name in held]
    for token in tokens:
        run.redactor.add(token)
    return address, tokens


@check(
    "browser.no_open_redirect",
    "Signing in leads nowhere but to the platform, whatever the link says",
    requirement=("P6.3", "P1.2"),
    service="platform",
    needs=("auth.mail", "platform.web", "settings.pages", "auth.email", "people.form"),
    timeout=90,
    why_slow="six people sign in, each in a browser of their own",
)
def test_no_open_redirect(
    run: Run, services: ServiceClients, member: NewMember, people: NewPerson, witness: Witness
) -> None:
    """A link of the platform's own whose query names an address elsewhere: to the log-in page, and mailed.

    Positive control: by each link the person is signed in.
    """
    ada, actor = member("ada")
    callback = callback_of(services, ada, actor)
    judged = 0
    for form in FORMS:
        victim = people(f"victim {judged + 1}")
        victim.account.baited = bait(form)
        led = led_astray(victim, lambda v=victim: v.account.log_in(actor.email, actor.password))  # type: ignore[misc]
        stays(run, victim, led, f"a link to the log-in page that names {form}")
        judged += 1
        address, _ = arrival(run, services, actor, f"{callback}?{bait(form)}")
        if not address.startswith(callback):
            continue  # Supabase itself sends nobody to such an address
        victim = people(f"victim {judged + 1}")

        def come(victim: Pages = victim, address: str = address) -> None:
            victim.account.follow_mail(address)
            victim.account.is_signed_in_as(actor.username)

        stays(run, victim, led_astray(victim, come), f"a mailed link that names {form}")
        judged += 1
    witness("every request of the browser", f"{judged} people signed in, nobody went to {ELSEWHERE}")


def stays(run: Run, victim: Pages, led: list[str], by: str) -> None:
    """Judges that who signed in by a link is still at the platform."""
    expect(
        not led,
        f"whoever signs in by {by} stays at the platform",
        expected="no page of another site",
        saw=f"sent on to {led[0]}" if led else "",
        service="platform",
    )
    expect_equal(
        urlsplit(victim.person.page.url).netloc,
        urlsplit(run.target.get("PLATFORM_URL")).netloc,
        f"whoever signs in by {by} is at the platform",
        service="platform",
    )


@check(
    "browser.no_token_left",
    "Who came by a mailed link leaves their tokens neither in the address bar, nor in the history, nor with vendors",
    requirement=("P6.3", "P1.2", "prod.security"),
    service="platform",
    needs=("auth.mail", "platform.web", "settings.pages", "auth.email", "people.form"),
    timeout=60,
    why_slow="a mail, and pages in a real browser",
)
def test_no_token_left(
    run: Run, services: ServiceClients, member: NewMember, people: NewPerson, witness: Witness
) -> None:
    """The link's tokens are known to the check; they are looked for in addresses and in what telemetry sends."""
    ada, actor = member("ada")
    callback = callback_of(services, ada, actor)
    address, tokens = arrival(run, services, actor, callback)
    if not address.startswith(callback):
        raise ConfigError(f"Supabase Auth sends nobody to {callback}: its redirect addresses do not name it.")
    expect(
        tokens, "the link carries what signs its reader in (positive control)", saw="nothing", service=AUTH
    )
    later = people("later")
    sent: list[tuple[str, str]] = []

    def note(request: Request) -> None:
        if later.person.is_noise(request.url):
            body = (request.post_data_buffer or b"").decode(errors="replace")
            sent.append((urlsplit(request.url).path, unquote(f"{request.url} {body}")))

    later.account.open("/")
    later.privacy.accept()
    later.person.context.on("request", note)
    later.account.follow_mail(address)
    later.account.is_signed_in_as(actor.username)
    page = later.person.page
    moved_on(later, lambda url: not any(token in url for token in tokens), [])

    def clean(where: str, url: str) -> None:
        expect(
            not any(token in unquote(url) for token in tokens),
            f"{where} holds no token of the link",
            expected="an address without tokens",
            saw=f"{urlsplit(url).path} with a token in it",
            service="platform",
        )

    clean("the address bar, once the person is signed in,", page.url)
    expect(
        requested(later, later.privacy.is_analytics),
        "the visit is counted (positive control)",
        expected="a request that carries analytics within 20 s",
        saw="none",
        service="platform",
    )
    page.go_back()
    clean("the page that the Back button leads to", page.url)
    page.goto("about:blank")  # whatever was held back is sent now
    page.evaluate("() => 1")
    witness("every request of the browser", f"{len(sent)} to vendors, none with a token")
    for path, text in sent:
        expect(
            not any(token in text for token in tokens),
            f"what is sent to {path} holds no token of the link",
            expected="telemetry without tokens",
            saw="a token",
            service="platform",
        )
