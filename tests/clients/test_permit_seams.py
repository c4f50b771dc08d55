"""What a permit lacks, no client sends: every method of every client, under every permit, before a server that counts.

Each test records how many cases it tried (`cases` in JUnit's properties).
"""

import dataclasses
import gc
import http.server
import inspect
import itertools
import re
import threading

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clients.http import GuardedTransport
from clients.http_port import HttpPort
from clients.identities import make_actor
from clients.s3 import S3
from clients.service_clients import ServiceClients
from clients.services import catalogue, modules
from core.ledger import Ledger
from core.permit import EVERYTHING, Action, Permit
from core.reading import READING_POSTS, only_reads
from core.run import Run
from core.target import resolve
from tests.clients.strange import environment

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
DECIDING = (Action.READ, Action.WRITE, Action.ADMIN)
SUBSETS = [frozenset(s) for n in range(4) for s in itertools.combinations(DECIDING, n)]
TRIED = [s for s in SUBSETS if len(s) == 2 or not s - {Action.READ}]
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


class Counting:
    """Answers every request with 200 and an empty object, and counts it; `connections` counts every connection."""

    def __init__(self):
        self.requests = []
        self.connections = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 0.1  # PostgreSQL's protocol is not understood here

            def setup(self):
                outer.connections += 1
                super().setup()

            def answer(self):
                outer.requests.append((self.command, self.path, self.headers.get("upgrade", "")))
                self.rfile.read(int(self.headers.get("content-length") or 0))
                body = b"" if self.command == "HEAD" else b"{}"
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format, *args):
                pass

        for method in METHODS:
            setattr(Handler, f"do_{method}", Handler.answer)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def server():
    one = Counting()
    yield one
    one.close()


@pytest.fixture(scope="module")
def run(server, tmp_path_factory):
    target = resolve("embedded", catalogue(), environment=environment(server.port))
    run = Run.begin(tmp_path_factory.mktemp("seams") / "run", target, "test")
    yield run
    run.journal.close()


def with_permit(run, actions, hosts=None):
    hosts = run.target.permit.hosts if hosts is None else hosts
    return dataclasses.replace(
        run, target=dataclasses.replace(run.target, permit=Permit(frozenset(actions), frozenset(hosts)))
    )


def tried(call):
    """What a call gave, or the error that it ended with: only what reached the server counts here."""
    try:
        return call()
    except Exception as error:
        return error


def arguments(function):
    """Something for each argument that has no default, by its name and annotation."""
    for name, one in inspect.signature(function).parameters.items():
        kind = str(one.annotation)
        if name == "within":
            yield name, 0.1
            continue
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD) or one.default is not one.empty:
            continue
        if "bytes" in kind:
            yield name, b"x"
        elif "int" in kind or "float" in kind:
            yield name, 1
        elif re.search(r"(?i)mapping|dict", kind) and not re.search(r"(?i)iterable|list|sequence", kind):
            yield name, {"name": "x"}
        elif re.search(r"(?i)iterable|list|sequence|collection", kind):
            yield name, ["x"]
        else:
            yield name, "x"


def calls(services):
    """Everything that the clients of all services can be asked to do: (words, call)."""
    for module in modules():
        client = tried(lambda name=module.ATTRIBUTE: getattr(services, name))
        if isinstance(client, Exception):  # refused where it is built: that is a refusal too
            continue
        held = {module.ATTRIBUTE: client}
        held |= {
            f"{module.ATTRIBUTE}.{n}": v for n, v in vars(client).items() if isinstance(v, HttpPort | S3)
        }
        for name in ("s3", "sql", "mailbox"):
            one = tried(lambda client=client, name=name: getattr(client, name))
            if not isinstance(one, Exception):
                held[f"{module.ATTRIBUTE}.{name}"] = one
        for words, one in held.items():
            for name, function in inspect.getmembers(type(one), inspect.isfunction):
                if name.startswith("_") or name == "close" or one is None:
                    continue
                given = dict(itertools.islice(arguments(function), 1, None))
                bound = getattr(one, name)
                if "method" in given:
                    paths = ["/x", "/auth/v1/admin/users", "/admin/users"] if "path" in given else ["/x"]
                    for method, path in itertools.product(METHODS, paths):
                        words_now = f"{words}.{name} {method} {path}"
                        yield (
                            words_now,
                            lambda b=bound, g=given, m=method, p=path: b(**g | {"method": m, "path": p}),
                        )
                else:
                    yield f"{words}.{name}", lambda b=bound, g=given: b(**g)
    sdk = [
        ("sign up", lambda c: c.auth.sign_up({"email": "a@b.example", "password": "x" * 12})),
        ("sign in", lambda c: c.auth.sign_in_with_password({"email": "a@b.example", "password": "x"})),
        ("recover", lambda c: c.auth.reset_password_for_email("a@b.example")),
        ("admin list", lambda c: c.auth.admin.list_users()),
        ("admin create", lambda c: c.auth.admin.create_user({"email": "a@b.example"})),
        ("admin delete", lambda c: c.auth.admin.delete_user("00000000-0000-4000-8000-000000000000")),
        ("select", lambda c: c.table("posts").select("*").execute()),
        ("insert", lambda c: c.table("posts").insert({"a": 1}).execute()),
        ("update", lambda c: c.table("posts").update({"a": 1}).eq("id", 1).execute()),
        ("delete", lambda c: c.table("posts").delete().eq("id", 1).execute()),
        ("rpc", lambda c: c.rpc("f", {}).execute()),
        ("storage list", lambda c: c.storage.from_("files").list("x")),
        ("storage upload", lambda c: c.storage.from_("files").upload("x", b"x")),
        ("storage remove", lambda c: c.storage.from_("files").remove(["x"])),
    ]
    for words, call in sdk:
        yield f"sdk {words}", lambda c=call: c(services.auth.supabase_admin)
        yield f"sdk person {words}", lambda c=call: c(services.auth.person())


