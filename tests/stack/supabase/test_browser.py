"""supabase-js in a real Chromium against the gateway: its own calls, its own storage, two tabs, another origin."""

from __future__ import annotations

import functools
import http.server
import re
import shutil
import threading
import uuid
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, sync_playwright

from tests.chromium import launched
from tests.stack.supabase import engine

LIBRARY = engine.ROOT / "node_modules/@supabase/supabase-js/dist/umd/supabase.js"
PAGE = """<!doctype html><meta charset="utf-8"><script src="supabase.js"></script><script>
const sb = supabase.createClient("{url}", "{key}", {{auth: {{flowType: "pkce", detectSessionInUrl: true}}}});
</script>"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A web server for the page, at an origin of its own."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(LIBRARY, folder / "supabase.js")
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", folder
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def open_gateway(cluster: engine.Postgres, site: tuple[str, Path]) -> Iterator[engine.Gateway]:
    """A gateway whose site is the page."""
    url, folder = site
    with engine.gateway(cluster, {"site_url": url, "jwt_expiry": 3600}) as gateway:
        (folder / "index.html").write_text(PAGE.format(url=gateway.url, key=gateway.keys.publishable_key))
        yield gateway


@pytest.fixture(scope="module")
def context() -> Iterator[BrowserContext]:
    """One browser profile."""
    with sync_playwright() as playwright:
        browser = launched(playwright)
        made = browser.new_context()
        yield made
        browser.close()


def run(page: Page, script: str, *arguments: Any) -> Any:
    """Run the body of an async function in the page."""
    return page.evaluate(f"async (args) => {{ {script} }}", list(arguments))


def test_a_person_in_a_browser(
    open_gateway: engine.Gateway, site: tuple[str, Path], context: BrowserContext
) -> None:
    page, (url, _) = context.new_page(), site
    email = f"b-{uuid.uuid4().hex[:10]}@example.test"
    page.goto(url)
    asked = run(
        page,
        "return await sb.auth.signUp({email: args[0], password: 'secret-1', options: {data: {name: 'Bea'}}})",
        email,
    )
    assert asked["error"] is None
    assert asked["data"]["session"] is None
    early = run(
        page,
        "return (await sb.auth.signInWithPassword({email: args[0], password: 'secret-1'})).error.code",
        email,
    )
    assert early == "email_not_confirmed"

    # The link in the mail leads back to the page, which exchanges the code it finds in its address.
    found = httpx.get(f"{open_gateway.mail_url}/api/v1/search", params={"query": f"to:{email}"}).json()[
        "messages"
    ][0]["ID"]
    mail = httpx.get(f"{open_gateway.mail_url}/api/v1/message/{found}").json()["HTML"]
    link = re.search(r'href="([^"]+)"', mail)
    assert link is not None
    page.goto(unescape(link[1]))
    me = run(page, "await sb.auth.initialize(); return (await sb.auth.getUser()).data.user")
    assert me["email"] == email
    assert (
        run(page, "return (await sb.auth.getClaims()).data.claims.sub") == me["id"]
    )  # verified by the published key

    # Queries and a denial; a preflight stands before each of them, since the page is of another origin.
    book = {"author_id": me["id"], "title": f"of {me['id']}", "status": "published"}
    read = run(
        page,
        """
        const made = await sb.from('books').insert(args[0]).select('id, title, author:author_id(name)').single();
        const count = await sb.from('books').select('*', {count: 'exact', head: true}).eq('author_id', args[0].author_id);
        const forged = await sb.from('books').insert({...args[0], title: 'x', author_id: crypto.randomUUID()});
        const sum = await sb.rpc('add', {a: 1, b: 2});
        return [made.data.author, count.count, forged.error.code, sum.data];""",
        book,
    )
    assert read == [{"name": "Bea"}, 1, "42501", 3]

    stored = run(page, """
        const bytes = new Uint8Array(200000).map((_, i) => i % 251), path = args[0] + '/pic.bin';
        const up = await sb.storage.from('shelf').upload(path, new Blob([bytes], {type: 'application/x-pic'}));
        const down = await sb.storage.from('shelf').download(path);
        const same = new Uint8Array(await down.data.arrayBuffer()).every((b, i) => b === bytes[i]);
        const signed = await sb.storage.from('shelf').createSignedUrl(path, 60);
        const length = (await (await fetch(signed.data.signedUrl)).arrayBuffer()).byteLength;
        const foreign = await sb.storage.from('shelf').upload('other/pic.bin', new Blob(['x']));
        const list = await sb.storage.from('shelf').list(args[0]);
        const gone = await sb.storage.from('shelf').remove([path]);
        return [up.error, down.data.type, same, length, foreign.error.statusCode, list.data.map(f => f.name),
                gone.data.length];""",
        me["id"])  # fmt: skip
    assert stored == [None, "application/x-pic", True, 200000, "403", ["pic.bin"], 1]

    # Two tabs share one session: both refresh at once, neither is logged out, both end with the same tokens.
    other = context.new_page()
    other.goto(url)
    assert run(other, "return (await sb.auth.getUser()).data.user.email") == email
    for tab in (page, other):
        tab.evaluate("() => { window.done = sb.auth.refreshSession() }")
    answers = [run(tab, "return (await window.done).error?.name ?? null") for tab in (page, other)]
    # The client itself drops the later of two answers when it sees that the other tab has stored its own.
    assert None in answers
    assert set(answers) <= {None, "AuthRefreshDiscardedError"}
    assert all(run(tab, "return (await sb.auth.getUser()).data.user.email") == email for tab in (page, other))
    sessions = {
        run(tab, "return (await sb.auth.getSession()).data.session.refresh_token") for tab in (page, other)
    }
    assert len(sessions) == 1
    run(page, "await sb.auth.signOut()")
    assert run(other, "return (await sb.auth.getUser()).data.user") is None


def test_a_provider_in_a_browser(
    open_gateway: engine.Gateway, site: tuple[str, Path], context: BrowserContext
) -> None:
    page, (url, _) = context.new_page(), site
    email = f"o-{uuid.uuid4().hex[:10]}@example.test"
    page.goto(url)
    page.evaluate(
        "(to) => { sb.auth.signInWithOAuth({provider: 'github', options: {redirectTo: to}}) }",
        f"{url}/?from=provider",
    )
    page.get_by_label("Email").fill(email)
    page.get_by_label("Name").fill("Olga")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{url}/**")
    user = run(page, "await sb.auth.initialize(); return (await sb.auth.getUser()).data.user")
    assert (user["email"], user["app_metadata"]["provider"]) == (email, "github")


def test_browsers_refuse_a_secret_key(
    open_gateway: engine.Gateway, site: tuple[str, Path], context: BrowserContext
) -> None:
    page, (url, _) = context.new_page(), site
    page.goto(url)
    error = run(page, """
        const admin = supabase.createClient(args[0], args[1], {auth: {persistSession: false, storageKey: 'admin'}});
        return (await admin.from('books').select()).error.message""",
        open_gateway.url, open_gateway.keys.secret_key)  # fmt: skip
    assert error == "Forbidden use of secret API key in browser"
