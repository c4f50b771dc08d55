"""What a permit lacks, no load sends: HTTP and WebSockets of every method, under every permit."""

import itertools
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from core.errors import PermitError
from core.permit import PRODUCTION_SAFE, Action, Permit
from loadengine.net.http1 import HttpClient
from loadengine.net.tcp import NoAnswer
from loadengine.net.websocket import WebSocket
from tests.loadengine.patched.helpers import read_request

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
PATHS = ("/x", "/auth/v1/admin/users", "/storage/v1/object/list/files", "/auth/v1/token?grant_type=password")
SUBSETS = [frozenset(s) for n in range(4) for s in itertools.combinations(sorted(PRODUCTION_SAFE), n)]


@pytest.fixture
def counted(serve):
    seen, connections = [], []

    def talk(connection, reader):
        connections.append(1)
        while request := read_request(reader):
            seen.append(request[0].split(" ")[:2])
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    return serve(talk), seen, connections


def due(method, path):
    """The action that a request is of, told apart from the code under test."""
    if method in ("GET", "HEAD", "OPTIONS") or (method == "POST" and "/object/list/" in path):
        return Action.READ
    return Action.ADMIN if "/admin/" in path else Action.WRITE


@pytest.mark.parametrize("actions", SUBSETS, ids=lambda s: "+".join(sorted(s)) or "nothing")
def test_no_load_sends_what_the_permit_lacks(engine, counted, actions):
    address, seen, _ = counted
    engine.permit = Permit(actions, frozenset({"127.0.0.1"}))
    client = HttpClient(engine, address)
    wanted = []
    for method, path in itertools.product(METHODS, PATHS):
        if due(method, path) in actions:
            wanted.append([method, path])
            client.request(method, path)
        else:
            with pytest.raises(PermitError, match="needs the permit"):
                client.request(method, path)
    assert seen == wanted
    before = len(seen)
    with suppress(PermitError, NoAnswer):
        WebSocket(engine, "ws" + address.removeprefix("http") + "/room", timeout=1.0)
    assert len(seen) - before == (Action.WRITE in actions)


def test_no_load_contacts_an_origin_that_the_target_does_not_name(engine, counted):
    address, _, connections = counted
    port = urlsplit(address).port
    near = [
        "http://127.0.0.1:1",
        f"https://127.0.0.1:{port}",
        f"http://localhost:{port}",
        f"127.0.0.2:{port}",
        "*.0.0.2",
    ]
    for hosts in ([], *([one] for one in near), near):
        engine.permit = Permit(frozenset(Action), frozenset(hosts))
        for url in (address, f"http://user@127.0.0.1:{port}", f"http://127.0.0.1:{port}/path"):
            with pytest.raises(PermitError, match="is not one of this target's"):
                HttpClient(engine, url).request("GET", "/")
            with pytest.raises(PermitError, match="is not one of this target's"):
                WebSocket(engine, url.replace("http", "ws"), timeout=1.0)
    assert connections == []
