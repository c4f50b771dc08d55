"""The browser reaches what the target names and nothing else, whatever a page asks for; and the run is told."""

import dataclasses
import functools
import http.server
import json
import socket
import threading

import pytest

from clients.services import catalogue
from core.events import Note
from core.evidence import Evidence
from core.permit import Action, Permit
from core.run import Run
from core.target import resolve
from fixtures.browser import launch
from fixtures.browser.flow import BrowserFlow
from tests.clients.strange import environment
from tests.runner.recorders import Recorder, http_answer
from tests.runner.recording_proxy import RecordingProxy

PAGE = """<!doctype html><html><head>
<link rel="stylesheet" href="{0}/style.css"><link rel="preconnect" href="{0}"><link rel="prefetch" href="{0}/next">
<script src="{0}/script.js"></script></head><body>
<img src="{0}/image.png"><iframe src="{0}/frame.html"></iframe><video src="{0}/film.webm"></video>
<script>
const settled = [
  fetch("{0}/fetch", {{mode: "no-cors"}}),
  new Promise(done => {{ const s = new WebSocket("{1}/socket"); s.onopen = s.onerror = s.onclose = done; }}),
  new Promise(done => {{ const e = new EventSource("{0}/events"); e.onopen = e.onerror = () => {{ e.close(); done(); }}; }}),
  new Promise(done => {{ const r = new XMLHttpRequest(); r.onloadend = () => done();
    r.open("POST", "{0}/xhr"); r.send("x"); }}),
];
navigator.sendBeacon("{0}/beacon", "x");
Promise.allSettled(settled).then(() => {{ document.title = "settled"; }});
</script></body></html>"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and tells nobody."""

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def platform(tmp_path):
    folder = tmp_path / "pages"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("named", [True, False], ids=["named", "not named"])
def test_a_page_reaches_another_origin_only_if_the_target_names_it(platform, tmp_path, named):
    folder, address = platform
    other = RecordingProxy(address)
    origins = {"127.0.0.1": other.url, "localhost": other.url.replace("127.0.0.1", "localhost")}
    variables = environment(9) | {"PLATFORM_URL": address}
    variables |= {"BUILDER_API_URL": other.url} if named else {}
    run = Run.begin(tmp_path / "run", resolve("embedded", catalogue(), environment=variables), "test")
    with launch.started(run) as browser:
        for host, origin in origins.items():
            (folder / f"{host}.html").write_text(PAGE.format(origin, origin.replace("http", "ws")))
            before = other.connections
            flow = BrowserFlow(run, browser, "made")
            page = flow.person("ada").page
            page.goto(f"{address}/{host}.html")
            page.wait_for_function("document.title === 'settled'")
            flow.close("met")
            if named and host == "127.0.0.1":
                assert other.of("GET", "/fetch")
                assert other.of("GET", "/socket")
                assert other.of("POST", "/beacon")
            else:
                assert other.connections == before
    run.journal.close()
    other.close()
    notes = " ".join(event.text for event in Evidence(run.directory).events(Note))
    assert (f"wanted {other.url}, which the target does not name: refused" in notes) is not named
    assert f"wanted {origins['localhost']}, which the target does not name: refused" in notes


def test_a_browser_of_a_target_that_permits_reading_alone_only_reads(platform, tmp_path):
    folder, address = platform
    recorder = RecordingProxy(address)
    target = resolve("embedded", catalogue(), environment=environment(9) | {"PLATFORM_URL": recorder.url})
    target = dataclasses.replace(target, permit=Permit(frozenset({Action.READ}), target.permit.hosts))
    run = Run.begin(tmp_path / "run", target, "test")
    (folder / "page.html").write_text(PAGE.format(recorder.url, recorder.url.replace("http", "ws")))
    with launch.started(run) as browser:
        flow = BrowserFlow(run, browser, "made")
        page = flow.person("ada").page
        page.goto(f"{recorder.url}/page.html")
        page.wait_for_function("document.title === 'settled'")
        flow.close("met")
    run.journal.close()
    recorder.close()
    assert {method for method, _, _ in recorder.requests} == {"GET"}
    assert recorder.of("GET", "/fetch")
    assert not recorder.of("GET", "/socket")
    notes = " ".join(event.text for event in Evidence(run.directory).events(Note))
    assert "POST /xhr needs the permit 'write'" in notes


