"""The adapter follows the description, says what is not described, and gives way to a project's own method."""

from dataclasses import dataclass, field

import pytest

from clients.services import catalogue
from core.description import parse_description
from core.errors import ConfigError, NotDescribed
from core.target import resolve
from scenarios.adapter import Adapter, adapter_of

TODOS = """
[platform]
whoami = { path = "/v2/me", id = "user.id" }
health = { path = "/healthz", well = { ok = true } }
refusal = { message = "message" }
[platform.files.exports]
upload = { path = "/v2/files/{name}", id = "key", key = "key", headers = { X-Sum = "{sha256}" } }
read = { path = "/v2/files/{id}" }
store = "storage:exports"
[rooms]
path = "/ws/{room}"
frames.send = { say = "{body}", ref = "{client_id}" }
"""


@dataclass
class StubAnswer:
    status: int
    document: object
    headers: dict[str, str] = field(default_factory=dict)

    def json(self):
        return self.document


class Recorder:
    def __init__(self):
        self.sent = []

    def request(self, method, url, *, headers=None, body=None):
        self.sent.append((method, url, dict(headers or {}), body))
        return StubAnswer(200, {})


def todos():
    return Adapter("https://p.example", "https://s.example", "key", description=parse_description(TODOS))


def test_requests_follow_the_description():
    port, its = Recorder(), todos()
    its.upload(port, "t", name="a/b", data=b"x", mime="text/csv")
    its.read_file(port, None, "k 1")
    (method, url, headers, body), (_, read, plain, _) = port.sent
    assert (method, url, body) == ("POST", "https://p.example/v2/files/a%2Fb", b"x")
    assert headers["Content-Type"] == "text/csv"
    assert headers["Authorization"] == "Bearer t"
    assert "X-Sum" not in headers, "a header of which a name has no value is left out"
    assert read == "https://p.example/v2/files/k%201"
    assert "Authorization" not in plain


def test_answers_are_read_where_the_description_says():
    its = todos()
    assert its.person_of(StubAnswer(200, {"user": {"id": "u"}})) == "u"
    assert its.stored(StubAnswer(201, {"key": "k"})).key == "k"
    assert its.refusal(StubAnswer(403, {"message": "no"})) == {"message": "no"}
    assert its.is_well(StubAnswer(200, {"ok": True}))
    assert not its.is_well(StubAnswer(200, {"ok": False}))
    assert not its.is_well(StubAnswer(503, {"ok": True}))
    assert its.room_wire().frame("send", body="hello", client_id="1") == {"say": "hello", "ref": "1"}


def test_what_is_not_described_is_said_and_never_asked_for():
    port, its = Recorder(), todos()
    for ask in (
        lambda: its.remove_file(port, "t", "f"),
        lambda: its.page(port, "/"),
        lambda: its.track(port, "x", "y"),
        lambda: its.export(port, "t"),
        lambda: its.room_wire().frame("typing", on=True),
    ):
        with pytest.raises(NotDescribed, match="describes no"):
            ask()
    assert port.sent == []


def test_a_project_overrides_one_method(tmp_path):
    (tmp_path / "target.toml").write_text('[settings]\nadapter = "my_adapter:Todos"\n' + TODOS)
    (tmp_path / "my_adapter.py").write_text(
        "from scenarios.adapter import Adapter\n\n\nclass Todos(Adapter):\n"
        "    def read_file(self, port, token, file, **more):\n"
        "        return port.request('GET', 'https://elsewhere.example/' + file)\n"
    )
    its = adapter_of(resolve("live", catalogue(), environment={}, file=tmp_path / "target.toml"))
    port = Recorder()
    its.read_file(port, "t", "f")
    its.whoami(port, "t")
    assert [url for _, url, _, _ in port.sent] == ["https://elsewhere.example/f", "/v2/me"]
    (tmp_path / "target.toml").write_text('[settings]\nadapter = "my_adapter:Nothing"\n')
    with pytest.raises(ConfigError, match="cannot be imported"):
        adapter_of(resolve("live", catalogue(), environment={}, file=tmp_path / "target.toml"))
