"""The web app in a real browser, as a new user meets it: every page once, accessible, without an error in the console."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from .conftest import ROOT, Person, Stack, until
from .test_content import write
from .test_files import MIB

OFFLINE = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = os.environ.get("ASSAY_BROWSER") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as driver:
        # Local network access is asked for when a page of one local port frames another's.
        args = ["--no-sandbox", OFFLINE, "--disable-features=LocalNetworkAccessChecks"]
        it = driver.chromium.launch(executable_path=path, args=args)
        yield it
        it.close()


@pytest.fixture
def page(browser: Browser, stack: Stack) -> Iterator[Page]:
    """A page that fails the test for anything in its console, and for what it asks of strangers."""
    context = browser.new_context(base_url=stack.url)
    it = context.new_page()
    troubles: list[str] = []
    ours = {
        urlsplit(stack.url).netloc,
        urlsplit(stack.supabase).netloc,
        urlsplit(stack.env["BUILDER_API_URL"]).netloc,
    }
    it.on("console", lambda m: troubles.append(m.text) if m.type in ("error", "warning") else None)
    it.on("pageerror", lambda e: troubles.append(str(e)))
    it.on("request", lambda r: troubles.append(r.url) if urlsplit(r.url).netloc not in ours | {""} else None)
    yield it
    context.close()
    assert [t for t in troubles if "net::ERR_FAILED" not in t] == []  # what a test itself cut


def ready(page: Page, path: str) -> None:
    page.goto(path)
    page.wait_for_selector("html[data-ready=true]")


def log_in(page: Page, person: Person) -> None:
    ready(page, "/login")
    page.get_by_label("Email").fill(person.email)
    page.get_by_label("Password").fill(person.password)
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_test_id("page-profile")).to_be_visible()


def mail_link(stack: Stack, to: str) -> str:
    """The link of the newest mail to an address."""

    def newest() -> str | None:
        mails = httpx.get(f"{stack.env['MAILBOX_URL']}/api/v1/messages").json()["messages"]
        mine = [m for m in mails if any(a["Address"] == to for a in m["To"])]
        if not mine:
            return None
        text = httpx.get(f"{stack.env['MAILBOX_URL']}/api/v1/message/{mine[0]['ID']}").json()
        found = re.search(r"https?://[^\s\"<>)]+", text.get("Text") or text["HTML"])
        return found.group(0).replace("&amp;", "&") if found else None

    return str(until(newest))


def test_a_new_user_registers_confirms_and_writes(page: Page, stack: Stack) -> None:
    name = f"n_{secrets.token_hex(4)}"
    ready(page, "/")
    page.get_by_role("button", name="Decline").click()
    page.get_by_role("link", name="Register").click()
    page.get_by_label("Username").fill(name)
    page.get_by_label("Email").fill(f"{name}@example.test")
    page.get_by_label("Password").fill("correct horse 7")
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_test_id("confirm-hint")).to_be_visible()
    page.goto(mail_link(stack, f"{name}@example.test"))
    expect(page.get_by_test_id("page-profile")).to_be_visible()
    expect(page.get_by_test_id("current-user")).to_have_text(name)
    page.get_by_role("link", name="Posts").click()
    page.get_by_role("link", name="Write a post").click()
    page.get_by_label("Title").fill(f"Post of {name}")
    page.get_by_label("Status").select_option("published")
    page.get_by_role("button", name="Save post").click()
    expect(page.get_by_test_id("post-title")).to_have_text(f"Post of {name}")
    assert stack.sql("select status from posts where title = %s", f"Post of {name}") == [("published",)]
    page.reload()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_test_id("notice")).to_have_text("You are logged out.")


def test_an_error_is_thrown_at_once_and_found_though_its_page_is_closed(
    browser: Browser, stack: Stack
) -> None:
    """Closed right after the press; an error that was only planned for a later turn would never be thrown."""
    context = browser.new_context(base_url=stack.url)
    context.new_page()  # the browser itself stays open
    markers = [f"closed-{secrets.token_hex(4)}" for _ in range(4)]
    for marker in markers:
        tab = context.new_page()
        ready(tab, f"/status?marker={marker}")
        press = """async (button) => {
            let thrown = false;
            addEventListener("error", () => { thrown = true; });
            button.click();
            await null;
            return thrown;
        }"""
        assert tab.get_by_role("button", name="Throw a test error").evaluate(press)
        with tab.expect_event("close"):
            tab.close(run_before_unload=True)
    project = f"{stack.env['SENTRY_ORG']}/{stack.env['SENTRY_PROJECT']}"
    address = f"{stack.env['SENTRY_URL']}/api/0/projects/{project}/events/?full=true"
    token = {"authorization": f"Bearer {stack.env['SENTRY_AUTH_TOKEN']}"}

    def lost() -> list[str]:
        page = httpx.get(address, headers=token, timeout=30).text
        return [marker for marker in markers if marker not in page]

    assert until(lambda: not lost()), lost()
    context.close()


def test_a_large_file_is_paused_and_goes_on_after_a_reload(
    page: Page, stack: Stack, person: Person, tmp_path: Path
) -> None:
    body = os.urandom(20 * MIB)
    (tmp_path / "large.bin").write_bytes(body)
    log_in(page, person)
    page.get_by_role("button", name="Decline").click()
    page.get_by_role("link", name="Files").click()
    page.route("**/parts/3", lambda route: route.abort())  # the network is cut in the midst
    page.get_by_label("Choose files").set_input_files(tmp_path / "large.bin")
    item = page.get_by_test_id("upload-item")
    expect(item).to_have_attribute("data-state", "waiting", timeout=20_000)
    item.get_by_role("button", name="Pause").click()
    page.unroute("**/parts/3")
    ready(page, "/files")
    page.get_by_label("Choose files").set_input_files(tmp_path / "large.bin")
    expect(item).to_have_attribute("data-state", "done", timeout=30_000)
    expect(page.get_by_test_id("file-row")).to_have_attribute("data-store", "r2")
    assert (
        len(
            stack.sql(
                "select 1 from file_versions v join files f on f.id = v.file_id where f.owner_id = %s",
                person.id,
            )
        )
        == 1
    )
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert Path(download.value.path()).read_bytes() == body


def test_telemetry_arrives_while_the_page_stays(page: Page, stack: Stack, person: Person) -> None:
    """RUM's SDK would keep events for 30 s, or until the page is left."""
    log_in(page, person)
    page.get_by_role("button", name="Accept analytics").click()
    page.get_by_role("link", name="Rooms").click()
    page.get_by_role("button", name="Join room").click()

    def actions() -> list[str]:
        page.wait_for_timeout(100)
        answer = httpx.post(
            stack.env["DATADOG_API_URL"] + "/api/v2/rum/events/search",
            headers={
                "DD-API-KEY": stack.env["DATADOG_API_KEY"],
                "DD-APPLICATION-KEY": stack.env["DATADOG_APP_KEY"],
            },
            json={"filter": {"query": f"@usr.id:{person.id}", "from": "now-5m"}, "page": {"limit": 200}},
        )
        events = [one["attributes"]["attributes"] for one in answer.json()["data"]]
        return [e["action"]["target"]["name"] for e in events if e["type"] == "action"]

    assert until(lambda: "room_joined" in actions(), 15)
    page.wait_for_timeout(1000)
    before = len(actions())
    page.get_by_role("heading", level=1).click()  # one small event: no full batch takes it along
    assert until(lambda: len(actions()) > before, 15)


