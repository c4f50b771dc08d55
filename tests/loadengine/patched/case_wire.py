"""Contract: a journey puts the same on the wire through the checks' port and through the lean one."""

import inspect

import pytest

from clients.http_port import HttpPort
from core.description import read_description
from core.description.base import Route
from core.permit import Action, Permit
from core.project import REFERENCE
from loadengine.api import ClosedUser
from scenarios.adapter import Adapter
from stack.platform.assay.posts import journeys as database
from tests.loadengine.patched.helpers import read_request

OF_THE_CLIENT = {"user-agent", "accept-encoding", "connection", "traceparent", "x-assay-run", "host"}
"""What belongs to the carrier or to tracing, not to the journey."""
TOKEN = "header.payload.signature"

JOURNEYS = {
    "database.audit_of": lambda port, endpoints: database.audit_of(port, endpoints, TOKEN, "0a-b"),
    "database.drafts": lambda port, endpoints: database.drafts(port, endpoints, TOKEN),
    "database.page_of_posts": lambda port, endpoints: database.page_of_posts(
        port, endpoints, TOKEN, "lo ad", 2
    ),
    "database.rewrite_post": lambda port, endpoints: database.rewrite_post(
        port, endpoints, TOKEN, "0a-b", "ü"
    ),
    "database.search_posts": lambda port, endpoints: database.search_posts(port, endpoints, TOKEN, "ü w"),
    "database.latest_posts": lambda port, endpoints: database.latest_posts(port, endpoints, TOKEN),
    "database.profile": lambda port, endpoints: database.profile(port, endpoints, TOKEN, "0a-b"),
    "database.write_post": lambda port, endpoints: database.write_post(
        port, endpoints, TOKEN, title="ü % %s", body="b", tags=("x",)
    ),
}
PEOPLE_DO = {
    "sign_in": lambda port, its: its.sign_in(port, "a@assay.example", "p ü"),
    "refresh": lambda port, its: its.refresh(port, "abc"),
    "whoami": lambda port, its: its.whoami(port, TOKEN),
    "list_files": lambda port, its: its.list_files(port, TOKEN),
    "get": lambda port, its: its.get(port, "/api/files", TOKEN),
    "ask": lambda port, its: its.ask(
        port, Route(path="/api/x/{id}", method="PUT", body="raw"), TOKEN, b"d", id="a b"
    ),
    "version": lambda port, its: its.version(port),
    "health": lambda port, its: its.health(port),
    "fail": lambda port, its: its.fail(port, TOKEN, "t ü"),
    "upload": lambda port, its: its.upload(port, TOKEN, name="a b.bin", data=b"\x00" * 3000, sha256="00"),
    "start_upload": lambda port, its: its.start_upload(port, TOKEN, name="n", size=9_000_000),
    "put_part": lambda port, its: its.put_part(port, TOKEN, "u", 1, b"p" * 100_000),
    "complete_upload": lambda port, its: its.complete_upload(port, TOKEN, "u", sha256="00"),
    "abort_upload": lambda port, its: its.abort_upload(port, TOKEN, "u"),
    "read_file": lambda port, its: its.read_file(port, TOKEN, "f/1", version=2),
    "remove_file": lambda port, its: its.remove_file(port, TOKEN, "f"),
    "page": lambda port, its: its.page(port, "/a b/ü", locale="de"),
    "report_error": lambda port, its: its.report_error(port, b'{"dsn": "d"}\n{}'),
    "report_view": lambda port, its: its.report_view(port, "/api/v2/rum?a=b&c=%C3%BC", b"{}\n{}"),
    "report_event": lambda port, its: its.report_event(port, {"event": "ü &"}),
    "track": lambda port, its: its.track(port, "page_view", "1.2", page="/ü"),
    "export": lambda port, its: its.export(port, TOKEN),
    "erase": lambda port, its: its.erase(port, TOKEN, "ä@assay.example"),
}
"""What people do with a platform, by the adapter's methods; here as the reference platform is described."""


@pytest.fixture
def recorded(serve):
    seen = []

    def talk(connection, reader):
        while request := read_request(reader):
            seen.append(request)
            connection.sendall(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
            )

    return serve(talk), seen


@pytest.mark.parametrize("name", [*JOURNEYS, *PEOPLE_DO])
def test_both_ports_send_the_same(engine, recorded, name):
    address, seen = recorded
    described = read_description(REFERENCE / "target.toml")
    endpoints = Adapter(platform=address, supabase=address, key="public-key", description=described)
    journey = JOURNEYS.get(name) or PEOPLE_DO[name]
    permit = Permit(frozenset(Action), frozenset({"127.0.0.1"}))
    checks = HttpPort("supabase.database", permit)
    journey(checks, endpoints)
    checks.close()

    class LoadUser(ClosedUser):
        host = address
        abstract = True

    journey(LoadUser(engine.environment).port(), endpoints)
    (first, headers, body), (lean_first, lean_headers, lean_body) = seen
    assert lean_first == first
    assert lean_body == body
    assert {k: v for k, v in lean_headers.items() if k not in OF_THE_CLIENT} == {
        k: v for k, v in headers.items() if k not in OF_THE_CLIENT
    }


def test_every_journey_over_the_port_is_held_to_it():
    found = {
        f"database.{name}"
        for name, function in vars(database).items()
        if inspect.isfunction(function)
        and not name.startswith("_")
        and function.__module__ == database.__name__
        and next(iter(inspect.signature(function).parameters), "") == "port"
    }
    assert found == set(JOURNEYS)
    methods = inspect.getmembers(Adapter, inspect.isfunction)
    assert {n for n, f in methods if n[0] != "_" and "port" in inspect.signature(f).parameters} == set(
        PEOPLE_DO
    )
