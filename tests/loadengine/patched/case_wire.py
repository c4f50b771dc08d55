"""Contract: a journey puts the same on the wire through the checks' port and through the lean one."""

import importlib
import inspect
import pkgutil

import pytest

from clients.http_port import HttpPort
from core.permit import Action, Permit
from loadengine.api import ClosedUser
from scenarios import api
from scenarios.api import account, analytics, content, database, files, telemetry
from scenarios.api.place import Place
from tests.loadengine.patched.helpers import read_request

OF_THE_CLIENT = {"user-agent", "accept-encoding", "connection", "traceparent", "x-assay-run", "host"}
"""What belongs to the carrier or to tracing, not to the journey."""
TOKEN = "header.payload.signature"

JOURNEYS = {
    "account.sign_in": lambda port, place: account.sign_in(port, place, "a@assay.example", "p ü"),
    "account.refresh": lambda port, place: account.refresh(port, place, "abc"),
    "account.me": lambda port, place: account.me(port, place, TOKEN),
    "analytics.track": lambda port, place: analytics.track(port, place, "page_view", "1.2", page="/ü"),
    "content.page": lambda port, place: content.page(port, place, "/a b/ü", locale="de"),
    "database.audit_of": lambda port, place: database.audit_of(port, place, TOKEN, "0a-b"),
    "database.drafts": lambda port, place: database.drafts(port, place, TOKEN),
    "database.page_of_posts": lambda port, place: database.page_of_posts(port, place, TOKEN, "lo ad", 2),
    "database.rewrite_post": lambda port, place: database.rewrite_post(port, place, TOKEN, "0a-b", "ü"),
    "database.search_posts": lambda port, place: database.search_posts(port, place, TOKEN, "ü w"),
    "database.latest_posts": lambda port, place: database.latest_posts(port, place, TOKEN),
    "database.profile": lambda port, place: database.profile(port, place, TOKEN, "0a-b"),
    "database.write_post": lambda port, place: database.write_post(
        port, place, TOKEN, title="ü % %s", body="b", tags=("x",)
    ),
    "files.upload": lambda port, place: files.upload(port, place, TOKEN, name="a b.bin", data=b"\x00" * 3000),
    "files.start": lambda port, place: files.start(port, place, TOKEN, name="n", size=9_000_000),
    "files.put_part": lambda port, place: files.put_part(port, place, TOKEN, "u", 1, b"p" * 100_000),
    "files.complete": lambda port, place: files.complete(port, place, TOKEN, "u", sha256="00"),
    "files.content": lambda port, place: files.content(port, place, TOKEN, "f/1"),
    "files.remove": lambda port, place: files.remove(port, place, TOKEN, "f"),
    "telemetry.error": lambda port, place: telemetry.error(port, place, b'{"dsn": "d"}\n{}'),
    "telemetry.view": lambda port, place: telemetry.view(port, place, "/api/v2/rum?a=b&c=%C3%BC", b"{}\n{}"),
    "telemetry.page_view": lambda port, place: telemetry.page_view(port, place, "ü %s", "1.2"),
    "telemetry.tracked": lambda port, place: telemetry.tracked(port, place, {"event": "ü &"}),
}


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


@pytest.mark.parametrize("name", JOURNEYS)
def test_both_ports_send_the_same(engine, recorded, name):
    address, seen = recorded
    place = Place(platform=address, supabase=address, key="public-key")
    permit = Permit(frozenset(Action), frozenset({"127.0.0.1"}))
    checks = HttpPort("supabase.database", permit)
    JOURNEYS[name](checks, place)
    checks.close()

    class Person(ClosedUser):
        host = address
        abstract = True

    JOURNEYS[name](Person(engine.environment).port(), place)
    (first, headers, body), (lean_first, lean_headers, lean_body) = seen
    assert lean_first == first
    assert lean_body == body
    assert {k: v for k, v in lean_headers.items() if k not in OF_THE_CLIENT} == {
        k: v for k, v in headers.items() if k not in OF_THE_CLIENT
    }


def test_every_journey_over_the_port_is_held_to_it():
    found = {
        f"{module.name}.{name}"
        for module in pkgutil.iter_modules(api.__path__)
        for name, function in vars(importlib.import_module(f"scenarios.api.{module.name}")).items()
        if inspect.isfunction(function)
        and not name.startswith("_")
        and function.__module__.endswith(module.name)
        and next(iter(inspect.signature(function).parameters), "") == "port"
    }
    assert found == set(JOURNEYS)