def test_the_visual_editor_redraws_the_page(page: Page, stack: Stack) -> None:
    path = f"/e-{secrets.token_hex(4)}"
    write(stack, path, "Before")
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(stack.env["BUILDER_WRITE_URL"]))
    frame_html = (
        "<!doctype html><script>window.got=[];addEventListener('message',e=>got.push(e.data))</script>"
        f'<iframe id=f src="{stack.url}/c{path}?builder.preview=page&builder.frameEditing=page" width=900></iframe>'
    )
    page.route(f"{origin}/editor", lambda route: route.fulfill(body=frame_html, content_type="text/html"))
    page.goto(f"{origin}/editor")
    frame = page.frame_locator("#f")
    expect(frame.get_by_role("heading", level=1)).to_have_text("Before")
    page.wait_for_function("got.filter(m => m.type === 'builder.registerComponent').length >= 4")
    names = page.evaluate("got.filter(m => m.type === 'builder.registerComponent').map(m => m.data.name)")
    assert set(names) == {"Hero", "Quote", "Callout", "PostList"}
    page.evaluate(
        """text => document.getElementById('f').contentWindow.postMessage({type: 'builder.contentUpdate',
        data: {key: 'page',
        data: {id: 'x', data: {title: 'After', blocks: [
          {id: 'b', component: {name: 'Callout', options: {html: text}}}]}}}}, '*')""",
        "<b>Live</b> edit<script>alert(1)</script>",
    )
    expect(frame.get_by_role("heading", level=1)).to_have_text("After")
    expect(frame.locator(".callout")).to_have_text("Live edit")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible(
    browser: Browser, stack: Stack, person: Person, scheme: Literal["light", "dark"]
) -> None:
    axe = (ROOT / "node_modules/axe-core/axe.min.js").read_text()
    context = browser.new_context(
        base_url=stack.url, color_scheme=scheme, bypass_csp=True, reduced_motion="reduce"
    )
    page = context.new_page()

    def judge(path: str) -> list[str]:
        page.evaluate(axe)
        return [
            f"{path}: {v['id']} {v['nodes'][0]['html'][:100]}"
            for v in page.evaluate("axe.run()")["violations"]
        ]

    found: list[str] = []
    light = scheme == "light"  # the dark scheme changes colours alone: a few pages show them all
    for path in (
        ("/", "/register", "/login", "/recover", "/reset", "/posts", "/status", "/none")
        if light
        else ("/status",)
    ):
        ready(page, path)
        found += judge(path)
    log_in(page, person)
    for path in (
        ("/profile", "/posts/new", "/files", "/rooms", "/rooms/axe", "/privacy")
        if light
        else ("/files", "/rooms/axe")
    ):
        ready(page, path)
        found += judge(path)
    context.close()
    assert found == []
