"""A pytest plugin that plants one fault in the pages of each of these flows; the flows themselves are untouched.

Load it with `-p tests.scenarios.planted`. The platform answers as ever: what is planted lies in the browser, between
the served page and the person, where a careless front end would have it.
"""

import json
from urllib.parse import parse_qs, urlsplit

from fixtures.browser.flow import BrowserFlow

DEAD_BUTTON = """
addEventListener("click", event => {
  if (event.target.closest?.("button")?.textContent === "Delete selected") event.stopImmediatePropagation();
}, true);
"""
ONLY_ITS_SENDER = """
const send = WebSocket.prototype.send;
let last = 0;
WebSocket.prototype.send = function (text) {
  const frame = String(text).startsWith("{") ? JSON.parse(text) : {};
  if (frame.type !== "send") return send.call(this, text);
  const session = Object.keys(localStorage).find(key => key.endsWith("-auth-token"));
  const user = {id: JSON.parse(localStorage.getItem(session)).user.id, name: "me"};
  const {client_id, body} = frame;
  const tell = told => this.onmessage(new MessageEvent("message", {data: JSON.stringify(told)}));
  setTimeout(() => {
    tell({type: "message", id: ++last, client_id, user, body, at: Date.now()});
    tell({type: "ack", client_id, id: last});
  });
};
"""
BANNER_FOR_SHOW = """
const keep = Storage.prototype.setItem;
Storage.prototype.setItem = function (key, value) {
  return keep.call(this, key, key === "consent" && value === "declined" ? "granted" : value);
};
"""
KEPT_ERROR = """
const ask = window.fetch;
window.fetch = (input, init) => String(input?.url ?? input).includes("/api/telemetry/sentry")
  ? Promise.resolve(new Response("{}")) : ask(input, init);
"""


class Pretence:
    """Answers uploads as the platform does, and stores nothing. `listed`: the list of files pretends, too."""

    def __init__(self, context, *, listed):
        self.files = {}
        context.route("**/api/upload**", self.upload)
        if listed:
            context.route("**/api/files?**", self.listing)

    def upload(self, route):
        url = urlsplit(route.request.url)
        if url.path.endswith("/start"):
            body = route.request.post_data_json
            file = self.file(body["name"], body["size"], "r2")
            upload = {
                "id": file["id"],
                "part_size": body["size"],
                "parts": 1,
                "received": [],
                "file_id": file["id"],
            }
            route.fulfill(status=201, json={"upload": upload})
        elif "/parts/" in url.path:
            route.fulfill(json={"part": 1, "etag": "pretended"})
        elif url.path.endswith("/complete"):
            route.fulfill(json={"file": self.files[url.path.split("/")[-2]]})
        else:
            name = parse_qs(url.query)["name"][0]
            size = len(route.request.post_data_buffer or b"")
            route.fulfill(status=201, json={"file": self.file(name, size, "supabase")})

    def file(self, name, size, store):
        identifier = f"00000000-0000-4000-8000-{len(self.files):012d}"
        at = "2026-01-01T00:00:00Z"
        self.files[identifier] = {
            "id": identifier, "name": name, "folder": "/", "size": size, "mime": "application/octet-stream",
            "store": store, "sha256": "0" * 64, "status": "ready", "version": 1, "created_at": at, "updated_at": at,
        }  # fmt: skip
        return self.files[identifier]

    def listing(self, route):
        found = list(self.files.values())
        route.fulfill(body=json.dumps({"files": found, "total": len(found)}), content_type="application/json")


FAULTS = {
    "browser.file_manager": lambda context: context.add_init_script(DEAD_BUTTON),
    "browser.collaboration": lambda context: context.add_init_script(ONLY_ITS_SENDER),
    "browser.phone": lambda context: Pretence(context, listed=False),
    "browser.register_upload_chat": lambda context: Pretence(context, listed=True),
    "browser.consent": lambda context: context.add_init_script(BANNER_FOR_SHOW),
    "browser.error_found": lambda context: context.add_init_script(KEPT_ERROR),
}


def pytest_configure(config):
    person = BrowserFlow.person

    def with_fault(self, name, **options):
        one = person(self, name, **options)
        FAULTS[self.check](one.context)
        return one

    BrowserFlow.person = with_fault