EVERY_SCHEME = """<!doctype html><html><body><script>
const settled = [];
for (const url of %s) {
  if (url.startsWith("ws")) settled.push(new Promise(done => {
    const s = new WebSocket(url + "/socket"); s.onopen = s.onerror = s.onclose = done; }));
  else settled.push(fetch(url + "/fetch", {mode: "no-cors"}));
}
Promise.allSettled(settled).then(() => { document.title = "settled"; });
</script></body></html>"""
SCHEMES = ("http", "https", "ws", "wss")


@pytest.mark.parametrize(
    "pattern",
    [
        "http://127.0.0.1:{}",
        "https://127.0.0.1:{}",
        "127.0.0.1:{}",
        "http://127.0.*:{}",
        "https://*:{}",
        "127.0.0.2:{}",
    ],
)
def test_a_page_speaks_to_a_port_by_the_scheme_that_the_target_names(tmp_path, pattern, record_property):
    """Four schemes to a port that the target names so and to one that it does not name: what came is what is named."""
    page = ""
    platform = Recorder(lambda _: http_answer(200, page.encode(), kind="text/html"))
    named, beside = (Recorder(lambda _: http_answer(200, b"x")) for _ in range(2))
    address = f"http://127.0.0.1:{platform.port}"
    target = resolve("embedded", catalogue(), environment=environment(9) | {"PLATFORM_URL": address})
    hosts = frozenset({address, pattern.format(named.port)})
    run = Run.begin(
        tmp_path / "run", dataclasses.replace(target, permit=Permit(frozenset(Action), hosts)), "test"
    )
    tried = [f"{scheme}://127.0.0.1:{one.port}" for scheme in SCHEMES for one in (platform, named, beside)]
    page = EVERY_SCHEME % json.dumps(tried)
    with launch.started(run) as browser:
        flow = BrowserFlow(run, browser, "made")
        page_of_ada = flow.person("ada").page
        page_of_ada.goto(f"{address}/page.html")
        page_of_ada.wait_for_function("document.title === 'settled'")
        flow.close("met")
    run.journal.close()
    for one in (platform, named, beside):
        one.close()
    record_property("cases", len(tried))
    expected = {scheme for scheme in SCHEMES if run.permit.names(f"{scheme}://127.0.0.1:{named.port}")}
    plain = {
        "ws" if "upgrade: websocket" in r.headers else "http" for r in named.requests if r.method != "TLS"
    }
    handshakes = {"https", "wss"} if any(r.method == "TLS" for r in named.requests) else set()
    assert plain | handshakes == expected
    assert bool(named.connections) is bool(expected)
    assert beside.connections == 0
    assert {r.method for r in platform.requests} == {"GET"}, "no handshake with what is named as http"
    notes = " ".join(event.text for event in Evidence(run.directory).events(Note))
    assert f"wanted https://127.0.0.1:{platform.port}, which the target does not name: refused" in notes


def test_no_datagram_goes_past_the_proxy(platform, tmp_path):
    """WebRTC asks a STUN server by UDP, which no proxy of HTTP sees."""
    folder, address = platform
    (folder / "page.html").write_text("<!doctype html><title>x</title>")
    run = Run.begin(
        tmp_path / "run",
        resolve("embedded", catalogue(), environment=environment(9) | {"PLATFORM_URL": address}),
        "test",
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stun, launch.started(run) as browser:
        stun.bind(("127.0.0.1", 0))
        stun.setblocking(False)
        flow = BrowserFlow(run, browser, "made")
        page = flow.person("ada").page
        page.goto(f"{address}/page.html")
        page.evaluate(
            """async url => {
              const peer = new RTCPeerConnection({iceServers: [{urls: url}]});
              peer.createDataChannel("x");
              await peer.setLocalDescription(await peer.createOffer());
              for (let n = 0; n < 60 && peer.iceGatheringState !== "complete"; n++)
                await new Promise(r => setTimeout(r, 50));
            }""",
            f"stun:127.0.0.1:{stun.getsockname()[1]}",
        )
        flow.close("met")
        with pytest.raises(BlockingIOError):
            stun.recv(2048)
    run.journal.close()