def allowed(actions, method, path, upgrade):
    """Our own reading of the words of `core.permit`, apart from its code."""
    posts = [re.compile(p) for p in READING_POSTS]
    if upgrade:
        return Action.WRITE in actions
    if method in ("GET", "HEAD", "OPTIONS") or (
        method == "POST" and any(p.fullmatch(path.partition("?")[0]) for p in posts)
    ):
        return Action.READ in actions
    return (Action.ADMIN if "/auth/v1/admin/" in path else Action.WRITE) in actions


def everything(run, seen):
    """Does all that clients can do; returns how many calls and what came through."""
    before = len(seen.requests)
    number = 0
    with ServiceClients(run) as services:
        for _words, call in calls(services):
            number += 1
            if isinstance(made := tried(call), HttpPort):
                made.close()
    gc.collect()  # what calls left open ends here
    return number, seen.requests[before:]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("actions", TRIED, ids=lambda s: "+".join(sorted(s)) or "nothing")
def test_no_client_sends_what_the_permit_lacks(run, server, actions, record_property):
    number, came = everything(with_permit(run, actions), server)
    record_property("cases", number)
    assert number > 150
    assert [r for r in came if not allowed(actions, *r)] == []
    if actions:
        assert came, "what is permitted is sent (positive control)"


def test_no_client_contacts_an_origin_that_the_target_does_not_name(run, server, record_property):
    port = server.port
    near = [
        "http://127.0.0.1:1",
        "http://localhost:80",
        f"https://127.0.0.1:{port}",
        f"127.0.0.2:{port}",
        "*.0.0.2",
    ]
    for hosts in ([], near):
        before = server.connections
        number, came = everything(with_permit(run, EVERYTHING, hosts), server)
        record_property("cases", number)
        assert (came, server.connections - before) == ([], 0), hosts


def test_probes_of_the_doctor_only_read(run, server, record_property):
    reading = with_permit(run, {Action.READ})
    before = len(server.requests)
    number = 0
    for module in modules():
        made = tried(lambda module=module: module.probes(reading))
        for probe in () if isinstance(made, Exception) else made.values():
            number += 1
            tried(probe)
    gc.collect()
    record_property("cases", number)
    assert number >= 10
    came = server.requests[before:]
    assert came
    assert all(only_reads(method, path) and not upgrade for method, path, upgrade in came)


WORD = st.text("abcxyz019-_/.%:?&=*", max_size=20)


@given(
    actions=st.sets(st.sampled_from(list(Action))),
    method=st.sampled_from(METHODS),
    path=WORD
    | st.sampled_from(
        [*("/auth/v1/admin/users", "/storage/v1/object/list/files", "/api/v2/rum/events/search")]
    ),
    scheme=st.sampled_from(["http", "https", "ws", "wss"]),
    host=st.sampled_from(["127.0.0.1", "localhost", "a.example", "b.a.example"]),
    asked=st.integers(1, 65535) | st.sampled_from([80, 443, 8000]),
    named=st.lists(
        st.sampled_from(
            ["http://127.0.0.1:8000", "https://a.example", "*.a.example", "localhost:80", "b.a.example"]
        ),
        max_size=3,
    ),
)
@settings(max_examples=400, suppress_health_check=list(HealthCheck))
def test_a_port_sends_only_what_is_named_and_permitted(actions, method, path, scheme, host, asked, named):
    """The one transport, with a recorder in the network's place: hundreds of permits and requests."""
    sent = []
    inner = httpx.MockTransport(lambda r: sent.append((r.method, r.url)) or httpx.Response(200, json={}))
    permit = Permit(frozenset(actions), frozenset(named))
    transport = GuardedTransport("platform", permit, inner=inner)
    address = f"{scheme}://{host}:{asked}/{path.lstrip('/')}"
    tried(lambda: transport.handle_request(httpx.Request(method, address)))
    for _, url in sent:
        assert permit.names(str(url))
        assert any(_names(pattern, scheme, host, asked) for pattern in named)
        assert allowed(actions, method, url.path, "websocket" if scheme in ("ws", "wss") else "")


def _names(pattern, scheme, host, port):
    """By hand: what each of the five patterns above stands for."""
    web = {"ws": "http", "wss": "https"}.get(scheme, scheme)
    return {
        "http://127.0.0.1:8000": (web, host, port) == ("http", "127.0.0.1", 8000),
        "https://a.example": (web, host, port) == ("https", "a.example", 443),
        "*.a.example": host == "b.a.example",
        "localhost:80": (host, port) == ("localhost", 80),
        "b.a.example": host == "b.a.example",
    }[pattern]


def test_an_identity_needs_admin_and_the_ledger_write(run, server):
    for actions in SUBSETS:
        before = len(server.requests)
        narrow = with_permit(run, actions)
        with ServiceClients(narrow) as services:
            ledger = Ledger(narrow.journal, {}, narrow.permit, check="made")
            tried(lambda s=services, n=narrow, one=ledger: make_actor(n, s, one))
        if not actions >= {Action.WRITE, Action.ADMIN}:
            assert server.requests[before:] == []
