"""Faults that a careless page has make the right flow fail, in words that name them; the report leads to the cause."""

import re
import threading

import pytest
from playwright.sync_api import expect, sync_playwright

from core.events import CheckFinished
from core.evidence import Evidence
from fixtures.browser.launch import find
from reports.rendering.serve import server
from tests.runner.sandbox import Sandbox
from tests.runner.test_redaction import LOOKS, every_part
from tests.scenarios.planted import FAULTS

NAMED = {
    "browser.file_manager": ("pressed 'Delete selected', and nothing happened", "the page did not change"),
    "browser.collaboration": ("ada should read 'first from ben', which ben said", "shown only to its sender"),
    "browser.phone": ("once its upload shows 100%", "no such file"),
    "browser.register_upload_chat": (
        "which the page shows as uploaded, should be stored",
        "nothing was stored",
    ),
    "browser.consent": ("nothing is counted after analytics were declined", "/api/t"),
    "browser.error_found": (
        "an error of the page leaves the page for Sentry",
        "A test error from the status page",
    ),
}
"""What the message of each flow must hold, in this order."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One run of the flows with their faults planted; the stack is up for as long as it lasts."""
    sandbox = Sandbox(tmp_path_factory.mktemp("planted"))
    try:
        _, said = sandbox.run(
            "check", *FAULTS, "--plan", "smoke", PYTEST_ADDOPTS="-p tests.scenarios.planted"
        )
    finally:
        sandbox.down()
    directory = sandbox.newest()
    assert (directory / "report" / "index.html").exists(), said
    return directory


@pytest.fixture(scope="module")
def finished(run):
    return {event.check: event for event in Evidence(run).events(CheckFinished)}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("check", FAULTS)
def test_the_right_flow_is_missed_and_names_the_fault(finished, check):
    event = finished[check]
    assert event.outcome == "missed", event.message
    assert re.search(".*".join(map(re.escape, NAMED[check])), event.message, re.DOTALL), event.message


def test_no_secret_is_in_what_is_kept_of_failed_flows(run):
    found = [
        f"{name}: {what}"
        for name, data in every_part(run)
        if not name.endswith(
            (".png", ".jpeg", ".webm")
        )  # pixels; the browser masks what is typed as a password
        for what, form in LOOKS.items()
        if form.search(data)
    ]
    assert found == []


@pytest.fixture
def page(run):
    http, address = server(run)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find("chromium", playwright), args=["--no-sandbox"]
        )
        context = browser.new_context(base_url=address, viewport={"width": 1400, "height": 1000})
        strangers = []
        page = context.new_page()

        # Frames draw the recorded pages, which name the ended platform's own address; nobody else's may be asked.
        def asked(request):
            within = address if request.frame == page.main_frame else "http://127.0.0.1:/report/"
            if not local(request.url, within):
                strangers.append(request.url)

        page.on("request", asked)
        page.strangers = strangers
        yield page
        browser.close()
    http.shutdown()
    http.server_close()
    thread.join(10)


def local(url, address):
    return url.startswith((address.rsplit("/report/", 1)[0], "data:", "blob:"))


@pytest.mark.timeout(300)
def test_the_report_leads_from_the_verdict_to_the_trace_offline(page):
    """The cause stands on the front page; one click leads to the steps, one more to the trace in the bundled viewer."""
    page.goto("/report/index.html")
    failure = page.locator("[id='check-browser.file_manager']")
    expect(failure).to_contain_text("nothing happened")
    failure.get_by_role("heading").get_by_role("link").click()
    expect(page.get_by_text("ada: restored version 1").first).to_be_visible(timeout=30_000)
    page.get_by_role("link", name="open the trace").first.click()
    expect(page.get_by_text("Delete selected").first).to_be_visible(timeout=60_000)
    assert page.strangers == []
